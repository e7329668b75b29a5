"""The backtest of a grid: limit orders that rest, placed anew on closed candles, met by the simulated exchange's rules.

At the close of a candle what rests has met that candle's range, and now meets the next open; then what should rest and
does not is placed. Only the candles are visited where a line is touched, passed upwards, or was refused before.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Final

import numpy as np

from bots.core import grid, sizing
from bots.core.backtest.equity_memory import EquityMemory
from bots.core.backtest.grid_books import Lines, Resting
from bots.core.backtest.terms import Denied, Outcome, Terms
from bots.core.backtest.touch import FIRST_WINDOW, GROWTH
from bots.core.codes import Code
from bots.core.decision import exit_intent, judged
from bots.core.intent import GRID, OrderIntent
from bots.core.situation import Situation
from exchanges.core import simulated
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimals import ONE, ZERO, from_float
from exchanges.core.orders import Side
from exchanges.core.simulated import Execution, Point, SimulationModel
from strategies.core.plan import Grid
from strategies.core.signals import Signals

#: What a touch may be off by in floats; it is decided in decimals.
ROOM: Final = 1e-12


def walk(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """`replay`'s answer to the last digit, without looking at the candles where nothing can happen."""
    run = _Walk(candles, signals, terms)
    index = 1
    while index < len(candles):
        run.at_open(index)
        index = run.next_after(index)
    return run.ended()


def replay(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """Candle by candle, as a live run meets them."""
    run = _Walk(candles, signals, terms)
    for index in range(1, len(candles)):
        run.at_open(index)
    return run.ended()


class _Walk:
    def __init__(self, candles: Candles, signals: Signals, terms: Terms) -> None:
        if not isinstance(signals.plan, Grid):
            raise TypeError(f"Expected signals with a grid, was {signals.plan!r}.")
        self.candles, self.signals, self.terms = candles, signals, terms
        self.lines = grid.lines_on(signals.plan, terms.market)
        self.books = Lines(candles, terms, signals.plan)
        self.memory = EquityMemory(candles, terms)
        self.model = SimulationModel(slippage_bps=terms.slippage_bps)
        self.orders: list[Resting] = []
        self.exits = np.flatnonzero(signals.exit & signals.ready)
        #: Whether the next candle must be looked at, whatever it does: something could not be placed on this one.
        self.again = False

    def at_open(self, index: int) -> None:
        """What happens at the close of the candle before, which is this one's open."""
        self._meet(index)
        self.again = not self.signals.ready[index - 1]
        if self._must_leave(index):
            self._leave(index)
        elif self.signals.ready[index - 1]:
            self._place(index)

    def ended(self) -> Outcome:
        self._meet(len(self.candles))
        return self.books.outcome()

    def _meet(self, index: int) -> None:
        """What rests meets the range of the candle before, and then this one's open."""
        before, after = self._range(index - 1), self._opening(index)
        inside: list[tuple[Resting, Execution, int]] = []
        for order in list(self.orders):
            for candle, point in ((index - 1, before), (index, after)):
                done = None if point is None else self._executed(order, point)
                if done is not None:
                    inside.append((order, done, candle))
                    self.orders.remove(order)
                    break
        self._remember(inside)
        for order, done, candle in inside:
            self.books.filled(order, done, candle)

    def _remember(self, done: list[tuple[Resting, Execution, int]]) -> None:
        """Amount and cash by candle: what happened inside the one before counts from its close on."""
        amount, cash = self.books.position.amount, self.books.cash
        for candle in sorted({candle for _, _, candle in done}):
            for order, execution, at in done:
                if at == candle:
                    sign = 1 if order.intent.side is Side.BUY else -1
                    amount += sign * execution.amount
                    cash -= sign * execution.notional + execution.fee
            self.memory.changed(candle, amount, cash)

    def _executed(self, order: Resting, point: Point) -> Execution | None:
        if (point.low > order.limit) if order.intent.side is Side.BUY else (point.high < order.limit):
            return None
        funds = self.books.cash if order.intent.side is Side.BUY else self.books.position.amount
        made = simulated.advance(order.working, [point], self.terms.market, self.model, funds).executions
        return made[0] if made else None

    def _range(self, index: int) -> Point:
        at = from_ms(int(self.candles.opened_at[index]))
        return Point(
            at, *(from_float(column[index]) for column in (self.candles.open, self.candles.high, self.candles.low))
        )

    def _opening(self, index: int) -> Point | None:
        if index == len(self.candles):
            return None
        return Point.of(from_ms(int(self.candles.opened_at[index])), from_float(self.candles.open[index]))

    def _must_leave(self, index: int) -> bool:
        close = from_float(self.candles.close[index - 1])
        wanted = bool(self.signals.exit[index - 1] and self.signals.ready[index - 1])
        return wanted and not sizing.flat(self.books.position.amount, close, self.terms.market)

    def _leave(self, index: int) -> None:
        price = self.terms.fill_price(from_float(self.candles.open[index]), Side.SELL)
        if sizing.flat(self.books.position.amount, price, self.terms.market):
            return
        self.orders.clear()
        now = self._situation(index, price)
        decided = judged(exit_intent(now), now, Code.SIGNAL_SELL, "")
        if decided.intent is None:
            self._denied(index, decided.code)
            return
        self.books.order_times.append(int(self.candles.opened_at[index]))
        self.books.left(decided.intent, index)
        self.memory.changed(index, self.books.position.amount, self.books.cash)

    def _place(self, index: int) -> None:
        price = from_float(self.candles.open[index])
        for wish in grid.until_refused(grid.wanted(self.lines, self._situation(index, price)), self._refusals(index)):
            order = Resting(wish, index)
            self.books.order_times.append(int(self.candles.opened_at[index]))
            done = self._executed(order, Point.of(from_ms(int(self.candles.opened_at[index])), price))
            if done is None:
                self.orders.append(order)
            else:
                self.books.filled(order, done, index)
                self.memory.changed(index, self.books.position.amount, self.books.cash)

    def _refusals(self, index: int) -> grid.Judge:
        def refused(wish: OrderIntent) -> bool:
            decided = judged(wish, self._situation(index, wish.price), Code.SIGNAL_BUY, "")
            if decided.intent is None:
                self._denied(index, decided.code)
            return decided.intent is None

        return refused

    def _denied(self, index: int, code: Code) -> None:
        self.again = True
        self.books.denied.append(Denied(index, code))

    def _situation(self, index: int, price: Decimal) -> Situation:
        buys = [order for order in self.orders if order.intent.side is Side.BUY]
        sells = (order.intent.amount for order in self.orders if order.intent.side is Side.SELL)
        rate = ONE + self.terms.market.taker_fee
        return replace(
            self.books.situation(index, price, price, *self.memory.as_of(index)),
            open_orders=len(self.orders),
            busy_legs=frozenset(order.intent.leg for order in self.orders),
            buying=sum((order.intent.notional * rate for order in buys), ZERO),
            selling=sum(sells, ZERO),
            lots={line: lot.amount for line, lot in self.books.lots.items()},
        )

    def next_after(self, index: int) -> int:
        """The next candle at whose open something may happen; the count where nothing will."""
        count = len(self.candles)
        if self.again:
            return index + 1
        end = count
        if self.books.position.amount:
            later = int(np.searchsorted(self.exits, index))
            end = int(self.exits[later]) + 1 if later < len(self.exits) else count
        return next(self._touches(index, min(end, count)), min(end, count))

    def _touches(self, index: int, end: int) -> Iterator[int]:
        """Of each window the first candle at whose open a line may be touched, or was inside the one before."""
        buy = max((float(order.limit) for order in self.orders if order.intent.side is Side.BUY), default=0.0)
        sell = min((float(order.limit) for order in self.orders if order.intent.side is Side.SELL), default=np.inf)
        busy = {order.intent.leg for order in self.orders}
        idle = [line for number, line in enumerate(self.lines[:-1]) if f"{GRID}{number}" not in busy]
        passed = float(min(idle, default=Decimal("Infinity"))) * (1 - ROOM)
        buy, sell = buy * (1 + ROOM), sell * (1 - ROOM)
        made, size = self.candles, FIRST_WINDOW
        start = index
        while start < end:
            window = slice(start, min(start + size, end))
            inside = (made.low[window] <= buy) | (made.high[window] >= sell)
            opening = (made.open[window] <= buy) | (made.open[window] >= sell) | (made.open[window] > passed)
            opening[: max(0, index + 1 - start)] = False
            hits = [int(flags.argmax()) + start + late for flags, late in ((inside, 1), (opening, 0)) if flags.any()]
            if hits:
                yield min(hits)
            start, size = window.stop, size * GROWTH
