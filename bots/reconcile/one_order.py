"""Brings one order as near to its end as the exchange's answers allow."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from bots import ledger, orders
from bots.core.order_state import FINAL, OrderState
from bots.core.risk import Gate
from bots.models import CaseKind, Order
from bots.reconcile import absence, incidents
from exchanges.core.errors import OrderNotFound
from exchanges.core.orders import FillReport, OrderReport, ReportStatus
from exchanges.core.port import Exchange

#: The adapter's deadline and a margin: after that nobody can still be waiting for the reply.
SENDING_MAX_AGE = timedelta(seconds=12)
#: An order whose end is not known after this long needs a person.
UNRESOLVED_AFTER = timedelta(seconds=300)
PACE = {OrderState.UNKNOWN: timedelta(seconds=2), OrderState.CANCELING: timedelta(seconds=1)}
NORMAL_PACE = timedelta(seconds=3)


def settle(order: Order, exchange: Exchange, actor: str, at: datetime, *, boot: bool = False) -> int:
    """Ask about one order and take the answer; returns how many fills were new.

    ``boot``: the process that sent it is thought dead, so that SENDING is unknown at once. Should it live all the
    same, nothing is lost: it finds its order changed and drops its view, and absence waits for the horizon.
    """
    if order.state == OrderState.PLANNED:
        if at > order.expires_at:
            orders.transition(order, OrderState.EXPIRED_UNSENT, "too old to send", actor, at)
        return 0
    if order.state == OrderState.SENDING and not _give_up_waiting(order, actor, at, boot=boot):
        return 0
    try:
        added = _ask(order, exchange, actor, at)
    finally:
        # Also after a fault: an error is never evidence, and the order stays as it is.
        look_again_later(order, at)
    return added


def _give_up_waiting(order: Order, actor: str, at: datetime, *, boot: bool) -> bool:
    if order.send_at is None or (not boot and at - order.send_at <= SENDING_MAX_AGE):
        return False
    return orders.transition(order, OrderState.UNKNOWN, "its sender gave no answer", actor, at)


def _ask(order: Order, exchange: Exchange, actor: str, at: datetime) -> int:
    try:
        report = exchange.fetch_order(order.symbol, order.client_order_id)
    except OrderNotFound:
        found = absence.second_source(order, exchange)
        if found is None:
            absence.missed(order, exchange, actor, at)
            return 0
        report = found
    return adopt(order, report, exchange, actor, at)


def adopt(order: Order, report: OrderReport, exchange: Exchange, actor: str, at: datetime) -> int:
    """Take the exchange's word: id, fills, state; final only when our fills add up to what it filled."""
    renamed = order.exchange_order_id not in {None, report.exchange_order_id}
    if renamed and order.state in (OrderState.OPEN, OrderState.PARTIAL, OrderState.CANCELING):
        # Our id is unique there: it is the same order, which goes on under another number.
        orders.transition(order, OrderState.UNKNOWN, f"goes on as {report.exchange_order_id}", actor, at)
    if order.state == OrderState.UNKNOWN:
        # That it exists is written down first: from now on no number of misses can prove its absence.
        facts: dict[str, Any] = {"exchange_order_id": report.exchange_order_id, "miss_count": 0, "first_miss_at": None}
        if not orders.transition(order, OrderState.OPEN, f"found as {report.exchange_order_id}", actor, at, **facts):
            return 0
    added = book(order, exchange.fetch_fills(order.symbol, exchange_order_id=report.exchange_order_id), at)
    order.refresh_from_db()
    target = state_after(order, report)
    # Another worker may have learned its end meanwhile; ends are final.
    if order.state not in FINAL and target != order.state:
        said = f"exchange says {report.status}, filled {report.filled:f} of {report.amount:f}"
        orders.transition(order, target, said, actor, at)
    return added


@transaction.atomic
def book(order: Order, reports: Iterable[FillReport], at: datetime) -> int:
    """Book the order's own executions; late or excessive ones halt the account in the same transaction."""
    recorded = ledger.record_fills(order, [fill for fill in reports if _is_of(order, fill)], at)
    if recorded.late or recorded.overfilled:
        kind = CaseKind.LATE_FILL if recorded.late else CaseKind.OVERFILL
        detail = f"Order {order.client_order_id} was {order.state} with {order.filled:f} of {order.amount:f} filled."
        incidents.tell(order.account, kind, f"order:{order.pk}", detail, {"order": order.pk}, at)
    return recorded.added


def _is_of(order: Order, fill: FillReport) -> bool:
    return order.exchange_order_id is not None and fill.exchange_order_id == order.exchange_order_id


def state_after(order: Order, report: OrderReport) -> OrderState:
    """What the report and our own fills prove together."""
    if order.filled >= order.amount:
        return OrderState.FILLED
    # "Closed" without any execution is a report that came before its trades.
    complete = order.filled >= report.filled and (order.filled > 0 or report.status is not ReportStatus.CLOSED)
    if not report.status.final or not complete:
        return OrderState.PARTIAL if order.filled else OrderState.OPEN
    return OrderState.EXPIRED if report.status is ReportStatus.EXPIRED else OrderState.CANCELED


def look_again_later(order: Order, at: datetime) -> None:
    """Pace the next look, and tell a person when the order has been in doubt for too long.

    Whoever was overtaken, such as by a look that took its time, tells nobody of what is settled by now.
    """
    if order.state in FINAL:
        return
    pace = PACE.get(OrderState(order.state), NORMAL_PACE)
    as_it_was = Order.objects.filter(pk=order.pk, fence=order.fence).update(next_settle_at=at + pace)
    in_doubt = as_it_was and order.state == OrderState.UNKNOWN
    if in_doubt and order.send_at and at - order.send_at > UNRESOLVED_AFTER:
        detail = f"What became of order {order.client_order_id} is not known since {order.send_at:%Y-%m-%d %H:%M} UTC."
        told: dict[str, Any] = {"order": order.pk, "state": order.state}
        incidents.tell(order.account, CaseKind.UNRESOLVED, f"order:{order.pk}", detail, told, at, Gate.REDUCING)
