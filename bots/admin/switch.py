"""The kill switch in the administration: for the chosen runs, their keys, their users, or the whole platform."""

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.auth import actor_of
from bots import gates
from bots.admin.base import WithActions
from bots.models import SWITCHED, BotRun, Level

BY_HAND = "by the operator in the admin"


class SwitchForm(ActionForm):
    level = forms.ChoiceField(
        required=False,
        initial=Level.RUN,
        label="at level",
        choices=[(level.value, f"{level.label} of the chosen runs") for level in reversed(SWITCHED)],
    )
    reason = forms.CharField(required=False, max_length=300, label="because")


class SwitchActions(WithActions):
    action_form = SwitchForm

    @admin.action(description="Halt: no orders at all")
    def halt(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        self._switch(request, chosen, "halt")

    @admin.action(description="Reduce: no new entries")
    def reduce(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        self._switch(request, chosen, "reduce")

    @admin.action(description="Flatten: no new entries, sell everything, stop")
    def flatten(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        self._switch(request, chosen, "flatten")

    @admin.action(description="Resume trading")
    def resume_trading(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        self._switch(request, chosen, "resume")

    def _switch(self, request: HttpRequest, chosen: QuerySet[BotRun], action: str) -> None:
        level = request.POST.get("level") or Level.RUN.value
        reason = request.POST.get("reason", "").strip() or BY_HAND
        targets = targets_of(level, chosen)
        for target in targets:
            gates.switch(level, target, action, reason, timezone.now(), actor_of(request))
        told = f"{action}: {len(targets)} at level {level}." if targets else "None of the chosen runs has a key."
        self.message_user(request, told, messages.SUCCESS if targets else messages.WARNING)


def targets_of(level: str, chosen: QuerySet[BotRun]) -> list[int]:
    """Whom a switch at this level speaks for, of the chosen runs; a paper run has no key."""
    if level == Level.PLATFORM:
        return [0]
    named = {Level.USER: "user_id", Level.KEY: "key_id", Level.RUN: "pk"}[Level(level)]
    return sorted({target for target in chosen.values_list(named, flat=True) if target is not None})
