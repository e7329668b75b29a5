"""The replay of a grid from any state on: its lines placed and met by the rules of `bots.core.backtest.grid`."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import numpy as np

from bots.core import grid, sizing
from bots.core.breaker import ClosedTrade
from bots.core.codes import Code
from bots.core.decision import exit_intent, judged
from bots.core.drift.state import DECIDED, Act, Deed, Place, State
from bots.core.drift.terms import Tape
from bots.core.drift.walk import Walk
from bots.core.intent import GRID, OrderIntent, line_of
from bots.core.position import Position, book
from bots.core.situation import Situation
from exchanges.core.decimals import ONE, ZERO, from_float
from exchanges.core.orders import Side
from strategies.core.plan import Grid

EXIT = "exit"


class LinesWalk(Walk):
    def __init__(self, tape: Tape, capital: Decimal, day_start: Decimal, plan: Grid) -> None:
        super().__init__(tape, capital, day_start)
        self.lines = grid.lines_on(plan, tape.market)
        #: Candles at whose open something may be decided: the one before them is known.
        self.known = (np.flatnonzero(tape.signals.ready[:-1]) + 1).tolist()

    def decision(self, state: State, place: Place) -> Place | None:
        first = place[0] + (place[1] > DECIDED)
        busy = {one.leg for one in state.standing((first, DECIDED))}
        idle = [line for line in range(len(self.lines) - 1) if f"{GRID}{line}" not in busy]
        found = [self._known_from(first)] if any(self._sellable(state, line) for line in idle) else []
        found += self._passed(first, min((self.lines[line] for line in idle), default=None))
        if state.position.amount > 0:
            index = bisect_right(self.exits, first - 1)
            found += self.exits[index : index + 1]
        candle = min((one for one in found if one is not None), default=None)
        return None if candle is None else (candle, DECIDED)

    def _sellable(self, state: State, line: int) -> bool:
        lot = state.lots.get(line)
        market = self.tape.market
        return lot is not None and market.tradable(sizing.closing_amount(lot.amount, market), self.lines[line + 1])

    def _known_from(self, candle: int) -> int | None:
        index = bisect_right(self.known, candle - 1)
        return self.known[index] if index < len(self.known) else None

    def _passed(self, first: int, line: Decimal | None) -> list[int]:
        """The first candle that opens above the lowest line at which nothing rests."""
        if line is None:
            return []
        over = self.tape.candles.open[first:] > float(line) * (1 - 1e-12)
        over &= self.tape.signals.ready[first - 1 : -1]
        return [first + int(over.argmax())] if over.any() else []

    def asks(self, state: State, candle: int) -> list[Act]:
        if self._must_leave(state, candle):
            return self._left(state, candle)
        return list(self._placing(state, candle)) if self.tape.signals.ready[candle - 1] else []

    def _must_leave(self, state: State, candle: int) -> bool:
        signals, close = self.tape.signals, from_float(float(self.tape.candles.close[candle - 1]))
        wanted = bool(signals.exit[candle - 1] and signals.ready[candle - 1])
        return wanted and not sizing.flat(state.position.amount, close, self.tape.market)

    def _left(self, state: State, candle: int) -> list[Act]:
        price = from_float(float(self.tape.candles.open[candle]))
        if sizing.flat(state.position.amount, price, self.tape.market):
            return []
        now = self.situation(replace(state, resting={}), candle, price)
        decided = judged(exit_intent(now), now, Code.SIGNAL_SELL, "")
        if decided.intent is None:
            return [Act(None, decided.code, EXIT, waited=True, clears=True)]
        fact = self.fact(Side.SELL, decided.intent.amount, price, candle)
        return [Act(fact, decided.code, EXIT, clears=True)]

    def _placing(self, state: State, candle: int, told: list[Code] | None = None) -> Iterator[Act]:
        """Each line's order, judged after those before it; ``told`` gathers what was refused."""
        price = from_float(float(self.tape.candles.open[candle]))

        def refused(wish: OrderIntent) -> bool:
            decided = judged(wish, self.situation(state, candle, wish.price), Code.SIGNAL_BUY, "")
            if decided.intent is None and told is not None:
                told.append(decided.code)
            return decided.intent is None

        for wish in grid.until_refused(grid.wanted(self.lines, self.situation(state, candle, price)), refused):
            code = Code.SIGNAL_BUY if wish.side is Side.BUY else Code.SIGNAL_SELL
            act = self.placed(wish, code, candle)
            state = self.apply(state, (candle, DECIDED), act.deed)
            yield act

    def word(self, state: State, candle: int, leg: str) -> Code:
        told: list[Code] = []
        placed = {act.leg for act in self._placing(state, candle, told)}
        return told[0] if told and leg not in placed else Code.NO_SIGNAL

    def situation(self, state: State, candle: int, price: Decimal) -> Situation:
        standing, rate = state.standing((candle, DECIDED)), ONE + self.tape.market.taker_fee
        return replace(
            super().situation(state, candle, price),
            buying=sum((one.amount * one.limit * rate for one in standing if one.side is Side.BUY), ZERO),
            selling=sum((one.amount for one in standing if one.side is Side.SELL), ZERO),
            lots={line: lot.amount for line, lot in state.lots.items()},
        )

    def _entered(self, state: State, place: Place, deed: Deed) -> State:
        """No protection follows a grid's price, and no line asks what another paid."""
        return state

    def booked(self, state: State, candle: int, deed: Deed) -> State:
        """Every line's own lot; each sell is a trade, and an exit sells the lots of all lines."""
        base, quote, line = self.tape.market.base, self.tape.market.quote, line_of(deed.leg)
        for fact in deed.facts:
            opened = [lot.opened_at for lot in state.lots.values() if lot.opened_at is not None]
            own = Position() if line is None else state.lots.get(line, Position())
            fact = fact if line is None else grid.of_lot(own, fact)
            done = book(state.position, fact, base, quote)
            lots = grid.fold_lots(state.lots, deed.leg, fact, base, quote)
            state = replace(state, position=done.position, lots=lots)
            if done.pnl is not None:
                since = own.opened_at or min(opened, default=fact.executed_at)
                state = self._closed(state, ClosedTrade(since, self.time(candle), done.pnl, deed.code))
        return state
