"""The operator's view of runs, orders and risk: ledgers are read-only, actions call the same functions as pages."""

from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from accounts.auth import actor_of
from bots import acting, breakers, lifecycle, settling, watch
from bots import admin_cases as admin_cases  # found by the admin through this module
from bots import admin_drift as admin_drift  # found by the admin through this module
from bots import admin_research as admin_research  # found by the admin through this module
from bots import admin_risk as admin_risk  # found by the admin through this module
from bots.admin_base import ReadOnly
from bots.admin_switch import SwitchActions
from bots.models import (
    BotRun,
    Breaker,
    BreakerEvent,
    CapitalEntry,
    Decision,
    Fill,
    Order,
    OrderEvent,
    TradeLog,
    TradingAccount,
    TradingGate,
)

# django-stubs' classes are generic, Django's own are not.
if TYPE_CHECKING:
    _TabularInline = admin.TabularInline[OrderEvent, Order]
else:
    _TabularInline = admin.TabularInline


@admin.register(BotRun)
class BotRunAdmin(SwitchActions):
    list_display = (
        "id",
        "user",
        "strategy",
        "symbol",
        "timeframe",
        "mode",
        "status",
        "capital",
        "held",
        "heartbeat_at",
    )
    list_filter = ("status", "mode", "exchange", "strategy")
    list_select_related = ("user", "strategy")
    search_fields = ("id", "user__email", "symbol")
    actions = ("stop_keep", "stop_close", "halt", "reduce", "flatten", "resume_trading", "settle_orders")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # The actions need it; every field stays read-only.
        return bool(request.user.is_staff)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [field.name for field in BotRun._meta.fields]

    @admin.action(description="Stop, keep the position")
    def stop_keep(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        self._stop(request, chosen, "keep")

    @admin.action(description="Stop and sell the position")
    def stop_close(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        self._stop(request, chosen, "close")

    def _stop(self, request: HttpRequest, chosen: QuerySet[BotRun], on_open_position: str) -> None:
        at = timezone.now()
        for run in chosen:
            lifecycle.stop(run, on_open_position, at, actor_of(request))
            watch.watch_run(run.pk, at)
        self.message_user(request, f"{chosen.count()} runs are stopping.", messages.SUCCESS)

    @admin.action(description="Settle orders now")
    def settle_orders(self, request: HttpRequest, chosen: QuerySet[BotRun]) -> None:
        at = timezone.now()
        done = [settling.settle_all(at, acting.worker_name(), run=run) for run in chosen]
        told = f"{sum(one.looked_at for one in done)} orders looked at, {sum(one.fills for one in done)} fills booked."
        self.message_user(request, told, messages.SUCCESS)


class EventInline(_TabularInline):
    model = OrderEvent
    fields = ("sequence", "at", "from_state", "to_state", "cause", "actor")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


@admin.register(Order)
class OrderAdmin(ReadOnly):
    list_display = ("id", "run", "side", "amount", "symbol", "purpose", "state", "filled", "planned_at")
    list_filter = ("state", "purpose", "side")
    search_fields = ("client_order_id", "exchange_order_id")
    list_select_related = ("run",)
    inlines = (EventInline,)


@admin.register(Fill)
class FillAdmin(ReadOnly):
    list_display = ("id", "run", "side", "amount", "price", "fee", "fee_asset", "symbol", "executed_at")
    list_select_related = ("run",)
    search_fields = ("trade_id",)


@admin.register(TradeLog)
class TradeLogAdmin(ReadOnly):
    list_display = ("id", "run", "side", "quantity", "price", "fee", "fee_asset", "pnl", "symbol", "executed_at")
    list_filter = ("mode", "side", "symbol")
    list_select_related = ("run",)


@admin.register(Decision)
class DecisionAdmin(ReadOnly):
    list_display = ("id", "run", "at", "action", "code", "reason")
    list_filter = ("action", "code")
    list_select_related = ("run",)


@admin.register(TradingAccount)
class TradingAccountAdmin(ReadOnly):
    list_display = ("id", "owner", "mode", "exchange", "banned_until")
    list_select_related = ("owner",)


@admin.register(Breaker)
class BreakerAdmin(ReadOnly):
    list_display = ("id", "level", "target", "mode", "quote", "name", "state", "reason", "tripped_at", "half_open_at")
    list_filter = ("state", "name", "level", "mode", "quote")
    actions = ("reset",)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        # The action needs it; every field stays read-only.
        return bool(request.user.is_staff)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[str]:
        return [field.name for field in Breaker._meta.fields]

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


@admin.register(CapitalEntry)
class CapitalEntryAdmin(ReadOnly):
    list_display = ("id", "at", "kind", "amount", "quote", "run", "account")
    list_filter = ("kind", "quote", "account__mode")
    list_select_related = ("run", "account")


@admin.register(TradingGate)
class TradingGateAdmin(ReadOnly):
    list_display = ("level", "target", "state", "reason", "actor", "changed_at")
