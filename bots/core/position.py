"""A position as the fold of its fills; nothing is ever incremented that cannot be folded again."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from exchanges.core.decimals import ONE, ZERO, storable
from exchanges.core.orders import Side


@dataclass(frozen=True, slots=True)
class FillFact:
    """One execution as the ledger knows it; ``fee`` in ``fee_asset``, ``base``/``quote`` of its market.

    ``entered_at`` is when the entry that it belongs to was sent: an entry begins a new position, whatever dust an
    earlier one left behind. ``cost`` is the price that a sold lot of its own was bought at, ``cost_fees`` what it paid
    in fees; None: the position's average and share.
    """

    side: Side
    amount: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    executed_at: datetime
    entered_at: datetime | None = None
    cost: Decimal | None = None
    cost_fees: Decimal = ZERO

    @property
    def notional(self) -> Decimal:
        return self.amount * self.price


def average_price(fills: Sequence[FillFact]) -> Decimal:
    """What an order of these fills, one at least, paid for a coin: each price by its amount."""
    prices = {fill.price for fill in fills}
    if len(prices) == 1:
        # Divided again, a price may lose its last digit.
        return prices.pop()
    return storable(sum((fill.notional for fill in fills), ZERO) / sum((fill.amount for fill in fills), ZERO))


@dataclass(frozen=True, slots=True)
class Position:
    """What is held, in base, and what it has earned so far, in quote.

    ``entry_price`` is the average price of what is held (0 when flat). ``realized`` is gross; ``fees`` are
    all fees in quote, those taken in base at their fill's price; ``open_fees`` is the share of them that
    belongs to the open amount; ``other_fees`` are those in a third asset. ``cash`` is the sum of all flows:
    never the capital.

    Identity: cash + amount·price = realized + amount·(price − entry_price) − fees, for every price.
    """

    amount: Decimal = ZERO
    entry_price: Decimal = ZERO
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    open_fees: Decimal = ZERO
    cash: Decimal = ZERO
    other_fees: Mapping[str, Decimal] = field(default_factory=dict)
    opened_at: datetime | None = None

    def unrealized(self, price: Decimal) -> Decimal:
        return self.amount * (price - self.entry_price)

    def profit(self, price: Decimal) -> Decimal:
        """Equity less what was put in, at this price."""
        return self.cash + self.amount * price


@dataclass(frozen=True, slots=True)
class Booked:
    """The position after a fill, and the net profit that the fill realized (None for a buy)."""

    position: Position
    pnl: Decimal | None


def book(position: Position, fill: FillFact, base: str, quote: str) -> Booked:
    """Fold one fill into a long-only position."""
    fee_quote, fee_base = ZERO, ZERO
    other = position.other_fees
    if fill.fee_asset == quote:
        fee_quote = fill.fee
    elif fill.fee_asset == base:
        fee_base = fill.fee
    elif fill.fee:
        other = {**other, fill.fee_asset: other.get(fill.fee_asset, ZERO) + fill.fee}
    fees = storable(fee_quote + fee_base * fill.price)
    charged = replace(position, fees=position.fees + fees, other_fees=other)
    if fill.side is Side.BUY:
        return Booked(_bought(charged, fill, fee_quote, fee_base, fees), None)
    return _sold(charged, fill, fee_quote, fee_base, fees)


def _bought(position: Position, fill: FillFact, fee_quote: Decimal, fee_base: Decimal, fees: Decimal) -> Position:
    amount = position.amount + fill.amount - fee_base
    # The fee's base is paid for at the fill's price: the entry price stays a price, the fee stays a fee.
    cost = position.amount * position.entry_price + (fill.amount - fee_base) * fill.price
    return replace(
        position,
        amount=amount,
        entry_price=storable(cost / amount) if amount > 0 else ZERO,
        open_fees=position.open_fees + fees,
        cash=position.cash - fill.notional - fee_quote,
        opened_at=fill.entered_at or position.opened_at or fill.executed_at,
    )


def _sold(position: Position, fill: FillFact, fee_quote: Decimal, fee_base: Decimal, fees: Decimal) -> Booked:
    gone = fill.amount + fee_base
    share = min(ONE, gone / position.amount) if position.amount > 0 else ONE
    cost = position.entry_price if fill.cost is None else fill.cost
    entry_fees = storable(position.open_fees * share) if fill.cost is None else fill.cost_fees
    gross = storable(gone * (fill.price - cost))
    amount = position.amount - gone
    flat = amount == 0
    after = replace(
        position,
        amount=amount,
        entry_price=ZERO if flat else _left_at(position, gone, amount, fill.cost),
        realized=position.realized + gross,
        open_fees=ZERO if flat else position.open_fees - entry_fees,
        cash=position.cash + fill.notional - fee_quote,
        opened_at=None if flat else position.opened_at,
    )
    return Booked(after, gross - entry_fees - fees)


def _left_at(position: Position, gone: Decimal, left: Decimal, cost: Decimal | None) -> Decimal:
    """The average price of what is left when coins that were bought at ``cost`` are gone; None: at the average."""
    if cost is None or left < 0:
        return position.entry_price
    return storable((position.amount * position.entry_price - gone * cost) / left)


def fold(fills: Iterable[FillFact], base: str, quote: str, start: Position | None = None) -> Position:
    """The position after all fills, in the order they were booked."""
    position = start or Position()
    for fill in fills:
        position = book(position, fill, base, quote).position
    return position
