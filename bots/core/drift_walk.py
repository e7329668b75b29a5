"""The replay from any state on: what it does on a candle, where it may act next, and what it ends with.

The rules are those of `bots.core.replay`, candle by candle; a state in the middle of a day can be taken up, with a
position, dust, and what the protections remember. Within a candle its open comes first (phase 0: the signal of the
candle before is filled), then its range (phase 1: protections). Times are those of candles' opens.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from bots.core import breaker, sizing
from bots.core.backtest_account import opinion_on
from bots.core.backtest_touch import protects
from bots.core.breaker import Books, Breaker, ClosedTrade
from bots.core.codes import Code
from bots.core.decision import decide, exit_intent, judged
from bots.core.drift_terms import Memory, Tape
from bots.core.drift_touch import Held, Touched, first_touch
from bots.core.intent import OrderIntent, Purpose
from bots.core.position import FillFact, Position, book
from bots.core.situation import Situation
from exchanges.core.candles import from_ms
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.fees import fee_for
from exchanges.core.market import Market
from exchanges.core.orders import Side

MINUTE_MS: Final = 60_000
#: (candle, phase): the order in which things happen.
Place = tuple[int, int]


class Act(NamedTuple):
    """What the replay does: the fill, and why."""

    fact: FillFact
    code: Code


@dataclass(frozen=True, slots=True)
class State:
    """All on which the rest of the day depends. ``highest`` covers the candles before ``seen``, ``peak`` the closes
    before ``closes``; what no limit asks for is not kept, so that equal states compare equal."""

    position: Position
    peak: Decimal
    highest: Decimal = ZERO
    seen: int = 0
    closes: int = 0
    loss_streak: int = 0
    last_loss: datetime | None = None
    sent: tuple[int, ...] = ()
    stakes: tuple[Decimal, ...] = ()
    breakers: tuple[Breaker, ...] = ()
    trades: tuple[ClosedTrade, ...] = ()


def after(place: Place) -> Place:
    return (place[0], 1) if place[1] == 0 else (place[0] + 1, 0)


class Walk:
    def __init__(self, tape: Tape, capital: Decimal, day_start: Decimal) -> None:
        self.tape, self.capital, self.day_start = tape, capital, day_start
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

    def begin(self, start: Memory) -> State:
        """The state at the day's start; closed trades before it are folded as the live run folded them."""
        first, limits = self.tape.first, self.tape.limits
        peak = self.day_start if start.peak_equity is None else max(start.peak_equity, self.day_start)
        state = State(start.position, max(peak, self.capital), start.highest, first, first, stakes=start.stakes)
        state = replace(state, breakers=tuple(Breaker(name) for name in breaker.switched_on(limits)))
        for trade in start.trades:
            state = self._closed(state, trade)
        return state

    def equity(self, state: State, price: Decimal) -> Decimal:
        return self.capital + state.position.profit(price)

    def run(self, state: State, place: Place) -> Iterator[State]:
        """The state after each act of the replay, from here on."""
        while (found := self.upcoming(state, place)) is not None:
            self.steps += 1
            act = self.act(state, found)
            if act is not None:
                state = self.apply(state, found, [act.fact], act.code)
                yield state
            place = after(found)

    def final(self, state: State, place: Place) -> Decimal:
        """The equity at the day's end if the replay goes on from here."""
        if self.blind:
            return ZERO
        last = deque(self.run(state, place), maxlen=1)
        return self.equity(last[0] if last else state, self.mark)

    def upcoming(self, state: State, place: Place) -> Place | None:
        """Where the replay may act next, at or after this place; None: nowhere any more."""
        candle, phase = place
        signals = self._wanted(state)
        index = bisect_right(signals, candle if phase else candle - 1)
        signal = signals[index] if index < len(signals) else self.end
        touched = self._touched(state, candle, signal)
        if touched is not None:
            return touched.candle, 1
        return (signal, 0) if signal < self.end else None

    def _wanted(self, state: State) -> list[int]:
        amount, market = state.position.amount, self.tape.market
        if amount <= 0:
            return self.entries
        # Near the exchange's minimum the price decides whether it is a position at all; a plan may add to one.
        return self.exits if market.tradable(amount, self.lowest) and self.tape.signals.plan is None else self.either

    def _touched(self, state: State, candle: int, before: int) -> Touched | None:
        if not self.guarded or state.position.amount <= 0:
            return None
        highest = self._highest(state, candle)
        held = Held(state.position.entry_price, highest, self.tape.limits, self.tape.market)
        return first_touch(held, self.tape.candles, candle, before)

    def _highest(self, state: State, candle: int) -> Decimal:
        if candle <= state.seen:
            return state.highest
        return max(state.highest, from_float(float(self.tape.candles.high[state.seen : candle].max())))

    def act(self, state: State, place: Place) -> Act | None:
        return self.decided(state, place[0])[0] if place[1] == 0 else self._protected(state, place[0])

    def decided(self, state: State, candle: int) -> tuple[Act | None, Code]:
        """On the signal of the candle before, at this one's open."""
        price = from_float(float(self.tape.candles.open[candle]))
        now = self._situation(state, candle, price)
        found = decide(opinion_on(self.tape.signals, self.tape.candles, candle - 1), now)
        if found.intent is None:
            return None, found.code
        return Act(self._fact(found.intent, candle), found.code), found.code

    def intended(
        self, state: State, candle: int, price: Decimal, free: Decimal | None = None, market: Market | None = None
    ) -> Decimal | None:
        """The amount that the signal asks for at another price, with less free money, or under another fee."""
        now = replace(self._situation(state, candle, price), free=free, market=market or self.tape.market)
        intent = decide(opinion_on(self.tape.signals, self.tape.candles, candle - 1), now).intent
        return None if intent is None else intent.amount

    def _protected(self, state: State, candle: int) -> Act | None:
        touch = self._touched(state, candle, candle + 1)
        if touch is None or sizing.flat(state.position.amount, touch.price, self.tape.market):
            return None
        now = self._situation(state, candle, touch.price)
        intent = judged(exit_intent(now, Purpose.STOP), now, touch.code, "").intent
        return None if intent is None else Act(self._fact(intent, candle), touch.code)

    def _fact(self, intent: OrderIntent, candle: int) -> FillFact:
        return self.fact(intent.side, intent.amount, intent.price, candle)

    def fact(self, side: Side, amount: Decimal, price: Decimal, candle: int) -> FillFact:
        """A fill as the market's rules would have it."""
        market, at = self.tape.market, self.time(candle)
        fee, asset = fee_for(market, side, amount, price, market.taker_fee, in_base=market.fee_in_base)
        return FillFact(side, amount, price, fee, asset, at, at if side is Side.BUY else None)

    def time(self, candle: int) -> datetime:
        return from_ms(int(self.tape.candles.opened_at[candle]))

    def _situation(self, state: State, candle: int, price: Decimal) -> Situation:
        opened_at, equity = self.time(candle), self.equity(state, price)
        minute_ago = int(self.tape.candles.opened_at[candle]) - MINUTE_MS
        return Situation(
            at=opened_at,
            market=self.tape.market,
            limits=self.tape.limits,
            position=state.position,
            price=price,
            cash=self.capital + state.position.cash,
            equity=equity,
            peak_equity=max(self._peak(state, candle), equity),
            day_start_equity=self.day_start,
            orders_last_minute=sum(ms > minute_ago for ms in state.sent),
            loss_streak=state.loss_streak,
            last_loss_at=state.last_loss,
            stakes=state.stakes,
            breakers=tuple(breaker.as_of(one, opened_at) for one in state.breakers),
        )

    def _peak(self, state: State, candle: int) -> Decimal:
        if self.tape.limits.max_drawdown_pct is None or candle <= state.closes:
            return state.peak
        highest = from_float(float(self.tape.candles.close[state.closes : candle].max()))
        return max(state.peak, self.equity(state, highest))

    def apply(self, state: State, place: Place, facts: Sequence[FillFact], code: Code) -> State:
        """The state after these fills of one order."""
        candle = place[0]
        before, pnl = state.position, None
        state = replace(state, peak=self._peak(state, candle), closes=candle, sent=self._sent(state, candle))
        if facts[0].side is Side.BUY:
            state = self._entered(state, place, facts[0].price)
        for fact in facts:
            booked = book(state.position, fact, self.tape.market.base, self.tape.market.quote)
            state = replace(state, position=booked.position)
            pnl = pnl if booked.pnl is None else booked.pnl + (pnl or ZERO)
        if pnl is None:
            return state
        at, state = self.time(candle), replace(state, stakes=())
        return self._closed(state, ClosedTrade(before.opened_at or at, at, pnl, code))

    def _entered(self, state: State, place: Place, price: Decimal) -> State:
        """A buy inside the candle knows nothing of the range before it; one more part forgets nothing."""
        candle, phase = place
        if sizing.flat(state.position.amount, price, self.tape.market):
            return replace(state, highest=price, seen=candle + phase, stakes=(price,))
        highest = max(self._highest(state, candle), price)
        return replace(state, highest=highest, seen=max(state.seen, candle), stakes=(*state.stakes, price))

    def _sent(self, state: State, candle: int) -> tuple[int, ...]:
        if self.tape.limits.max_orders_per_minute is None:
            return ()
        now = int(self.tape.candles.opened_at[candle])
        return (*(ms for ms in state.sent if ms > now - MINUTE_MS), now)

    def _closed(self, state: State, trade: ClosedTrade) -> State:
        streak = state.loss_streak + 1 if trade.pnl < 0 else 0
        state = replace(state, loss_streak=streak, last_loss=trade.at if trade.pnl < 0 else state.last_loss)
        if not state.breakers:
            return state
        trades, books = (*state.trades, trade), Books(self.capital)
        folded = tuple(breaker.after_trade(one, trades, self.tape.limits, books) for one in state.breakers)
        return replace(state, breakers=folded, trades=trades)
