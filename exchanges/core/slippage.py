"""What an order loses against the price it saw."""

from decimal import Decimal
from typing import Final

from exchanges.core.decimals import ONE
from exchanges.core.market import Market
from exchanges.core.orders import Side

BASIS_POINT: Final = Decimal("0.0001")


def slipped(price: Decimal, side: Side, bps: Decimal, market: Market) -> Decimal:
    """``price`` moved against us by ``bps`` hundredths of a percent, rounded against us to the tick.

    Without slippage the price stays exactly as it was recorded, even off the tick.
    """
    if not bps:
        return price
    factor = ONE + bps * BASIS_POINT if side is Side.BUY else ONE - bps * BASIS_POINT
    return market.round_price(price * factor, side)
