"""Users, tokens, second factors and the audit log in the administration; no hash and no secret is ever shown."""

from typing import TYPE_CHECKING, Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils import timezone

from accounts import admin_site, operations
from accounts.auth import actor_of
from accounts.forms import NewUserForm
from accounts.models import ApiToken, AuditEntry, User

if TYPE_CHECKING:
    AnyAdmin = admin.ModelAdmin[Any]
else:
    AnyAdmin = admin.ModelAdmin

admin_site.install(admin.site)
# Permissions are scopes and is_staff; groups would be a second, unseen way to grant them.
admin.site.unregister(Group)
# A verified address added here, or a second factor written here, would open somebody's account.
admin.site.unregister([Authenticator, EmailAddress])
POWERS = ("is_active", "is_staff", "is_superuser")


class ReadOnlyAdmin(AnyAdmin):
    """Look, do not touch."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(User)
class UserAdmin(AnyAdmin):
    list_display = ("email", "is_active", "is_staff", "is_superuser", "date_joined", "last_login")
    list_filter = POWERS
    search_fields = ("email",)
    fields = ("email", *POWERS, "theme", "date_joined", "last_login")
    readonly_fields = ("email", "theme", "date_joined", "last_login")
    actions = ("deactivate", "activate")

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            return NewUserForm
        return super().get_form(request, obj, change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        return ("email", "password", "is_staff") if obj is None else self.fields

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> tuple[str, ...]:
        if obj is None:
            return () if _is_superuser(request) else ("is_staff",)
        # Whoever may grant powers can take the platform: superusers only, and never their own away by mistake.
        return (
            self.readonly_fields if _is_superuser(request) and obj != request.user else (*self.readonly_fields, *POWERS)
        )

    def save_model(self, request: HttpRequest, obj: User, form: "ModelForm[User]", change: bool) -> None:
        at, actor = timezone.now(), actor_of(request)
        if change:
            changed = {name: getattr(obj, name) for name in POWERS if name in form.changed_data}
            user = User.objects.get(pk=obj.pk)
            if changed:
                operations.change_user(user, at, actor, **changed)
        else:
            facts = form.cleaned_data
            user = operations.create_user(
                facts["email"], facts["password"], at, actor, is_staff=facts.get("is_staff", False)
            )
        obj.__dict__.update(user.__dict__)

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:
        # The ledger and the audit log refer to users for good; deactivate instead.
        return False

    @admin.action(description="Deactivate (revokes their tokens)", permissions=["change"])
    def deactivate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._set_active(request, queryset, active=False)

    @admin.action(description="Activate", permissions=["change"])
    def activate(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        self._set_active(request, queryset, active=True)

    def _set_active(self, request: HttpRequest, queryset: QuerySet[User], *, active: bool) -> None:
        if not _is_superuser(request):
            messages.error(request, "Only superusers activate and deactivate users.")
            return
        users = list(queryset.exclude(email=getattr(request.user, "email", "")).exclude(is_active=active))
        for user in users:
            operations.change_user(user, timezone.now(), actor_of(request), is_active=active)
        messages.success(request, f"{'Activated' if active else 'Deactivated'}: {len(users)}.")


@admin.register(ApiToken)
class ApiTokenAdmin(ReadOnlyAdmin):
    list_display = ("__str__", "user", "label", "scopes", "created_at", "expires_at", "last_used_at", "revoked_at")
    list_filter = ("revoked_at",)
    list_select_related = ("user",)
    search_fields = ("prefix", "label", "user__email")
    fields = (
        *("user", "label", "prefix", "scopes", "allowed_ips"),
        *("created_at", "expires_at", "last_used_at", "revoked_at"),
    )
    actions = ("revoke",)

    @admin.action(description="Revoke", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        if not _is_superuser(request):
            messages.error(request, "Only superusers revoke other people's tokens.")
            return
        count = sum(operations.revoke_token(token, timezone.now(), actor_of(request)) for token in queryset)
        messages.success(request, f"Revoked: {count}.")


@admin.register(Authenticator)
class AuthenticatorAdmin(ReadOnlyAdmin):
    """Which second factors there are; a superuser removes that of who lost the device."""

    list_display = ("user", "type", "created_at", "last_used_at")
    list_select_related = ("user",)
    search_fields = ("user__email",)
    fields = ("user", "type", "created_at", "last_used_at")
    actions = ("remove",)

    @admin.action(description="Remove (the user lost the device)", permissions=["view"])
    def remove(self, request: HttpRequest, queryset: QuerySet[Authenticator]) -> None:
        if not _is_superuser(request):
            messages.error(request, "Only superusers remove second factors.")
            return
        factors = list(queryset.exclude(user=request.user).select_related("user"))
        for factor in factors:
            operations.remove_second_factor(factor, timezone.now(), actor_of(request))
        messages.success(request, f"Removed: {len(factors)}.")


@admin.register(EmailAddress)
class EmailAddressAdmin(ReadOnlyAdmin):
    list_display = ("email", "user", "primary", "verified")
    list_filter = ("primary", "verified")
    list_select_related = ("user",)
    search_fields = ("email", "user__email")


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = ("at", "actor_kind", "actor", "action", "subject", "address")
    list_filter = ("actor_kind", "action")
    list_select_related = ("actor",)
    search_fields = ("subject", "action", "actor__email")
    date_hierarchy = "at"
    show_full_result_count = False
    fields = (
        *("at", "actor_kind", "actor", "action", "subject", "detail", "address"),
        *("previous_hash", "row_hash"),
    )


def _is_superuser(request: HttpRequest) -> bool:
    return bool(getattr(request.user, "is_superuser", False))
