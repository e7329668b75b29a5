"""Reads from the database all that a decision of one run may know."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from bots import breakers
from bots.breakers import Stated
from bots.core.intent import Purpose
from bots.core.limits import Limits, parse_limits, tightest
from bots.core.order_state import OrderState
from bots.core.risk import Gate, Permit, Situation
from bots.core.situation import Standing
from bots.ledger import lots_of, position_of, stakes_of
from bots.models import Arming, BotRun, Level, Mode, Order, RiskLimits, RunPosition, Status, TradingGate
from exchanges.core.candles import timeframe_ms
from exchanges.core.decimals import ONE, ZERO
from exchanges.core.market import Market
from exchanges.core.orders import Quote, Side
from exchanges.models import ExchangeKey

KEY_CHECK_MAX_AGE = timedelta(hours=24)
SEVERITY = {Gate.ACTIVE: 0, Gate.REDUCING: 1, Gate.HALTED: 2}


@dataclass(frozen=True, slots=True)
class Ambient:
    """What the caller has asked the exchange for: never read inside a transaction."""

    quote: Quote
    free_quote: Decimal | None = None
    stale: bool = False
    skew: timedelta | None = None
    #: The exchange's clock at the same look.
    exchange_at: datetime | None = None
    maintenance: bool = False
    #: Whether the run works a grid, so that what each line holds is asked for.
    lines: bool = False


def levels_of(run: BotRun) -> Q:
    """Every level that speaks for a run: platform, user, key, run, and the account that open cases hold."""
    speaks = Q(level=Level.PLATFORM) | Q(level=Level.USER, target=run.user_id) | Q(level=Level.RUN, target=run.pk)
    speaks |= Q(level=Level.ACCOUNT, target=run.account_id)
    return speaks | Q(level=Level.KEY, target=run.key_id) if run.key_id else speaks


def gates_against(run: BotRun, purpose: Purpose) -> QuerySet[TradingGate]:
    """The kill switches that forbid an order of this purpose; read inside the claim's WHERE clause."""
    forbidding = [Gate.HALTED.value]
    if purpose is Purpose.ENTRY:
        forbidding.append(Gate.REDUCING.value)
    return TradingGate.objects.filter(levels_of(run), state__in=forbidding)


def worst_gate(run: BotRun) -> tuple[Gate, str, str]:
    """(state, level, reason) of the strictest switch that speaks for the run; of equal ones a person's comes first."""
    worst = (Gate.ACTIVE, "", "")
    for row in sorted(TradingGate.objects.filter(levels_of(run)), key=lambda row: row.level == Level.ACCOUNT):
        if SEVERITY[Gate(row.state)] > SEVERITY[worst[0]]:
            worst = (Gate(row.state), row.level, row.reason)
    return worst


def limits_of(run: BotRun) -> Limits:
    """The tightest of the platform's, user's, key's and run's limits."""
    above = RiskLimits.objects.filter(levels_of(run)).values_list("limits", flat=True)
    return tightest([run.own_limits, *(parse_limits(limits) for limits in above)])


def limits_of_all(runs: Sequence[BotRun]) -> dict[int, Stated]:
    """Per run its limits, those of its user and the platform, and its key's; in one statement for all runs."""
    stated = {(row.level, row.target): parse_limits(row.limits) for row in RiskLimits.objects.all()}
    found: dict[int, Stated] = {}
    for run in runs:
        names = [(Level.PLATFORM, 0), (Level.USER, run.user_id), (Level.KEY, run.key_id or 0), (Level.RUN, run.pk)]
        platform, user, key, own = (stated.get(name, Limits()) for name in names)
        found[run.pk] = Stated(tightest([run.own_limits, platform, user, key, own]), tightest([platform, user]), key)
    return found


def permit(run: BotRun, at: datetime) -> Permit:
    if run.mode == Mode.PAPER:
        return Permit.GRANTED
    if not settings.LIVE_TRADING:
        return Permit.LIVE_DISABLED
    return key_permit(run.key, at) if run.key is not None else Permit.PAPER_ONLY


def key_permit(key: ExchangeKey, at: datetime) -> Permit:
    """Whether live orders of this key are permitted now: verified, cannot withdraw, armed."""
    if key.can_withdraw:
        return Permit.KEY_CAN_WITHDRAW
    if key.deleted_at or key.permissions != ExchangeKey.Permissions.TRADE:
        return Permit.PAPER_ONLY
    arming = Arming.objects.filter(key=key, dropped_at=None).first()
    if arming is None:
        return Permit.NOT_ARMED
    if arming.expires_at <= at:
        return Permit.ARMING_EXPIRED
    # Asked last: it mends itself, a person has nothing to do about it.
    fresh = key.last_checked_at is not None and at - key.last_checked_at <= KEY_CHECK_MAX_AGE
    return Permit.GRANTED if fresh else Permit.KEY_CHECK_STALE


def exposure_of_others(run: BotRun) -> Decimal:
    """Cost of the user's other open positions in this quote and mode, plus their entries in flight."""
    others = BotRun.objects.filter(user_id=run.user_id, mode=run.mode, quote=run.quote).exclude(pk=run.pk)
    held = RunPosition.objects.filter(run__in=others, amount__gt=0).values_list("amount", "entry_price")
    planned = (
        Order.objects.filter(run__in=others, purpose=Purpose.ENTRY).live().values_list("amount", "filled", "price")
    )
    # Summed here: SQLite would add decimals up as floats.
    cost = sum((amount * price for amount, price in held), ZERO)
    return cost + sum(((amount - filled) * price for amount, filled, price in planned), ZERO)


def closes_at(run: BotRun, opened_at: datetime) -> datetime:
    """When a candle of the run's timeframe is over."""
    return opened_at + timedelta(milliseconds=timeframe_ms(run.timeframe))


def orders_in_flight(run: BotRun, market: Market, at: datetime) -> dict[str, Any]:
    """What the account's orders that are not final say: how many, busy legs, what waits, what may still be traded."""
    rows = Order.objects.filter(account_id=run.account_id).live()
    live = list(rows.only(*SPEAKING))
    prefix = f"{run.account_id}:{run.symbol}:"
    mine = [row for row in live if row.run_id == run.pk]
    sells = (row.amount - row.filled for row in mine if row.side == Side.SELL)
    buys = (
        (row.amount - row.filled) * (row.limit_price if row.rests and row.limit_price is not None else row.price)
        for row in mine
        if row.side == Side.BUY
    )
    waiting = (row for row in live if row.symbol == run.symbol and row.rests and row.stop_price is None)
    return {
        "open_orders": len(live),
        "busy_legs": frozenset(row.slot.removeprefix(prefix) for row in live if row.slot.startswith(prefix)),
        "selling": sum(sells, ZERO),
        "buying": sum(buys, ZERO) * (ONE + market.taker_fee),
        "standing": tuple(_standing(row, at) for row in waiting if row.limit_price is not None),
    }


#: What an order that is not final has to say to another one.
SPEAKING = (
    *("slot", "symbol", "run_id", "side", "amount", "filled", "price"),
    *("limit_price", "stop_price", "rests", "rest_until", "state"),
)


def _standing(row: Order, at: datetime) -> Standing:
    called_back = row.rest_until is not None and row.rest_until <= at
    firm = row.state in (OrderState.OPEN, OrderState.PARTIAL) and not called_back
    return Standing(Side(row.side), row.limit_price or ZERO, firm)


def situation(
    run: BotRun,
    row: RunPosition,
    market: Market,
    ambient: Ambient,
    at: datetime,
    *,
    candle: datetime | None = None,
) -> Situation:
    """The run's facts as of now; ``row`` is its position, locked by the caller when an order may follow.

    ``candle``: when the candle that is acted on was opened, where one is.
    """
    position = position_of(row)
    holding = position.amount > 0
    stated = limits_of_all([run])[run.pk]
    return Situation(
        at=at,
        market=market,
        limits=stated.run,
        position=position,
        price=ambient.quote.price_for(Side.SELL if holding else Side.BUY),
        stakes=stakes_of(run) if holding and not ambient.lines else (),
        lots={line: lot.amount for line, lot in lots_of(run).items()} if ambient.lines else {},
        exposure=exposure_of_others(run),
        candle_closes_at=candle and closes_at(run, candle),
        breakers=breakers.standing(run, stated, breakers.books_of(run, row, at), at),
        **_money(run, row, ambient.quote, at),
        **_permission(run, at),
        **_seen(ambient),
        **orders_in_flight(run, market, at),
        **_pace(run, at),
    )


def _pace(run: BotRun, at: datetime) -> dict[str, Any]:
    recent = Order.objects.filter(account=run.account_id, planned_at__gt=at - timedelta(minutes=1), planned_at__lte=at)
    return recent.aggregate(orders_last_minute=Count("pk", filter=Q(run=run)), account_orders_last_minute=Count("pk"))


def _money(run: BotRun, row: RunPosition, quote: Quote, at: datetime) -> dict[str, Any]:
    position = position_of(row)
    equity = run.capital + position.profit(quote.bid)
    same_day = row.day == at.date() and row.day_start_equity is not None
    return {
        "cash": run.capital + position.cash,
        "equity": equity,
        "peak_equity": max(row.peak_equity or run.capital, equity),
        "day_start_equity": row.day_start_equity if same_day else equity,
        "loss_streak": row.loss_streak,
        "last_loss_at": row.last_loss_at,
    }


def _permission(run: BotRun, at: datetime) -> dict[str, Any]:
    gate, level, reason = worst_gate(run)
    return {
        "gate": gate,
        "gate_reason": f"{reason} ({level})" if level else "",
        "held_by_case": level == Level.ACCOUNT,
        "permit": permit(run, at),
        "paused": run.status in (Status.PAUSED, Status.STOPPING, Status.ERROR),
        "key_unbound": run.mode == Mode.LIVE and run.key is not None and run.key.ip_restricted is False,
        "banned_until": run.account.banned_until,
    }


def _seen(ambient: Ambient) -> dict[str, Any]:
    return {
        "bid": ambient.quote.bid,
        "ask": ambient.quote.price_for(Side.BUY),
        "free": ambient.free_quote,
        "stale": ambient.stale,
        "skew": ambient.skew,
        "exchange_at": ambient.exchange_at,
        "maintenance": ambient.maintenance,
    }


def snapshot(now: Situation) -> dict[str, str]:
    """What risk looked at, for the order's page."""
    facts = ("price", "cash", "equity", "peak_equity", "day_start_equity", "free", "exposure", "open_orders", "gate")
    return {name: str(getattr(now, name)) for name in facts} | {"limits": str(now.limits.as_json())}
