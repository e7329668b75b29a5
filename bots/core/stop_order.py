"""A stop that rests on the exchange: where it stands, for how much, and when it has to be moved."""

from dataclasses import dataclass
from decimal import Decimal

from bots.core import sizing
from bots.core.codes import Code
from bots.core.intent import OrderIntent, Purpose
from bots.core.protection import HUNDRED, Levels
from bots.core.risk import DEFAULT_BAND_PCT
from bots.core.situation import Situation
from exchanges.core.decimals import ONE
from exchanges.core.market import Market
from exchanges.core.orders import OrderType, Side, StopStyle

#: How the decisions begin that put an order there: they are no wish to sell now, and the order may never sell.
DECISION_KEY = "risk:stop:"
#: What a stop order on the exchange stands for; a target is watched.
ON_THE_WAY_DOWN = frozenset({Code.STOP_LOSS, Code.BREAK_EVEN, Code.TRAILING_STOP})


@dataclass(frozen=True, slots=True)
class Stop:
    """The price to sell at on the way down, and which protection says so."""

    price: Decimal
    code: Code


def stop_of(at: Levels) -> Stop | None:
    """Of the stop, the break-even stop and the trailing stop the highest: the price meets it first."""
    floor = at.floor
    if floor is None:
        return None
    named = ((at.stop, Code.STOP_LOSS), (at.break_even, Code.BREAK_EVEN), (at.trailing, Code.TRAILING_STOP))
    return Stop(floor, next(code for price, code in named if price == floor))


def stop_intent(now: Situation, stop: Stop, style: StopStyle) -> OrderIntent:
    """Sells all that is held; where the exchange wants a limit beside the stop, it lies a band under it."""
    band = (now.limits.price_band_pct or DEFAULT_BAND_PCT) / HUNDRED
    limit = now.market.round_price(stop.price * (ONE - band), Side.SELL) if style is StopStyle.LIMIT else None
    amount = sizing.closing_amount(now.position.amount, now.market)
    return OrderIntent(
        Purpose.STOP, Side.SELL, OrderType.STOP_LOSS, amount, now.price, limit, stop_price=stop.price, rests=True
    )


def misplaced(stands_at: Decimal | None, amount: Decimal, stop: Stop, held: Decimal, market: Market) -> bool:
    """Whether the order at the exchange is a tick or more from where it should be, or sells another amount."""
    off = stands_at is None or abs(stop.price - stands_at) >= market.price_tick
    return off or amount != sizing.closing_amount(held, market)
