"""Books what the exchange executed: fills once each, and all that follows from them in one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from bots.core.order_state import FINAL, OrderState
from bots.core.position import FillFact, Position, book, fold
from bots.models import BotRun, Fill, Incident, Order, RunPosition, TradeLog
from bots.models.order import POSITION_FIELDS
from exchanges.core.decimals import ZERO, storable
from exchanges.core.orders import FillReport, Side


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many fills were new, and whether any came after the order's end was known."""

    added: int
    late: bool


def position_of(row: RunPosition) -> Position:
    return Position(
        amount=row.amount,
        entry_price=row.entry_price,
        realized=row.realized,
        fees=row.fees,
        open_fees=row.open_fees,
        cash=row.cash,
        other_fees={asset: Decimal(amount) for asset, amount in row.other_fees.items()},
        opened_at=row.opened_at,
    )


def fact(fill: Fill) -> FillFact:
    return FillFact(Side(fill.side), fill.amount, fill.price, fill.fee, fill.fee_asset, fill.executed_at)


def locked_position(run: BotRun) -> RunPosition:
    """The run's position row, locked: every fold of the run goes through it."""
    return RunPosition.objects.select_for_update().get_or_create(run=run)[0]


@transaction.atomic
def record_fills(order: Order, reports: Iterable[FillReport], at: datetime) -> Recorded:
    """Book the executions not yet known: Fill, TradeLog, position, order totals. Safe to repeat."""
    # The run first, as every writer does: two that met crosswise would deadlock.
    BotRun.objects.select_for_update(no_key=True).get(pk=order.run_id)
    row = locked_position(order.run)
    known = set(order.fills.values_list("trade_id", flat=True))
    fresh = [report for report in reports if report.trade_id not in known]
    if not fresh:
        return Recorded(0, late=False)
    state = Order.objects.values_list("state", flat=True).get(pk=order.pk)
    for report in sorted(fresh, key=lambda report: (report.executed_at, report.trade_id)):
        _book(order, row, report, at)
    row.save()
    BotRun.objects.filter(pk=order.run_id).update(held=row.amount)
    _total(order)
    # A fill of an order that we believed to have ended unfilled is booked all the same, and told.
    late = state in FINAL and state != OrderState.FILLED
    if late or order.filled > order.amount:
        _tell(order, "late_fill" if late else "overfill", [report.trade_id for report in fresh], at)
    return Recorded(len(fresh), late=late)


def _book(order: Order, row: RunPosition, report: FillReport, at: datetime) -> None:
    run = order.run
    fill = Fill.objects.create(
        order=order,
        run=run,
        account_id=order.account_id,
        symbol=order.symbol,
        trade_id=report.trade_id,
        side=report.side.value,
        amount=report.amount,
        price=report.price,
        fee=report.fee,
        fee_asset=report.fee_asset,
        executed_at=report.executed_at,
        booked_at=at,
    )
    before = position_of(row)
    booked = book(before, fact(fill), run.base, run.quote)
    _store(row, booked.position, fill.pk)
    if before.amount == 0 and booked.position.amount > 0:
        row.peak_price = report.price
    _remember(row, booked.pnl, report.executed_at)
    TradeLog.objects.create(
        run=run,
        order=order,
        fill=fill,
        user_id=run.user_id,
        mode=run.mode,
        symbol=order.symbol,
        quote=run.quote,
        side=fill.side,
        quantity=fill.amount,
        price=fill.price,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        pnl=booked.pnl,
        executed_at=fill.executed_at,
    )


def _store(row: RunPosition, position: Position, through: int) -> None:
    row.through = through
    for name in POSITION_FIELDS:
        setattr(row, name, getattr(position, name))
    row.other_fees = {asset: format(amount, "f") for asset, amount in position.other_fees.items()}
    row.opened_at = position.opened_at


def _remember(row: RunPosition, pnl: Decimal | None, at: datetime) -> None:
    """What the protections ask for: how many losses in a row, and when the last one was."""
    if pnl is None:
        return
    if pnl < 0:
        row.loss_streak, row.last_loss_at = row.loss_streak + 1, at
    else:
        row.loss_streak = 0


def _total(order: Order) -> None:
    """Filled and average are sums over the fills, never increments."""
    parts = list(order.fills.values_list("amount", "price"))
    filled = sum((amount for amount, _ in parts), ZERO)
    notional = sum((amount * price for amount, price in parts), ZERO)
    order.filled = filled
    order.average = storable(notional / filled) if filled else None
    order.save(update_fields=["filled", "average"])


def _tell(order: Order, kind: str, trade_ids: list[str], at: datetime) -> None:
    Incident.objects.create(
        account_id=order.account_id,
        kind=kind,
        detail=f"Order {order.client_order_id} was {order.state} with {order.filled} of {order.amount} filled.",
        evidence={"order": order.pk, "trades": trade_ids},
        at=at,
    )


def refold(run: BotRun) -> Position:
    """The position from all of the run's fills: what the cached row must equal."""
    return fold((fact(fill) for fill in run.fills.order_by("id")), run.base, run.quote)
