"""From an opinion and a situation to an order or a reason: the one place that decides, in every mode."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bots.core import sizing
from bots.core.codes import Code
from bots.core.intent import OrderIntent, Purpose
from bots.core.risk import DEFAULT_BAND_PCT, HUNDRED, Situation, check, warned
from exchanges.core.decimals import ONE, ZERO, ceil_to, floor_to, plain
from exchanges.core.orders import OrderType, Side
from strategies.core.plan import Grid, Plan, Scaling
from strategies.core.signals import Action

#: Of an account's free money, so that the price may move a little between the decision and the order.
HEADROOM = Decimal("0.001")
#: Seconds that a limit entry rests where nobody has said how long.
LIMIT_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Opinion:
    """The strategy's word on one closed candle, both for a flat run and for one that holds."""

    candle_opened_at: datetime
    close: Decimal
    entry: bool
    exit: bool
    ready: bool
    confidence: float
    reason_flat: str
    reason_holding: str
    indicators: Mapping[str, float | None] = field(default_factory=dict)
    plan: Plan | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided and why; ``intent`` is None unless an order is to be placed."""

    action: Action
    code: Code
    reason: str
    confidence: float = 0.0
    intent: OrderIntent | None = None


def hold(opinion: Opinion, *, holding: bool) -> Decided | None:
    """The decision when nothing is to be traded, or None when an order is wanted."""
    reason = opinion.reason_holding if holding else opinion.reason_flat
    if not opinion.ready:
        return Decided(Action.HOLD, Code.WARMING_UP, reason)
    if holding and not opinion.exit:
        return Decided(Action.HOLD, Code.ALREADY_IN_POSITION if opinion.entry else Code.NO_SIGNAL, reason)
    if not holding and not opinion.entry:
        return Decided(Action.HOLD, Code.NO_POSITION_TO_SELL if opinion.exit else Code.NO_SIGNAL, reason)
    return None


def decide(opinion: Opinion, now: Situation) -> Decided:
    """Flat: only the entry rule is looked at; in a position: only the exit rule, and then whether to add a stake."""
    holding = not sizing.flat(now.position.amount, now.price, now.market)
    if isinstance(opinion.plan, Scaling) and opinion.ready and opinion.entry and not (holding and opinion.exit):
        return _staked(opinion, opinion.plan, now, holding=holding)
    if isinstance(opinion.plan, Grid) and not holding:
        # Its entries are lines, never all of the money at once.
        return Decided(Action.HOLD, Code.NO_SIGNAL, opinion.reason_flat)
    held = hold(opinion, holding=holding)
    if held is not None:
        return held
    if holding:
        return judged(exit_intent(now), now, Code.SIGNAL_SELL, opinion.reason_holding, opinion.confidence)
    intent = limit_entry(now) if now.limits.entries_rest else entry_intent(now)
    return judged(intent, now, Code.SIGNAL_BUY, opinion.reason_flat, opinion.confidence)


def _staked(opinion: Opinion, plan: Scaling, now: Situation, *, holding: bool) -> Decided:
    """One more stake of the position, if it is its turn."""
    buying = replace(now, price=now.price_for(Side.BUY))
    number = len(now.stakes) + 1
    why_not = _waits(plan, buying, holding=holding)
    if why_not:
        return Decided(Action.HOLD, Code.ALREADY_IN_POSITION, f"{opinion.reason_flat} {why_not}")
    stake = (now.cash - now.position.cash) / plan.stakes
    reason = f"{opinion.reason_flat} Stake {number} of {plan.stakes}."
    return judged(entry_intent(buying, stake, f"dca:{number}"), buying, Code.SIGNAL_BUY, reason, opinion.confidence)


def _waits(plan: Scaling, now: Situation, *, holding: bool) -> str:
    """Why no stake is bought now; empty when one is."""
    number = len(now.stakes) + 1
    if holding and not now.stakes:
        return "What is held is being sold."
    if number > plan.stakes:
        return f"All {plan.stakes} stakes are held."
    if now.stakes and now.price > (most := plan.highest(now.stakes[-1])):
        return f"Stake {number} of {plan.stakes} waits for {plain(most)} or less; the price is {plain(now.price)}."
    return ""


def judged(intent: OrderIntent, now: Situation, code: Code, reason: str, confidence: float = 0.0) -> Decided:
    """The intent under our own risk: placed for `code`, or denied for the risk's."""
    action = Action.BUY if intent.side is Side.BUY else Action.SELL
    denial = check(intent, now)
    if denial is not None:
        return Decided(action, denial.code, f"{reason} Denied: {denial.detail}", confidence)
    return Decided(action, code, f"{reason}{warnings(intent, now)}", confidence, intent)


def warnings(intent: OrderIntent, now: Situation) -> str:
    """What is told beside an order that may be placed; empty when there is nothing."""
    return "".join(f" Warning {one.code}: {one.detail}" for one in warned(intent, now))


def entry_intent(now: Situation, most: Decimal | None = None, leg: str = "") -> OrderIntent:
    """All of the run's money, or at most so much of it, as a marketable limit that the account can pay for."""
    money = now.cash if now.free is None else min(now.cash, now.free * (ONE - HEADROOM))
    amount = sizing.all_in_amount(money if most is None else min(money, most), now.price, now.market)
    if leg and now.market.max_amount is not None:
        # One order must be able to sell all stakes together.
        amount = min(amount, now.market.round_amount(max(now.market.max_amount - now.position.amount, ZERO)))
    limit = band_price(Side.BUY, now)
    if amount > 0 and now.free is not None:
        # The exchange locks amount x limit, fee on top: never ask for more than is free.
        limit = min(limit, floor_to(now.free / (amount * (ONE + now.market.taker_fee)), now.market.price_tick))
    limit = max(limit, now.market.round_price(now.price, Side.BUY))
    return OrderIntent(Purpose.ENTRY, Side.BUY, OrderType.LIMIT, amount, now.price, limit_price=limit, leg=leg)


def limit_entry(now: Situation) -> OrderIntent:
    """All of the run's money at or under the bid; it rests until it is filled or its time is over."""
    bid = now.price if now.bid is None else now.bid
    offset = now.limits.limit_offset_pct or ZERO
    limit = floor_to(bid * (ONE - offset / HUNDRED), now.market.price_tick)
    money = now.cash if now.free is None else min(now.cash, now.free * (ONE - HEADROOM))
    amount = sizing.all_in_amount(money, limit, now.market)
    until = now.at + timedelta(seconds=now.limits.limit_timeout_seconds or LIMIT_TIMEOUT)
    return OrderIntent(
        Purpose.ENTRY, Side.BUY, OrderType.LIMIT, amount, now.price, limit_price=limit, rests=True, rest_until=until
    )


def exit_intent(now: Situation, purpose: Purpose = Purpose.EXIT) -> OrderIntent:
    """All that is held; what is below the amount step stays as dust."""
    amount = sizing.closing_amount(now.position.amount, now.market)
    limit = band_price(Side.SELL, now)
    if amount > 0 and amount * limit < now.market.min_notional <= amount * now.price:
        # The exchange measures the minimum at the limit: a small position must still be sellable.
        least = ceil_to(now.market.min_notional / amount, now.market.price_tick)
        limit = min(least, now.market.round_price(now.price, Side.SELL))
    return OrderIntent(purpose, Side.SELL, OrderType.LIMIT, amount, now.price, limit_price=limit)


def band_price(side: Side, now: Situation) -> Decimal:
    """The worst price a marketable limit may take: the market's, moved against us by the band."""
    band = (now.limits.price_band_pct or DEFAULT_BAND_PCT) / HUNDRED
    return now.market.round_price(now.price * (ONE + band if side is Side.BUY else ONE - band), side)
