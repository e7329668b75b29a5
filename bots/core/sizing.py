"""How much to buy or sell: all-in with the run's own money, and all that is held."""

from decimal import Decimal

from exchanges.core.decimals import ONE, ZERO
from exchanges.core.market import Market


def all_in_amount(cash: Decimal, price: Decimal, market: Market) -> Decimal:
    """Base amount that ``cash`` buys at ``price`` with the fee on top, floored to the market's step."""
    if cash <= 0 or price <= 0:
        return ZERO
    amount = market.round_amount(cash / (price * (ONE + market.taker_fee)))
    return min(amount, market.round_amount(market.max_amount)) if market.max_amount else amount


def closing_amount(held: Decimal, market: Market) -> Decimal:
    """All that is held, floored to the step: the rest is dust."""
    amount = market.round_amount(max(held, ZERO))
    return min(amount, market.round_amount(market.max_amount)) if market.max_amount else amount


def flat(held: Decimal, price: Decimal, market: Market) -> bool:
    """Whether a decision counts this as no position: nothing, or less than the exchange would sell."""
    return not market.tradable(held, price)
