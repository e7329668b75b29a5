"""The prices at which a position protects itself, and whether a price has reached one."""

from dataclasses import dataclass
from decimal import Decimal

from bots.core.codes import Code
from bots.core.limits import Limits
from exchanges.core.decimals import ONE
from exchanges.core.market import Market
from exchanges.core.orders import Side

HUNDRED = Decimal(100)


@dataclass(frozen=True, slots=True)
class Levels:
    """Prices in quote; None where the limits ask for no such protection."""

    stop: Decimal | None = None
    break_even: Decimal | None = None
    target: Decimal | None = None
    trailing: Decimal | None = None

    def __bool__(self) -> bool:
        return (self.stop, self.break_even, self.target, self.trailing) != (None, None, None, None)

    @property
    def floor(self) -> Decimal | None:
        """The highest of the levels that sell on the way down."""
        return max((at for at in (self.stop, self.break_even, self.trailing) if at is not None), default=None)


def levels(entry_price: Decimal, peak_price: Decimal | None, limits: Limits, market: Market) -> Levels:
    """``peak_price`` is the highest price since the entry; levels are rounded down to the tick, break-even up."""

    def under(price: Decimal | None, pct: Decimal | None) -> Decimal | None:
        if price is None or pct is None:
            return None
        return market.round_price(price * (ONE - pct / HUNDRED), Side.SELL)

    target = limits.take_profit_pct
    return Levels(
        stop=under(entry_price, limits.stop_loss_pct),
        break_even=_break_even(entry_price, peak_price, limits, market),
        target=None if target is None else market.round_price(entry_price * (ONE + target / HUNDRED), Side.SELL),
        trailing=under(peak_price, limits.trailing_stop_pct),
    )


def break_even_level(entry_price: Decimal, market: Market) -> Decimal:
    """The lowest price whose proceeds pay for the entry and for both fees."""
    return market.round_price(entry_price * (ONE + market.taker_fee) / (ONE - market.taker_fee), Side.BUY)


def break_even_armed_at(entry_price: Decimal, pct: Decimal, market: Market) -> Decimal:
    """The peak from which on the break-even stop holds: that far over the entry, and never under its own level."""
    return max(entry_price * (ONE + pct / HUNDRED), break_even_level(entry_price, market))


def _break_even(entry_price: Decimal, peak: Decimal | None, limits: Limits, market: Market) -> Decimal | None:
    pct = limits.break_even_pct
    if pct is None or peak is None or peak < break_even_armed_at(entry_price, pct, market):
        return None
    return break_even_level(entry_price, market)


def reached(at: Levels, price: Decimal) -> Code | None:
    """The protection that this price sets off; a stop comes before a target."""
    if at.stop is not None and price <= at.stop:
        return Code.STOP_LOSS
    if at.break_even is not None and price <= at.break_even:
        return Code.BREAK_EVEN
    if at.trailing is not None and price <= at.trailing:
        return Code.TRAILING_STOP
    if at.target is not None and price >= at.target:
        return Code.TAKE_PROFIT
    return None
