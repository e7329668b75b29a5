"""Pre-trade risk: a tuple of sentences; the first that does not hold is the denial.

Exits fail open and entries fail closed: what could not be asked for makes the data stale, which denies an entry and
lets an exit pass. A fact that is None was not asked for, and denies nothing.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from bots.core import breaker
from bots.core.codes import Code
from bots.core.intent import Denial, OrderIntent, Purpose
from bots.core.own_orders import (
    meets_no_own_order,
    nothing_is_sold_twice,
    open_orders_within_limit,
    order_rate_within_limit,
    slot_is_free,
)
from bots.core.situation import Gate as Gate
from bots.core.situation import Permit as Permit
from bots.core.situation import Situation as Situation
from exchanges.core.decimals import plain
from exchanges.core.orders import Side

HUNDRED = Decimal(100)
DEFAULT_BAND_PCT = Decimal(2)
MAX_SKEW, NOTED_SKEW = timedelta(seconds=2), timedelta(seconds=1)

Check = Callable[[OrderIntent, Situation], Denial | None]


def is_entry(intent: OrderIntent) -> bool:
    return intent.purpose is Purpose.ENTRY


def trading_is_not_halted(intent: OrderIntent, now: Situation) -> Denial | None:
    if now.gate is Gate.HALTED:
        code = Code.POSITION_MISMATCH if now.held_by_case else Code.TRADING_HALTED
        return Denial(code, f"Trading is halted: {now.gate_reason}")
    return None


def entries_are_allowed(intent: OrderIntent, now: Situation) -> Denial | None:
    if is_entry(intent) and now.gate is Gate.REDUCING:
        code = Code.POSITION_MISMATCH if now.held_by_case else Code.STATE_REDUCING
        return Denial(code, f"Only exits are allowed: {now.gate_reason}")
    return None


def run_is_not_paused(intent: OrderIntent, now: Situation) -> Denial | None:
    if is_entry(intent) and now.paused:
        return Denial(Code.RUN_PAUSED, "The run is paused: it makes no new entries.")
    return None


def live_is_permitted(intent: OrderIntent, now: Situation) -> Denial | None:
    # Arming is permission to take on risk; giving up risk must never need it.
    if is_entry(intent) and now.permit is not Permit.GRANTED:
        return Denial(Code(now.permit.value), "Live entries of this key are not permitted at the moment.")
    return None


def exchange_wants_us(intent: OrderIntent, now: Situation) -> Denial | None:
    if now.banned_until is not None and now.at < now.banned_until:
        return Denial(Code.VENUE_BANNED, f"The exchange asked for no requests until {now.banned_until:%H:%M:%S} UTC.")
    return None


def exchange_is_open(intent: OrderIntent, now: Situation) -> Denial | None:
    if is_entry(intent) and now.maintenance:
        return Denial(Code.VENUE_MAINTENANCE, "The exchange answered that it is in maintenance.")
    return None


def candle_has_closed(intent: OrderIntent, now: Situation) -> Denial | None:
    """At the exchange's clock, where it was asked: a candle that still forms there says nothing yet."""
    clock = now.exchange_at or now.at
    if is_entry(intent) and now.candle_closes_at is not None and clock < now.candle_closes_at:
        told = f"The candle closes at {now.candle_closes_at:%H:%M:%S} UTC"
        return Denial(Code.CANDLE_OPEN, f"{told}; the exchange's clock says {clock:%H:%M:%S}.")
    return None


def data_is_fresh(intent: OrderIntent, now: Situation) -> Denial | None:
    if is_entry(intent) and now.stale:
        return Denial(Code.DATA_STALE, "The last closed candle or the price is too old.")
    return None


def clock_is_right(intent: OrderIntent, now: Situation) -> Denial | None:
    if is_entry(intent) and now.skew is not None and abs(now.skew) > MAX_SKEW:
        return Denial(Code.CLOCK_SKEW, f"This clock is {now.skew.total_seconds():+.1f} s off the exchange's.")
    return None


def daily_loss_within_limit(intent: OrderIntent, now: Situation) -> Denial | None:
    most, loss = now.limits.max_daily_loss, now.day_start_equity - now.equity
    if is_entry(intent) and most is not None and loss >= most:
        return Denial(Code.DAILY_LOSS, f"Today's loss is {plain(loss)} {now.market.quote}; {plain(most)} is the limit.")
    return None


def drawdown_within_limit(intent: OrderIntent, now: Situation) -> Denial | None:
    most = now.limits.max_drawdown_pct
    if not is_entry(intent) or most is None or now.peak_equity <= 0:
        return None
    fall = (now.peak_equity - now.equity) / now.peak_equity * HUNDRED
    if fall >= most:
        return Denial(Code.DRAWDOWN_BREAKER, f"The drawdown is {fall:.2f} %; {plain(most)} % is the limit.")
    return None


def loss_streak_within_limit(intent: OrderIntent, now: Situation) -> Denial | None:
    most = now.limits.max_loss_streak
    if not is_entry(intent) or most is None or now.loss_streak < most or now.last_loss_at is None:
        return None
    if now.last_loss_at.date() == now.at.date():
        return Denial(Code.LOSS_STREAK, f"{now.loss_streak} losing trades in a row; entries resume tomorrow (UTC).")
    return None


def cooldown_has_passed(intent: OrderIntent, now: Situation) -> Denial | None:
    seconds = now.limits.cooldown_seconds
    if not is_entry(intent) or seconds is None or now.last_loss_at is None:
        return None
    until = now.last_loss_at + timedelta(seconds=seconds)
    if now.at < until:
        return Denial(Code.COOLDOWN, f"No entries until {until:%H:%M:%S} UTC after the last loss.")
    return None


def breakers_are_closed(intent: OrderIntent, now: Situation) -> Denial | None:
    return breaker.denial(now.breakers) if is_entry(intent) else None


def amount_fits_the_market(intent: OrderIntent, now: Situation) -> Denial | None:
    market = now.market
    if intent.amount <= 0 or market.round_amount(intent.amount) != intent.amount:
        smallest = plain(market.amount_step)
        return Denial(Code.PRECISION, f"The amount {plain(intent.amount)} is not a multiple of {smallest}.")
    if market.max_amount is not None and intent.amount > market.max_amount:
        return Denial(
            Code.PRECISION, f"The amount {plain(intent.amount)} is over the market's {plain(market.max_amount)}."
        )
    return None


def price_fits_the_market(intent: OrderIntent, now: Situation) -> Denial | None:
    tick = now.market.price_tick
    for price in (intent.limit_price, intent.stop_price):
        if price is not None and tick > 0 and price % tick:
            return Denial(Code.PRECISION, f"The price {plain(price)} is not a multiple of {plain(tick)}.")
    return None


def order_is_large_enough(intent: OrderIntent, now: Situation) -> Denial | None:
    price = intent.limit_price or intent.stop_price or intent.price
    if not now.market.tradable(intent.amount, price if intent.rests else min(price, intent.price)):
        least = f"{plain(now.market.min_notional)} {now.market.quote}"
        return Denial(Code.MIN_NOTIONAL, f"The order is worth {intent.notional:.8f}; the exchange wants {least}.")
    return None


def limit_price_within_band(intent: OrderIntent, now: Situation) -> Denial | None:
    if intent.stop_price is not None:
        # A stop meets the market at its own price: only the limit that it then becomes has to be near that.
        now, intent = replace(now, price=intent.stop_price), replace(intent, stop_price=None)
    price = now.price_for(intent.side)
    if intent.limit_price is None or price <= 0 or _waits_for_better(intent, price):
        return None
    band = now.limits.price_band_pct or DEFAULT_BAND_PCT
    far = abs(intent.limit_price - price) / price * HUNDRED
    # One tick of grace: the limit was rounded against us.
    if far > band + now.market.price_tick / price * HUNDRED:
        return Denial(Code.PRICE_BAND, f"The limit is {far:.2f} % from the market; {plain(band)} % is allowed.")
    return None


def _waits_for_better(intent: OrderIntent, price: Decimal) -> bool:
    """A buy that rests under the market, or a sell over it, cannot be filled at a bad price."""
    limit = price if intent.limit_price is None else intent.limit_price
    return intent.rests and (limit <= price if intent.side is Side.BUY else limit >= price)


def order_notional_within_limit(intent: OrderIntent, now: Situation) -> Denial | None:
    most = now.limits.max_order_notional
    if is_entry(intent) and most is not None and intent.notional > most:
        return Denial(
            Code.MAX_NOTIONAL_ORDER, f"The order is worth {plain(intent.notional)}; {plain(most)} is the limit."
        )
    return None


def position_within_limit(intent: OrderIntent, now: Situation) -> Denial | None:
    most = now.limits.max_position_notional
    after = now.position.amount * intent.price + now.buying + intent.notional
    if is_entry(intent) and most is not None and after > most:
        return Denial(
            Code.MAX_EXPOSURE_SYMBOL, f"The position would be worth {plain(after)}; {plain(most)} is the limit."
        )
    return None


def exposure_within_limit(intent: OrderIntent, now: Situation) -> Denial | None:
    most = now.limits.max_exposure
    after = now.exposure + now.position.amount * intent.price + now.buying + intent.notional
    if is_entry(intent) and most is not None and after > most:
        return Denial(
            Code.MAX_EXPOSURE_ACCOUNT, f"Open positions would be worth {plain(after)}; {plain(most)} is the limit."
        )
    return None


def money_is_there(intent: OrderIntent, now: Situation) -> Denial | None:
    if intent.side is Side.SELL:
        return None
    cost = intent.notional * (1 + now.market.taker_fee)
    own = now.cash - now.buying
    free = own if now.free is None else min(own, now.free)
    # The last step's rounding may leave a hair between cash and cost; a whole tick's worth may not.
    if cost > free + now.market.price_tick * intent.amount:
        return Denial(
            Code.INSUFFICIENT_FREE, f"The order needs {plain(cost)} {now.market.quote}; {plain(free)} is free."
        )
    return None


def exit_within_position(intent: OrderIntent, now: Situation) -> Denial | None:
    if intent.side is Side.SELL and intent.amount > now.position.amount:
        return Denial(Code.NO_POSITION_TO_SELL, f"Only {plain(now.position.amount)} {now.market.base} is held.")
    return None


CHECKS: tuple[Check, ...] = (
    trading_is_not_halted,
    entries_are_allowed,
    run_is_not_paused,
    live_is_permitted,
    exchange_wants_us,
    exchange_is_open,
    meets_no_own_order,
    slot_is_free,
    data_is_fresh,
    clock_is_right,
    candle_has_closed,
    daily_loss_within_limit,
    drawdown_within_limit,
    loss_streak_within_limit,
    cooldown_has_passed,
    breakers_are_closed,
    order_rate_within_limit,
    open_orders_within_limit,
    exit_within_position,
    nothing_is_sold_twice,
    amount_fits_the_market,
    price_fits_the_market,
    order_is_large_enough,
    limit_price_within_band,
    order_notional_within_limit,
    position_within_limit,
    exposure_within_limit,
    money_is_there,
)


def check(intent: OrderIntent, now: Situation) -> Denial | None:
    """The first denial, or None: the order may be placed."""
    return next((denial for rule in CHECKS if (denial := rule(intent, now)) is not None), None)


def key_is_bound_to_an_address(intent: OrderIntent, now: Situation) -> Denial | None:
    if now.key_unbound:
        return Denial(Code.KEY_NO_IP_LIMIT, "The exchange takes this key from any IP address.")
    return None


def clock_is_almost_right(intent: OrderIntent, now: Situation) -> Denial | None:
    if now.skew is not None and abs(now.skew) > NOTED_SKEW:
        return Denial(Code.CLOCK_SKEW, f"This clock is {now.skew.total_seconds():+.1f} s off the exchange's.")
    return None


WARNINGS: tuple[Check, ...] = (key_is_bound_to_an_address, clock_is_almost_right)


def warned(intent: OrderIntent, now: Situation) -> tuple[Denial, ...]:
    """What stops no order but is told with each: in the journal when it is decided, in its life when it is claimed."""
    return tuple(warning for rule in WARNINGS if (warning := rule(intent, now)) is not None)
