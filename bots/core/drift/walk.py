"""The replay from any state on: what it does at a place, where it may act next, and what it ends with.

The rules are those of `bots.core.backtest.replay` and `bots.core.backtest.limit`, candle by candle; a state in the
middle of a day can be taken up, with a position, dust, orders that rest, and what the protections remember. Within a
candle its open comes first: what rests meets it, then the signal of the candle before is filled; then its range, which
what rests meets before protections do. Times are those of candles' opens.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from bots.core import sizing
from bots.core.backtest.account import opinion_on
from bots.core.backtest.touch import protects, touched
from bots.core.codes import Code
from bots.core.decision import decide, exit_intent, judged
from bots.core.drift.books import DayBooks
from bots.core.drift.met import fill_price, first_met
from bots.core.drift.state import DECIDED, PROTECTED, Act, Place, Rests, State, after
from bots.core.drift.terms import Tape
from bots.core.drift.touch import Held, Touched, first_touch
from bots.core.intent import OrderIntent, Purpose
from bots.core.position import FillFact
from bots.core.protection import levels
from exchanges.core.candles import to_ms
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.market import Market
from exchanges.core.orders import Side


class Step(NamedTuple):
    """What the replay did at one place, and the state after it."""

    place: Place
    acts: list[Act]
    state: State


class Walk(DayBooks):
    def __init__(self, tape: Tape, capital: Decimal, day_start: Decimal) -> None:
        super().__init__(tape, capital, day_start)
        self.guarded = protects(tape.limits)
        self.end = len(tape.candles)
        ready = tape.signals.ready[:-1]
        self.entries = (np.flatnonzero(tape.signals.entry[:-1] & ready) + 1).tolist()
        self.exits = (np.flatnonzero(tape.signals.exit[:-1] & ready) + 1).tolist()
        self.either = sorted({*self.entries, *self.exits})
        self.lowest = from_float(float(tape.candles.low[tape.first :].min()))
        self.mark = from_float(float(tape.candles.close[-1]))
        #: Once too much has been computed: every end is worth nothing.
        self.blind = False
        #: Acts so far: what a report costs.
        self.steps = 0

    def run(self, state: State, place: Place) -> Iterator[Step]:
        """Each act of the replay, from here on."""
        while (found := self.upcoming(state, place)) is not None:
            self.steps += 1
            acts = self.acts(state, found)
            if acts:
                state = self.all_of(state, found, (act.deed for act in acts))
                yield Step(found, acts, state)
            place = after(found)

    def final(self, state: State, place: Place) -> Decimal:
        """The equity at the day's end if the replay goes on from here."""
        self.steps += 1
        if self.blind:
            return ZERO
        last = deque(self.run(state, place), maxlen=1)
        return self.equity(last[0].state if last else state, self.mark)

    def coming(self, state: State, place: Place, leg: str) -> Act | None:
        """The fill that an order of this leg comes to in the replay."""
        return next((act for step in self.run(state, place) for act in step.acts if act.fact and act.leg == leg), None)

    def upcoming(self, state: State, place: Place) -> Place | None:
        """Where the replay may act next, at or after this place; None: nowhere any more."""
        decision = self.decision(state, place)
        bound = self.end if decision is None else decision[0]
        met = first_met(state.standing(place), self.tape.candles, place, min(bound + 1, self.end))
        touch = self._touched(state, place[0], bound)
        found = [one for one in (decision, met, None if touch is None else (touch.candle, PROTECTED)) if one]
        return min(found, default=None)

    def decision(self, state: State, place: Place) -> Place | None:
        """The next candle on whose open a signal may be filled."""
        signals = self._wanted(state)
        index = bisect_right(signals, place[0] - (place[1] <= DECIDED))
        return (signals[index], DECIDED) if index < len(signals) else None

    def _wanted(self, state: State) -> list[int]:
        amount, market = state.position.amount, self.tape.market
        if amount <= 0:
            # What rests may be filled at the very open on which the next signal is decided.
            return self.either if state.resting else self.entries
        # Near the exchange's minimum the price decides whether it is a position at all; a plan may add to one.
        return self.exits if market.tradable(amount, self.lowest) and self.tape.signals.plan is None else self.either

    def _touched(self, state: State, candle: int, before: int) -> Touched | None:
        if not self.guarded or state.position.amount <= 0:
            return None
        if candle == state.inside:
            found = self._touched_inside(state, candle) if candle < before else None
            if found is not None:
                return found
            candle += 1
        held = Held(state.position.entry_price, self._highest(state, candle), self.tape.limits, self.tape.market)
        return first_touch(held, self.tape.candles, candle, before)

    def _touched_inside(self, state: State, candle: int) -> Touched | None:
        """The rest of the candle that filled what rested: only its low is certain to come later."""
        at = levels(state.position.entry_price, state.highest, self.tape.limits, self.tape.market)
        found = touched(at, state.highest, state.highest, from_float(float(self.tape.candles.low[candle])))
        return None if found is None else Touched(candle, found[1], found[0])

    def acts(self, state: State, place: Place) -> list[Act]:
        if place[1] == DECIDED:
            return self.asks(state, place[0])
        if place[1] == PROTECTED:
            act = self._protected(state, place[0])
            return [] if act is None else [act]
        return [act for one in state.standing(place) if (act := self._filled(one, place)) is not None]

    def asks(self, state: State, candle: int) -> list[Act]:
        act = self.decided(state, candle)[0]
        return [] if act is None else [act]

    def decided(self, state: State, candle: int) -> tuple[Act | None, Code]:
        """On the signal of the candle before, at this one's open."""
        price = from_float(float(self.tape.candles.open[candle]))
        now = self.situation(state, candle, price)
        found = decide(opinion_on(self.tape.signals, self.tape.candles, candle - 1), now)
        if found.intent is None:
            return None, found.code
        if found.intent.rests:
            return self.placed(found.intent, found.code, candle), found.code
        return Act(self._fact(found.intent, candle), found.code, clears=found.intent.side is Side.SELL), found.code

    def word(self, state: State, candle: int, leg: str) -> Code:
        """What the replay says of an order of this leg on the candle before."""
        return self.decided(state, candle)[1]

    def placed(self, intent: OrderIntent, code: Code, candle: int) -> Act:
        """An order that rests from the candle's open on, or is filled there at once."""
        limit = intent.price if intent.limit_price is None else intent.limit_price
        one = Rests(intent.slot_leg, intent.side, intent.amount, limit, self._until(intent, candle))
        opened = from_float(float(self.tape.candles.open[candle]))
        if not one.within(opened):
            return Act(None, code, one.leg, one)
        return Act(self.fact(one.side, one.amount, opened, candle), code, one.leg)

    def _until(self, intent: OrderIntent, candle: int) -> int | None:
        if intent.rest_until is None:
            return None
        step, opened = timedelta(milliseconds=self.tape.step_ms), self.time(candle)
        decided_at = min(opened, self.time(candle - 1) + step)
        return self.until(decided_at + (intent.rest_until - opened), candle)

    def until(self, rest_until: datetime, candle: int) -> int:
        """The first candle that opens when the time is over."""
        return max(int(np.searchsorted(self.tape.candles.opened_at, to_ms(rest_until))), candle)

    def _filled(self, one: Rests, place: Place) -> Act | None:
        found = fill_price(one, self.tape.candles, place)
        if found is None:
            return None
        price, maker = found
        code = Code.SIGNAL_BUY if one.side is Side.BUY else Code.SIGNAL_SELL
        fact = self.fact(one.side, one.amount, price, place[0], maker=maker)
        return Act(fact, code, one.leg, waited=True, maker=maker)

    def intended(
        self, state: State, candle: int, price: Decimal, free: Decimal | None = None, market: Market | None = None
    ) -> Decimal | None:
        """The amount that the signal asks for at another price, with less free money, or under another fee."""
        now = replace(self.situation(state, candle, price), free=free, market=market or self.tape.market)
        intent = decide(opinion_on(self.tape.signals, self.tape.candles, candle - 1), now).intent
        return None if intent is None else intent.amount

    def _protected(self, state: State, candle: int) -> Act | None:
        touch = self._touched(state, candle, candle + 1)
        if touch is None or sizing.flat(state.position.amount, touch.price, self.tape.market):
            return None
        now = self.situation(state, candle, touch.price)
        intent = judged(exit_intent(now, Purpose.STOP), now, touch.code, "").intent
        return None if intent is None else Act(self._fact(intent, candle), touch.code, clears=True)

    def _fact(self, intent: OrderIntent, candle: int) -> FillFact:
        return self.fact(intent.side, intent.amount, intent.price, candle)
