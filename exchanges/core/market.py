"""A symbol's rules on one exchange, and the only place where amounts and prices are rounded."""

from dataclasses import dataclass
from decimal import Decimal

from exchanges.core.decimals import ZERO, ceil_to, floor_to
from exchanges.core.orders import Side


@dataclass(frozen=True, slots=True)
class Market:
    """Rules of one symbol; amounts in base, prices and notionals in quote, fees as a fraction.

    ``max_amount`` is None where the exchange states no limit. ``fee_in_base`` says that a buy's fee is
    taken from the base that was bought (Binance spot), so that less than the filled amount is held.
    """

    symbol: str
    base: str
    quote: str
    amount_step: Decimal
    price_tick: Decimal
    min_amount: Decimal = ZERO
    max_amount: Decimal | None = None
    min_notional: Decimal = ZERO
    taker_fee: Decimal = Decimal("0.001")
    maker_fee: Decimal = Decimal("0.001")
    fee_in_base: bool = False

    def round_amount(self, amount: Decimal) -> Decimal:
        """Down to the step: never more than was asked for."""
        return floor_to(amount, self.amount_step)

    def round_price(self, price: Decimal, side: Side) -> Decimal:
        """Against us, so that a limit always means what it did: a buy up, a sell down."""
        return ceil_to(price, self.price_tick) if side is Side.BUY else floor_to(price, self.price_tick)

    def tradable(self, amount: Decimal, price: Decimal) -> bool:
        """Whether an order of this amount passes the exchange's minimum amount and notional."""
        amount = self.round_amount(amount)
        return amount > 0 and amount >= self.min_amount and amount * price >= self.min_notional
