"""Finds out what became of our orders by asking with our own id; doubt is never settled by sending again."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from bots import ledger, orders
from bots.core.order_state import OrderState
from bots.models import Order, TradingAccount
from exchanges.core.errors import ExchangeFault, OrderNotFound
from exchanges.core.orders import OrderReport, ReportStatus
from exchanges.core.port import Exchange

#: The adapter's deadline and a margin: after that nobody can still be waiting for the reply.
SENDING_MAX_AGE = timedelta(seconds=12)
#: Signed requests are refused this long after the claim; then clock error and the exchange's own lag.
HORIZON = timedelta(seconds=5) + timedelta(seconds=5) + timedelta(seconds=3)
MISS_SPACING = timedelta(seconds=2)
MISSES_NEEDED = 3
LOOK_BACK = timedelta(seconds=10)
PACE = {OrderState.UNKNOWN: timedelta(seconds=2), OrderState.CANCELING: timedelta(seconds=1)}
NORMAL_PACE = timedelta(seconds=3)


@dataclass(slots=True)
class Settled:
    """What a pass over an account's orders did."""

    looked_at: int = 0
    ended: int = 0
    fills: int = 0
    fault: str = ""


def settle_account(
    account: TradingAccount, exchange: Exchange, at: datetime, actor: str, *, boot: bool = False
) -> Settled:
    """One pass over all orders of the account that are not final; one order's trouble never stops the next."""
    done = Settled()
    waiting = Order.objects.filter(account=account).live().select_related("run", "account").order_by("id")
    for order in waiting:
        if order.next_settle_at is not None and order.next_settle_at > at and not boot:
            continue
        done.looked_at += 1
        try:
            done.fills += settle(order, exchange, actor, at, boot=boot)
        except ExchangeFault as fault:
            # An error is never evidence: the order stays as it is and is asked for again.
            done.fault = f"{fault.code}: {fault.detail}"
        done.ended += order.ended_at is not None
    return done


def settle(order: Order, exchange: Exchange, actor: str, at: datetime, *, boot: bool = False) -> int:
    """Bring one order as near to its end as the exchange's answers allow; returns how many fills were new.

    ``boot``: no sender of ours can be alive, so that SENDING is unknown at once.
    """
    if order.state == OrderState.PLANNED:
        if at > order.expires_at:
            orders.transition(order, OrderState.EXPIRED_UNSENT, "too old to send", actor, at)
        return 0
    if order.state == OrderState.SENDING and not _give_up_waiting(order, actor, at, boot=boot):
        return 0
    try:
        report = exchange.fetch_order(order.symbol, order.client_order_id)
    except OrderNotFound:
        report = _second_source(order, exchange)
        if report is None:
            _missed(order, exchange, actor, at)
            return 0
    return adopt(order, report, exchange, actor, at)


def _give_up_waiting(order: Order, actor: str, at: datetime, *, boot: bool) -> bool:
    if order.send_at is None or (not boot and at - order.send_at <= SENDING_MAX_AGE):
        return False
    return orders.transition(order, OrderState.UNKNOWN, "its sender gave no answer", actor, at)


def adopt(order: Order, report: OrderReport, exchange: Exchange, actor: str, at: datetime) -> int:
    """Take the exchange's word: id, fills, state; final only when our fills add up to what it filled."""
    if order.exchange_order_id is None or order.state == OrderState.UNKNOWN:
        facts = {"exchange_order_id": report.exchange_order_id, "miss_count": 0, "first_miss_at": None}
        if not orders.transition(order, OrderState.OPEN, f"found as {report.exchange_order_id}", actor, at, **facts):
            return 0
    executions = [
        fill
        for fill in exchange.fetch_fills(order.symbol, exchange_order_id=report.exchange_order_id)
        if fill.exchange_order_id == report.exchange_order_id
    ]
    recorded = ledger.record_fills(order, executions, at)
    order.refresh_from_db()
    target = state_after(order, report)
    if target != order.state:
        orders.transition(order, target, _cause(report), actor, at, next_settle_at=at + NORMAL_PACE)
    else:
        _next_look(order, at)
    return recorded.added


def _cause(report: OrderReport) -> str:
    return f"exchange says {report.status}, filled {report.filled:f} of {report.amount:f}"


def state_after(order: Order, report: OrderReport) -> OrderState:
    """What the report and our own fills prove together."""
    if order.filled >= order.amount:
        return OrderState.FILLED
    if not report.status.final:
        return OrderState.PARTIAL if order.filled else OrderState.OPEN
    if order.filled < report.filled:
        # Its trades are not all visible yet: the end is known, the sum is not.
        return OrderState.PARTIAL if order.filled else OrderState.OPEN
    if report.status is ReportStatus.REJECTED and not order.filled:
        return OrderState.REJECTED if order.state in (OrderState.SENDING, OrderState.UNKNOWN) else OrderState.CANCELED
    return OrderState.EXPIRED if report.status is ReportStatus.EXPIRED else OrderState.CANCELED


def _second_source(order: Order, exchange: Exchange) -> OrderReport | None:
    """The account's own lists; a match is by client id only, never by price, amount or time."""
    since = (order.send_at or order.planned_at) - LOOK_BACK
    wanted = order.client_order_id
    for report in exchange.fetch_recent_orders(order.symbol, since):
        if report.client_order_id == wanted:
            return report
    return None


def _missed(order: Order, exchange: Exchange, actor: str, at: datetime) -> None:
    """One look-up from both sources said no. Absence counts only when it is proved."""
    if order.state in (OrderState.OPEN, OrderState.PARTIAL, OrderState.CANCELING):
        facts = {"miss_count": 0, "first_miss_at": None, "last_miss_at": None, "next_settle_at": at}
        orders.transition(order, OrderState.UNKNOWN, "the exchange does not find it", actor, at, **facts)
        return
    if order.last_miss_at is None or at - order.last_miss_at >= MISS_SPACING:
        order.miss_count += 1
        order.first_miss_at = order.first_miss_at or at
        order.last_miss_at = at
        order.save(update_fields=["miss_count", "first_miss_at", "last_miss_at"])
    if absence_proved(order, exchange, at):
        orders.transition(order, OrderState.NOT_PLACED, f"absent in {order.miss_count} look-ups", actor, at)
    else:
        _next_look(order, at)


def absence_proved(order: Order, exchange: Exchange, at: datetime) -> bool:
    """Late requests are refused by now, enough spaced look-ups said no, and no execution is unexplained."""
    if order.send_at is None or order.exchange_order_id or order.filled > Decimal(0):
        return False
    if order.miss_count < MISSES_NEEDED or at < order.send_at + HORIZON:
        return False
    since = order.send_at - LOOK_BACK
    listed = {report.exchange_order_id for report in exchange.fetch_recent_orders(order.symbol, since)}
    ours = set(
        Order.objects.filter(account_id=order.account_id, symbol=order.symbol)
        .exclude(exchange_order_id=None)
        .values_list("exchange_order_id", flat=True)
    )
    executed = {fill.exchange_order_id for fill in exchange.fetch_fills(order.symbol, since=since)}
    return not executed - listed - ours


def _next_look(order: Order, at: datetime) -> None:
    pace = PACE.get(OrderState(order.state), NORMAL_PACE)
    Order.objects.filter(pk=order.pk, fence=order.fence).update(next_settle_at=at + pace)
