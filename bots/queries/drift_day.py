"""A run's day as its rows tell it: what it began with, what it ordered and was filled, what it wrote down."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

from django.conf import settings
from django.db.models import Q

from bots import ledger
from bots.core import grid
from bots.core.breaker import ClosedTrade
from bots.core.codes import Code
from bots.core.drift.terms import Heard, Lived, LiveFill, LiveOrder, Memory
from bots.core.intent import line_of
from bots.core.order_state import UNSENT, OrderState
from bots.core.position import FillFact, Position, average_price, book
from bots.models import BotRun, Decision, EquityPoint, Fill, Order, OrderEvent
from bots.models.drift import first_day, last_day
from bots.situation import limits_of
from exchanges.core import demo
from exchanges.core.candles import timeframe_ms
from exchanges.core.decimals import ZERO
from exchanges.core.orders import OrderType, Side

DAY: Final = timedelta(days=1)
#: Signs of life around the day, so that its first and last minutes are not taken for silence.
AROUND: Final = timedelta(hours=1)
#: Of the closed trades before the day, those that a protection may still count.
MOST_TRADES: Final = 500
CANDLE_KEY: Final = re.compile(r"candle:(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ):")


def begins(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def ends(run: BotRun, day: date) -> datetime:
    """The day's end, or the run's, if that came first."""
    end = begins(day) + DAY
    return end if run.stopped_at is None else min(end, run.stopped_at)


def lived_of(run: BotRun, day: date, at: datetime) -> Lived:
    """All that the report needs of the database, in a fixed number of statements."""
    begin, end = begins(day), begins(day) + DAY
    step = timedelta(milliseconds=timeframe_ms(run.timeframe))
    decisions = Decision.objects.filter(run=run).filter(
        Q(candle_opened_at__gte=begin - step, candle_opened_at__lt=end)
        | Q(candle_opened_at=None, at__gte=begin, at__lt=end + AROUND)
    )
    start = replace(_memory(run, begin), resting=_resting(run, begin))
    orders = _orders(run, begin, end, [order.id for order in start.resting])
    return Lived(
        capital=run.capital,
        start=start,
        orders=orders,
        journal=[_heard(row) for row in decisions.order_by("id")],
        signs=_signs(begin, end),
        pruned=run.exchange == demo.NAME and at - begin > timedelta(days=settings.JOURNAL_DEMO_DAYS),
    )


def first_heard(run: BotRun) -> datetime | None:
    """The candle of the run's first decision: before it, the run was not there."""
    first = Decision.objects.filter(run=run, candle_opened_at__isnull=False).order_by("id")
    return first.values_list("candle_opened_at", flat=True).first()


def candle_of(key: str) -> datetime | None:
    """The candle that a decision's key names."""
    found = CANDLE_KEY.match(key)
    return datetime.strptime(found[1], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if found else None


def _heard(row: Decision) -> Heard:
    return Heard(
        candle=row.candle_opened_at,
        at=row.at,
        action=row.action,
        code=row.code,
        reason=row.reason,
        close=row.close,
        indicators=row.indicators,
        order=row.order_id,
    )


def _orders(run: BotRun, begin: datetime, end: datetime, known: Sequence[int]) -> list[LiveOrder]:
    """Those that were written down on the day, filled on it, or known to rest when it began."""
    fills: dict[int, list[Fill]] = {}
    for fill in run.fills.filter(executed_at__gte=begin, executed_at__lt=end).order_by("executed_at", "id"):
        fills.setdefault(fill.order_id, []).append(fill)
    planned = Q(planned_at__gte=begin, planned_at__lt=end)
    rows = list(Order.objects.filter(run=run).filter(planned | Q(pk__in=[*fills, *known])).order_by("id"))
    codes, why = _codes(row.pk for row in rows), _called_back(row.pk for row in rows)
    return [replace(_order(row, codes.get(row.pk, ""), fills.get(row.pk, [])), why=why.get(row.pk, "")) for row in rows]


def _called_back(orders: Iterable[int]) -> dict[int, str]:
    """Why we asked the exchange to end an order."""
    events = OrderEvent.objects.filter(order__in=list(orders), to_state=OrderState.CANCELING)
    return dict(events.order_by("-id").values_list("order_id", "cause"))


def _resting(run: BotRun, begin: datetime) -> tuple[LiveOrder, ...]:
    """What waited at the exchange when the day began, with what of it was not filled by then."""
    waiting = Q(ended_at=None) | Q(ended_at__gte=begin)
    rows = Order.objects.filter(waiting, run=run, rests=True, type=OrderType.LIMIT.value, planned_at__lt=begin)
    found = list(rows.exclude(send_at=None).exclude(state__in=[*UNSENT, OrderState.REJECTED, OrderState.NOT_PLACED]))
    filled: dict[int, Decimal] = {}
    for fill in Fill.objects.filter(order__in=[row.pk for row in found], executed_at__lt=begin):
        filled[fill.order_id] = filled.get(fill.order_id, ZERO) + fill.amount
    left = [replace(_order(row, "", []), amount=row.amount - filled.get(row.pk, ZERO)) for row in found]
    return tuple(order for order in left if order.amount > 0)


def _codes(orders: Iterable[int]) -> dict[int, str]:
    return dict(Decision.objects.filter(order__in=list(orders)).values_list("order_id", "code"))


def _order(row: Order, code: str, fills: Iterable[Fill]) -> LiveOrder:
    return LiveOrder(
        id=row.pk,
        side=Side(row.side),
        key=row.decision_key,
        code=code,
        candle=candle_of(row.decision_key),
        planned_at=row.planned_at,
        price=row.price,
        amount=row.amount,
        filled=row.filled,
        state=row.state,
        reject_code=row.reject_code,
        free=_number(row.risk_snapshot.get("free")),
        fills=tuple(LiveFill(one.executed_at, one.amount, one.price, one.fee, one.fee_asset) for one in fills),
        leg=row.intent.slot_leg,
        # A stop that rests is a protection: it is compared where it sold.
        rests=row.rests and row.type == OrderType.LIMIT,
        limit=row.limit_price,
        rest_until=row.rest_until,
        ended_at=row.ended_at,
    )


def _number(text: str | None) -> Decimal | None:
    try:
        return None if text is None else Decimal(text)
    except InvalidOperation:
        return None


def _memory(run: BotRun, begin: datetime) -> Memory:
    """The fold of all fills before the day, with the trades that they closed."""
    fills = list(run.fills.filter(executed_at__lt=begin).select_related("order").order_by("id"))
    codes = _codes({fill.order_id for fill in fills if fill.side == Side.SELL.value})
    position, closed, lots = Position(), dict[int, ClosedTrade](), dict[int, Position]()
    stakes: dict[int, list[FillFact]] = {}
    for fill in fills:
        before, leg, fact = position, fill.order.intent.slot_leg, ledger.fact(fill)
        line = line_of(leg)
        own = before if line is None else lots.get(line, Position())
        fact = fact if line is None else grid.of_lot(own, fact)
        booked = book(position, fact, run.base, run.quote)
        position, lots = booked.position, grid.fold_lots(lots, leg, fact, run.base, run.quote)
        if booked.pnl is None:
            stakes.setdefault(fill.order_id, []).append(fact)
            continue
        stakes.clear()
        code = Code(codes[fill.order_id]) if codes.get(fill.order_id) in set(Code) else Code.SIGNAL_SELL
        fresh = ClosedTrade(own.opened_at or fill.executed_at, fill.executed_at, ZERO, code)
        trade = closed.get(fill.order_id, fresh)
        closed[fill.order_id] = replace(trade, at=fill.executed_at, pnl=trade.pnl + booked.pnl)
    return Memory(
        position=position,
        stakes=tuple(average_price(stakes[order]) for order in sorted(stakes)),
        peak_equity=_peak(run, begin),
        trades=tuple(closed.values())[-MOST_TRADES:],
        lots=lots,
    )


def _peak(run: BotRun, before: datetime) -> Decimal | None:
    """The highest equity before the day, where a limit asks for it; compared here, as SQLite sorts decimals as text."""
    if limits_of(run).max_drawdown_pct is None:
        return None
    points = EquityPoint.objects.filter(run=run, at__lt=before).values_list("equity", flat=True)
    return max(points.iterator(), default=None)


def _signs(begin: datetime, end: datetime) -> list[datetime]:
    """When somebody was at work: points of any run's equity curve are written by the same workers."""
    points = EquityPoint.objects.filter(at__gte=begin - AROUND, at__lt=end + AROUND)
    return list(points.order_by("at").values_list("at", flat=True).distinct())


def days_over(run: BotRun, at: datetime, count: int) -> list[date]:
    """The run's last days that are over, the newest first."""
    last, ended = (at - DAY).date(), last_day(run)
    newest = last if ended is None else min(last, ended)
    lived = (newest - first_day(run)).days + 1
    return [newest - back * DAY for back in range(min(count, lived))]
