"""The operator's view of orders, fills, trades, decisions and capital: ledgers, so looked at and never written."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest

from bots.admin.base import ReadOnly
from bots.models import CapitalEntry, Decision, Fill, Order, OrderEvent, TradeLog, TradingAccount

# django-stubs' classes are generic, Django's own are not.
if TYPE_CHECKING:
    _TabularInline = admin.TabularInline[OrderEvent, Order]
else:
    _TabularInline = admin.TabularInline


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


@admin.register(CapitalEntry)
class CapitalEntryAdmin(ReadOnly):
    list_display = ("id", "at", "kind", "amount", "quote", "run", "account")
    list_filter = ("kind", "quote", "account__mode")
    list_select_related = ("run", "account")
