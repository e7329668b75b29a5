"""Limits and arming in the administration, through the functions that pages and commands call."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ObjectDoesNotExist
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.auth import actor_of, step_up_required
from bots import arming, operations
from bots.admin.base import ReadOnly
from bots.core.limits import LimitError
from bots.forms import LEVELED, ArmForm, LimitsForm, limit_field
from bots.models import SWITCHED, Arming, RiskLimits
from exchanges.models import ExchangeKey

LimitFields: Any = type("LimitFields", (forms.ModelForm,), {name: limit_field(name) for name in LEVELED})


class FreshSecondFactor(ReadOnly):
    """What may raise a risk is changed behind a second factor of the last five minutes, as on the pages."""

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_staff)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(request.user.is_staff)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return step_up_required(super().changeform_view, back="admin:index")(request, *args, **kwargs)


class RiskLimitsForm(LimitFields):  # type: ignore[misc]
    """One field per limit beside whom it is for; empty means no limit."""

    given = LimitsForm.given
    level = forms.ChoiceField(choices=[(level.value, level.label) for level in SWITCHED])

    class Meta:
        model = RiskLimits
        fields = ("level", "target")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial.update(self.instance.limits)

    @property
    def whose(self) -> tuple[str, int]:
        known = (self.instance.level, self.instance.target)
        return known if self.instance.pk else (self.cleaned_data["level"], self.cleaned_data["target"])

    def clean(self) -> None:
        super().clean()
        if not self.errors:
            self._check_target()
            self._check_limits()

    def _check_target(self) -> None:
        try:
            operations.require_target(*self.whose)
        except (operations.WrongTarget, ObjectDoesNotExist):
            told = "Expected the id of a user, key or run that there is; 0 for the platform alone."
            self.add_error(None if self.instance.pk else "target", told)

    def _check_limits(self) -> None:
        try:
            operations.checked(self.given)
        except LimitError as error:
            for name, text in error.errors.items():
                self.add_error(name, text)


@admin.register(RiskLimits)
class RiskLimitsAdmin(FreshSecondFactor):
    form = RiskLimitsForm
    list_display = ("level", "target", "limits", "changed_at")
    list_filter = ("level",)

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        return ["level", "target", *LEVELED, *(["changed_at"] if obj else [])]

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return ("level", "target", "changed_at") if obj else ()

    def save_model(self, request: HttpRequest, obj: RiskLimits, form: Any, change: bool) -> None:
        level, target = form.whose
        row = operations.set_limits(level, target, form.given, timezone.now(), actor_of(request))
        obj.pk = row.pk
        obj.refresh_from_db()


class ArmingForm(forms.ModelForm):  # type: ignore[type-arg]
    """A key, and the phrase that names it."""

    phrase = forms.CharField(max_length=80, help_text="“trade live with …”, and the last characters of the API key.")

    class Meta:
        model = Arming
        fields = ("key",)

    def validate_constraints(self) -> None:
        """An arming that stands is replaced by the new one."""

    def clean(self) -> None:
        key = self.cleaned_data.get("key")
        if key is None:
            return
        typed = ArmForm({"phrase": self.cleaned_data.get("phrase", "")}, expected=arming.phrase_of(key))
        for text in typed.errors.get("phrase", ()):
            self.add_error("phrase", text)
        if refused := arming.refusal(key):
            self.add_error("key", refused.detail)


@admin.register(Arming)
class ArmingAdmin(FreshSecondFactor):
    list_display = ("id", "key", "user", "by", "armed_at", "expires_at", "dropped_at", "drop_reason")
    list_select_related = ("key", "user")
    list_filter = (("dropped_at", admin.EmptyFieldListFilter),)
    actions = ("disarm",)
    add_fields: ClassVar[tuple[str, ...]] = ("key", "phrase")

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **kwargs, **({} if obj else {"form": ArmingForm}))

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return tuple(field.name for field in Arming._meta.fields) if obj else self.add_fields

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        return self.get_fields(request, obj) if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "key":
            kwargs["queryset"] = ExchangeKey.objects.present().select_related("owner")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Arming, form: Any, change: bool) -> None:
        if not change:
            obj.pk = arming.arm(form.cleaned_data["key"], "admin", timezone.now(), actor_of(request)).pk
            obj.refresh_from_db()

    @admin.action(description="Disarm: these keys send no more live entries")
    def disarm(self, request: HttpRequest, chosen: QuerySet[Arming]) -> None:
        at = timezone.now()
        keys = {row.key for row in chosen.filter(dropped_at=None).select_related("key")}
        done = sum(arming.disarm(key, "taken back in the admin", at, actor_of(request)) for key in keys)
        self.message_user(request, f"{done} keys are disarmed.", messages.SUCCESS)
