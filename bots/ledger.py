"""Books what the exchange executed: fills once each, and all that follows from them in one transaction."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction
from django.db.models import Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from bots.core import grid
from bots.core.intent import GRID, line_of
from bots.core.order_state import FINAL, OrderState
from bots.core.position import FillFact, Position, average_price, book, fold
from bots.models import BotRun, Fill, Order, RunPosition, TradeLog
from bots.models.order import POSITION_FIELDS
from exchanges.core.decimals import ZERO
from exchanges.core.orders import FillReport, Side


@dataclass(frozen=True, slots=True)
class Recorded:
    """How many fills were new; whether they came after an unfilled end, or are more than was asked for."""

    added: int
    late: bool = False
    overfilled: bool = False


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
    entered_at = fill.order.send_at if fill.order.intent.begins_position else None
    return FillFact(Side(fill.side), fill.amount, fill.price, fill.fee, fill.fee_asset, fill.executed_at, entered_at)


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
        return Recorded(0)
    state = Order.objects.values_list("state", flat=True).get(pk=order.pk)
    for report in sorted(fresh, key=lambda report: (report.executed_at, report.trade_id)):
        _book(order, row, report, at)
    row.save()
    BotRun.objects.filter(pk=order.run_id).update(held=row.amount)
    _total(order)
    # An order that we believed to have ended unfilled: booked all the same, and told by the caller.
    return Recorded(len(fresh), state in FINAL and state != OrderState.FILLED, order.filled > order.amount)


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
    booked = book(before, grid.of_lot(_lot_before(fill), fact(fill)), run.base, run.quote)
    _store(row, booked.position, fill.pk)
    if booked.position.opened_at not in (None, before.opened_at):
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
    """Filled and average are sums over the fills, never increments; added here, as SQLite adds decimals as floats."""
    fills = [fact(fill) for fill in order.fills.all()]
    order.filled = sum((fill.amount for fill in fills), ZERO)
    order.average = average_price(fills) if order.filled else None
    order.save(update_fields=["filled", "average"])


def stakes_of(run: BotRun) -> tuple[Decimal, ...]:
    """What each entry paid on average since the run last sold anything, the first one first."""
    sold = Fill.objects.filter(run=run, side=Side.SELL.value).order_by("-id").values("id")[:1]
    bought = Order.objects.filter(run=run, side=Side.BUY.value, fills__id__gt=Coalesce(Subquery(sold), 0)).distinct()
    return tuple(order.average for order in bought.order_by("id") if order.average is not None)


def lots_of(run: BotRun) -> dict[int, Position]:
    """What each line of a grid holds: the fold of its own fills since everything was last sold."""
    lots: dict[int, Position] = {}
    for fill in _of_lines(run).select_related("order").order_by("id"):
        lots = grid.fold_lots(lots, fill.order.intent.slot_leg, fact(fill), run.base, run.quote)
    return lots


def _of_lines(run: BotRun) -> QuerySet[Fill]:
    lines = Q(order__slot__contains=f":{GRID}")
    all_sold = Fill.objects.filter(~lines, run=run, side=Side.SELL.value).order_by("-id").values("id")[:1]
    return Fill.objects.filter(lines, run=run, id__gt=Coalesce(Subquery(all_sold), 0))


def _lot_before(fill: Fill) -> Position:
    """The lot of the fill's own line before it; nothing for an order of no line, which is priced at the average."""
    if line_of(fill.order.intent.slot_leg) is None or fill.side == Side.BUY:
        return Position()
    earlier = _of_lines(fill.run).filter(order__slot=fill.order.slot, id__lt=fill.pk)
    facts = (fact(one) for one in earlier.select_related("order").order_by("id"))
    return fold(facts, fill.run.base, fill.run.quote)


def refold(run: BotRun) -> Position:
    """The position from all of the run's fills: what the cached row must equal."""
    position, lots = Position(), dict[int, Position]()
    for fill in run.fills.select_related("order").order_by("id"):
        leg, one = fill.order.intent.slot_leg, fact(fill)
        own = lots.get(line, Position()) if (line := line_of(leg)) is not None else Position()
        position = book(position, grid.of_lot(own, one), run.base, run.quote).position
        lots = grid.fold_lots(lots, leg, one, run.base, run.quote)
    return position
