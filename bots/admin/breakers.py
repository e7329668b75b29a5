"""The operator's view of what stops orders: circuit breakers with their reset, and the switches' states."""

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.auth import actor_of
from bots import breakers
from bots.admin.base import ReadOnly, WithActions
from bots.models import Breaker, BreakerEvent, TradingGate


@admin.register(Breaker)
class BreakerAdmin(WithActions):
    list_display = ("id", "level", "target", "mode", "quote", "name", "state", "reason", "tripped_at", "half_open_at")
    list_filter = ("state", "name", "level", "mode", "quote")
    actions = ("reset",)

    @admin.action(description="Reset: allow entries again")
    def reset(self, request: HttpRequest, chosen: QuerySet[Breaker]) -> None:
        open_ones = [row for row in chosen if row.state != "closed"]
        for row in open_ones:
            breakers.reset(row, "by the operator in the admin", timezone.now(), actor_of(request))
        self.message_user(request, f"{len(open_ones)} breakers are closed.", messages.SUCCESS)


@admin.register(BreakerEvent)
class BreakerEventAdmin(ReadOnly):
    list_display = ("id", "at", "breaker", "from_state", "to_state", "reason", "actor")
    list_select_related = ("breaker",)


@admin.register(TradingGate)
class TradingGateAdmin(ReadOnly):
    list_display = ("level", "target", "state", "reason", "actor", "changed_at")
