"""When "not found" may be believed: enough spaced look-ups, no request still on its way, no unexplained execution."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bots import connect, orders
from bots.core.order_state import OrderState
from bots.models import Order
from exchanges.core.orders import OrderReport
from exchanges.core.port import Exchange

#: Signed requests are refused this long after the claim; then clock error and the exchange's own lag.
HORIZON = timedelta(seconds=5) + timedelta(seconds=5) + timedelta(seconds=3)
MISS_SPACING = timedelta(seconds=2)
MISSES_NEEDED = 3
LOOK_BACK = timedelta(seconds=10)
#: How far back a stray execution's order is looked for: somebody's own, resting on the same account.
STRAY_LOOK_BACK = timedelta(days=7)
#: What a client id has in common with the one that comes back from an exchange that shortens it.
ID_LENGTH = 28


def same_id(ours: str, theirs: str | None) -> bool:
    return theirs is not None and ours[:ID_LENGTH] == theirs[:ID_LENGTH]


def second_source(order: Order, exchange: Exchange) -> OrderReport | None:
    """The account's own lists; a match is by client id only, never by price, amount or time."""
    since = (order.send_at or order.planned_at) - LOOK_BACK
    listed = exchange.fetch_recent_orders(order.symbol, since)
    return next((report for report in listed if same_id(order.client_order_id, report.client_order_id)), None)


def count_miss(order: Order, at: datetime) -> None:
    """Both sources said no at ``at``; look-ups closer together than the spacing count once."""
    if order.last_miss_at is not None and at - order.last_miss_at < MISS_SPACING:
        return
    order.miss_count += 1
    order.first_miss_at = order.first_miss_at or at
    order.last_miss_at = at
    # Of this look at the order only: it may have been found meanwhile.
    Order.objects.filter(pk=order.pk, fence=order.fence).update(
        miss_count=order.miss_count, first_miss_at=order.first_miss_at, last_miss_at=at
    )


def missed(order: Order, exchange: Exchange, actor: str, at: datetime) -> None:
    """One look-up from both sources said no. Absence counts only when it is proved."""
    if order.state in (OrderState.OPEN, OrderState.PARTIAL, OrderState.CANCELING):
        facts: dict[str, Any] = {"miss_count": 0, "first_miss_at": None, "last_miss_at": None, "next_settle_at": at}
        orders.transition(order, OrderState.UNKNOWN, "the exchange does not find it", actor, at, **facts)
        return
    count_miss(order, at)
    if proved(order, exchange, at):
        orders.transition(order, OrderState.NOT_PLACED, f"absent in {order.miss_count} look-ups", actor, at)


def proved(order: Order, exchange: Exchange, at: datetime) -> bool:
    """Late requests are refused by now, enough spaced look-ups said no, and no execution is unexplained."""
    if order.send_at is None or order.exchange_order_id or order.filled > Decimal(0):
        return False
    if order.miss_count < MISSES_NEEDED or at < order.send_at + HORIZON + connect.lingers(order):
        return False
    return not _unexplained(order, exchange, order.send_at)


def _unexplained(order: Order, exchange: Exchange, sent_at: datetime) -> set[str]:
    """Exchange ids of executions since the claim that belong to no order that the exchange lists, or that we know."""
    since = sent_at - LOOK_BACK
    ours = Order.objects.filter(account_id=order.account_id, symbol=order.symbol).exclude(exchange_order_id=None)
    executed = {fill.exchange_order_id for fill in exchange.fetch_fills(order.symbol, since=since)}
    stray = executed - set(ours.values_list("exchange_order_id", flat=True))
    for earlier in (since, since - STRAY_LOOK_BACK):
        if stray:
            stray -= {report.exchange_order_id for report in exchange.fetch_recent_orders(order.symbol, earlier)}
    return stray
