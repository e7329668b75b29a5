"""The books of a run that works a grid: every line's lot beside the position that they make up, and its round trips."""

from decimal import Decimal
from typing import NamedTuple

from bots.core import grid
from bots.core.backtest.account import Account
from bots.core.backtest.terms import LegFill, OpenTrade, Outcome, Terms, Trade
from bots.core.codes import Code
from bots.core.intent import OrderIntent, line_of
from bots.core.position import FillFact, Position, book
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimals import ZERO
from exchanges.core.fees import fee_of
from exchanges.core.orders import Side
from exchanges.core.simulated import Execution, WorkingOrder
from strategies.core.plan import Grid


class Resting(NamedTuple):
    """An order at the exchange since the open of candle ``placed``."""

    intent: OrderIntent
    placed: int

    @property
    def limit(self) -> Decimal:
        return self.intent.limit_price or ZERO

    @property
    def working(self) -> WorkingOrder:
        wish = self.intent
        return WorkingOrder(wish.side, wish.type, wish.amount, wish.limit_price)


class Lines(Account):
    """The books of a run that works a grid: every line's lot beside the position that they make up."""

    def __init__(self, candles: Candles, terms: Terms, plan: Grid) -> None:
        super().__init__(candles, terms, plan)
        self.lots: dict[int, Position] = {}
        #: Per line, the candle on which its order was decided, and the one on which it bought.
        self.bought: dict[int, tuple[int, int]] = {}

    def filled(self, order: Resting, done: Execution, index: int) -> None:
        leg, side = order.intent.leg, order.intent.side
        line = line_of(leg)
        fact = self._fact(side, done, index)
        if line is not None:
            fact = grid.of_lot(self.lots.get(line, Position()), fact)
        booked = self._book(fact, leg, index)
        if line is not None and side is Side.BUY:
            self.bought.setdefault(line, (order.placed - 1, index))
        if line is not None and booked is not None:
            fees = (fact.cost_fees, fact.cost_fees + done.fee)
            self._trade(line, index, order.placed - 1, fact.cost or ZERO, done, fees, booked)
            self._remember(self.trades[-1].entry, index, booked, Code.SIGNAL_SELL)
        self._carry(leg, fact)

    def left(self, intent: OrderIntent, index: int) -> None:
        """Everything sold at once: each lot is a trade of its own."""
        market, price = self.terms.market, intent.price
        fee = fee_of(intent.amount * price, market.taker_fee)
        at = from_ms(int(self.candles.opened_at[index]))
        fact = self._fact(intent.side, Execution(intent.amount, price, fee, market.quote, at), index)
        pnl = self._book(fact, intent.slot_leg, index) or ZERO
        open_fee, first = fee, min((candle for _, candle in self.bought.values()), default=index)
        for line, lot in sorted(self.lots.items()):
            share = open_fee if line == max(self.lots) else min(open_fee, fee_of(lot.amount * price, market.taker_fee))
            open_fee -= share
            gain = lot.amount * (price - lot.entry_price) - lot.open_fees - share
            done = Execution(lot.amount, price, share, market.quote, at)
            self._trade(line, index, index - 1, lot.entry_price, done, (lot.open_fees, lot.open_fees + share), gain)
        self._remember(first, index, pnl, Code.SIGNAL_SELL)
        self._carry(intent.slot_leg, fact)

    def _fact(self, side: Side, done: Execution, index: int) -> FillFact:
        at = from_ms(int(self.candles.opened_at[index]))
        return FillFact(side, done.amount, done.price, done.fee, done.fee_asset, at)

    def _book(self, fact: FillFact, leg: str, index: int) -> Decimal | None:
        market = self.terms.market
        booked = book(self.position, fact, market.base, market.quote)
        self.position = booked.position
        self.fills.append(LegFill(index, fact.side, fact.price, fact.amount, fact.fee, leg))
        return booked.pnl

    def _carry(self, leg: str, fact: FillFact) -> None:
        self.lots = grid.fold_lots(self.lots, leg, fact, self.terms.market.base, self.terms.market.quote)
        self.bought = {line: when for line, when in self.bought.items() if line in self.lots}

    def _trade(
        self, line: int, index: int, signal: int, cost: Decimal, done: Execution, fees: tuple[Decimal, Decimal],
        gain: Decimal,
    ) -> None:  # fmt: skip
        decided, entry = self.bought[line]
        paid = (cost, done.price, done.amount)
        self.trades.append(Trade(decided, entry, signal, index, *paid, *fees, gain, Code.SIGNAL_SELL))

    def outcome(self) -> Outcome:
        if self.bought:
            decided, entry = min(self.bought.values(), key=lambda when: when[1])
            held = self.position
            self.kept = OpenTrade(decided, entry, held.entry_price, held.amount, held.open_fees)
        return super().outcome()
