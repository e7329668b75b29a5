"""Cases and limits in the administration: evidence is read, actions call the same functions as pages."""

import json

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.auth import actor_of
from bots import cases
from bots.admin.base import ReadOnly
from bots.lifecycle import StartRefused
from bots.models import Incident
from bots.queries.case_words import HOLDS, words_of


class NoteForm(ActionForm):
    note = forms.CharField(required=False, max_length=300, label="What was found:")


@admin.register(Incident)
class CaseAdmin(ReadOnly):
    list_display = ("id", "account", "kind", "detail", "hold", "at", "last_at", "passes", "agreed_at", "resolved_at")
    list_filter = (("resolved_at", admin.EmptyFieldListFilter), "kind", "hold", "account__mode", "account__exchange")
    list_select_related = ("account",)
    search_fields = ("id", "subject", "detail", "account__owner__email")
    date_hierarchy = "at"
    fields = (
        *("account", "kind", "subject", "detail", "explanation", "what_to_check", "holds_back", "evidence_table"),
        *("at", "last_at", "passes", "agreed_at", "resolved_at", "resolved_by", "resolution"),
    )
    readonly_fields = fields
    action_form = NoteForm
    actions = ("resolve", "accept", "recheck")

    @admin.display(description="What happened")
    def explanation(self, case: Incident) -> str:
        return words_of(case.kind).so

    @admin.display(description="What to look at")
    def what_to_check(self, case: Incident) -> str:
        return words_of(case.kind).check

    @admin.display(description="What it holds back")
    def holds_back(self, case: Incident) -> str:
        return HOLDS[case.hold] if case.resolved_at is None else "Nothing: it is resolved."

    @admin.display(description="Evidence")
    def evidence_table(self, case: Incident) -> SafeString:
        return format_html("<pre>{}</pre>", json.dumps(case.evidence, indent=1))

    @admin.action(description="Resolve, with a note: the books were compared by a person")
    def resolve(self, request: HttpRequest, chosen: QuerySet[Incident]) -> None:
        self._resolve(request, chosen, accept=False)

    @admin.action(description="Resolve, with a note, and take the exchange's balance as right")
    def accept(self, request: HttpRequest, chosen: QuerySet[Incident]) -> None:
        self._resolve(request, chosen, accept=True)

    def _resolve(self, request: HttpRequest, chosen: QuerySet[Incident], *, accept: bool) -> None:
        note, at, done = request.POST.get("note", "").strip(), timezone.now(), 0
        if not note:
            self.message_user(request, "Say what was found, beside the action. Nothing was resolved.", messages.ERROR)
            return
        for case in chosen.filter(resolved_at=None):
            try:
                cases.resolve(case, note, at, actor_of(request), accept=accept)
                done += 1
            except StartRefused as refused:
                self.message_user(request, f"Case {case.pk}: {refused.detail}", messages.WARNING)
        self.message_user(request, f"{done} cases are resolved.", messages.SUCCESS)

    @admin.action(description="Check again now: ask the exchange")
    def recheck(self, request: HttpRequest, chosen: QuerySet[Incident]) -> None:
        at = timezone.now()
        for case in chosen.select_related("account"):
            done = cases.recheck(case, at)
            told = f"Case {case.pk}: {done.verdict.replace('_', ' ')}. {' '.join(done.faults)}"
            self.message_user(request, told, messages.WARNING if done.faults else messages.SUCCESS)
