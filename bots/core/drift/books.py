"""What a day's state becomes by fills and by orders that rest, under the market's rules and the protections' memory."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from bots.core import breaker, sizing
from bots.core.breaker import Books, Breaker, ClosedTrade
from bots.core.drift.state import DECIDED, REACHED, Deed, Place, State, rested
from bots.core.drift.terms import Memory, Tape
from bots.core.position import FillFact, average_price, book
from bots.core.situation import Situation
from exchanges.core.candles import from_ms
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.fees import fee_for
from exchanges.core.orders import Side

MINUTE_MS: Final = 60_000


class DayBooks:
    def __init__(self, tape: Tape, capital: Decimal, day_start: Decimal) -> None:
        self.tape, self.capital, self.day_start = tape, capital, day_start

    def begin(self, start: Memory) -> State:
        """The state at the day's start; closed trades before it are folded as the live run folded them."""
        first, limits = self.tape.first, self.tape.limits
        peak = self.day_start if start.peak_equity is None else max(start.peak_equity, self.day_start)
        state = State(start.position, max(peak, self.capital), start.highest, first, first, stakes=start.stakes)
        state = replace(state, breakers=tuple(Breaker(name) for name in breaker.switched_on(limits)))
        for trade in start.trades:
            state = self._closed(state, trade)
        return replace(state, lots=dict(start.lots))

    def equity(self, state: State, price: Decimal) -> Decimal:
        return self.capital + state.position.profit(price)

    def fact(self, side: Side, amount: Decimal, price: Decimal, candle: int, *, maker: bool = False) -> FillFact:
        """A fill as the market's rules would have it."""
        market, at = self.tape.market, self.time(candle)
        rate = market.maker_fee if maker else market.taker_fee
        fee, asset = fee_for(market, side, amount, price, rate, in_base=market.fee_in_base)
        return FillFact(side, amount, price, fee, asset, at, at if side is Side.BUY else None)

    def time(self, candle: int) -> datetime:
        return from_ms(int(self.tape.candles.opened_at[candle]))

    def situation(self, state: State, candle: int, price: Decimal) -> Situation:
        opened_at, equity = self.time(candle), self.equity(state, price)
        minute_ago = int(self.tape.candles.opened_at[candle]) - MINUTE_MS
        standing = state.standing((candle, DECIDED))
        recent = sum(ms > minute_ago for ms in state.sent)
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
            open_orders=len(standing),
            busy_legs=frozenset(one.leg for one in standing),
            orders_last_minute=recent,
            account_orders_last_minute=recent,
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

    def all_of(self, state: State, place: Place, deeds: Iterable[Deed]) -> State:
        for deed in deeds:
            state = self.apply(state, place, deed)
        return state

    def apply(self, state: State, place: Place, deed: Deed) -> State:
        """The state after one order's fills, and with what of it rests."""
        candle = place[0]
        state = replace(rested(state, deed), peak=self._peak(state, candle), closes=candle)
        if not deed.waited:
            state = replace(state, sent=self._sent(state, candle))
        if not deed.facts:
            return state
        if deed.facts[0].side is Side.BUY:
            state = self._entered(state, place, deed)
        return self.booked(state, candle, deed)

    def booked(self, state: State, candle: int, deed: Deed) -> State:
        before, pnl = state.position, None
        for fact in deed.facts:
            done = book(state.position, fact, self.tape.market.base, self.tape.market.quote)
            state = replace(state, position=done.position)
            pnl = pnl if done.pnl is None else done.pnl + (pnl or ZERO)
        if pnl is None:
            return state
        at, state = self.time(candle), replace(state, stakes=())
        return self._closed(state, ClosedTrade(before.opened_at or at, at, pnl, deed.code))

    def _entered(self, state: State, place: Place, deed: Deed) -> State:
        """A buy inside the candle knows nothing of the range before it; one more part forgets nothing."""
        candle, price, stake = place[0], deed.facts[0].price, average_price(deed.facts)
        late = place[1] >= REACHED
        if sizing.flat(state.position.amount, price, self.tape.market):
            opened = from_float(float(self.tape.candles.open[candle]))
            inside = candle if place[1] == REACHED and deed.waited and price < opened else -1
            seen = candle if place[1] == REACHED and inside < 0 else candle + late
            return replace(state, highest=price, seen=seen, stakes=(stake,), inside=inside)
        highest = max(self._highest(state, candle), price)
        return replace(state, highest=highest, seen=max(state.seen, candle), stakes=(*state.stakes, stake))

    def _sent(self, state: State, candle: int) -> tuple[int, ...]:
        limits = self.tape.limits
        if limits.max_orders_per_minute is None and limits.max_account_orders_per_minute is None:
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

    def _highest(self, state: State, candle: int) -> Decimal:
        highest, close = state.highest, self.tape.candles.close
        if 0 <= state.inside < candle:
            highest = max(highest, from_float(float(close[state.inside])))
        if candle <= state.seen:
            return highest
        return max(highest, from_float(float(self.tape.candles.high[state.seen : candle].max())))
