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
    target: Decimal | None = None
    trailing: Decimal | None = None

    def __bool__(self) -> bool:
        return (self.stop, self.target, self.trailing) != (None, None, None)


def levels(entry_price: Decimal, peak_price: Decimal | None, limits: Limits, market: Market) -> Levels:
    """``peak_price`` is the highest price since the entry; each level is rounded down to the tick."""

    def under(price: Decimal | None, pct: Decimal | None) -> Decimal | None:
        if price is None or pct is None:
            return None
        return market.round_price(price * (ONE - pct / HUNDRED), Side.SELL)

    target = limits.take_profit_pct
    return Levels(
        stop=under(entry_price, limits.stop_loss_pct),
        target=None if target is None else market.round_price(entry_price * (ONE + target / HUNDRED), Side.SELL),
        trailing=under(peak_price, limits.trailing_stop_pct),
    )


def reached(at: Levels, price: Decimal) -> Code | None:
    """The protection that this price sets off; a stop comes before a target."""
    if at.stop is not None and price <= at.stop:
        return Code.STOP_LOSS
    if at.trailing is not None and price <= at.trailing:
        return Code.TRAILING_STOP
    if at.target is not None and price >= at.target:
        return Code.TAKE_PROFIT
    return None
