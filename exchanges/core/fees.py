"""Fees, computed in one place so that backtest, paper and report agree to the last digit."""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from exchanges.core.market import Market
from exchanges.core.orders import Side

FEE_STEP: Final = Decimal("1E-12")


def fee_of(value: Decimal, rate: Decimal) -> Decimal:
    """``value`` × ``rate`` in the asset of ``value``, half-even to twelve decimals.

    Finer than any exchange charges, so that a percent return keeps nine digits, and within the eighteen decimals of
    our money columns.
    """
    return (value * rate).quantize(FEE_STEP, ROUND_HALF_EVEN)


def fee_for(
    market: Market, side: Side, amount: Decimal, price: Decimal, rate: Decimal, *, in_base: bool
) -> tuple[Decimal, str]:
    """The fee of one fill and its asset: the quote's, or the base's for a buy where the market takes it from there."""
    if in_base and side is Side.BUY:
        return fee_of(amount, rate), market.base
    return fee_of(amount * price, rate), market.quote
