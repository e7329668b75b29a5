"""The backtest of a run whose entries rest: a buy at or under the bid that waits until it is filled or called back.

Decided on a closed candle, it is put to the exchange at the next one's open and meets the market as the simulated
exchange lets it: filled at an open within the limit, else at the limit when a candle's low reaches it. The first candle
that opens when its time is over is met by its open alone. Then it is canceled, and the next signal decides anew.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from bots.core.backtest.account import Account
from bots.core.backtest.judged import Judged
from bots.core.backtest.replay import Replay
from bots.core.backtest.terms import Outcome, Terms
from bots.core.backtest.touch import Touch, touched
from bots.core.codes import Code
from bots.core.decision import Decided
from bots.core.intent import OrderIntent
from bots.core.protection import levels
from bots.core.situation import Situation
from exchanges.core.candles import Candles, from_ms, to_ms
from exchanges.core.decimals import from_float
from exchanges.core.orders import Side
from strategies.core.signals import Signals


def walk(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """`replay`'s answer to the last digit, without looking at the candles where nothing can happen."""
    run = _Patient(candles, signals, terms)
    for signal in np.flatnonzero((signals.entry | signals.exit)[:-1] & signals.ready[:-1]).tolist():
        run.until_open(signal + 1)
        run.decide(signal)
    run.watch(len(candles))
    return run.account.outcome()


def replay(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """Candle by candle: the yardstick."""
    run = _PatientReplay(candles, signals, terms)
    for index in range(len(candles)):
        run.candle(index)
    return run.account.outcome()


@dataclass(frozen=True, slots=True)
class Pending:
    """An entry at the exchange since the open of candle ``since``; ``last`` is met by its open alone."""

    intent: OrderIntent
    code: Code
    since: int
    last: int

    @property
    def limit(self) -> Decimal:
        return self.intent.price if self.intent.limit_price is None else self.intent.limit_price


class PatientAccount(Account):
    """An account whose entries wait for their price."""

    pending: Pending | None = None
    waited = False

    @property
    def fee_rate(self) -> Decimal:
        return self.terms.market.maker_fee if self.waited else super().fee_rate

    def situation(
        self, index: int, price: Decimal, mark: Decimal, peak: Decimal, day_start: Decimal, ask: Decimal | None = None
    ) -> Situation:
        now = super().situation(index, price, mark, peak, day_start, ask)
        if self.pending is None:
            return replace(now, bid=mark)
        return replace(now, bid=mark, open_orders=1, busy_legs=frozenset({self.pending.intent.slot_leg}))

    def carry_out(self, decided: Decided, index: int) -> bool:
        if decided.intent is None or not decided.intent.rests:
            return super().carry_out(decided, index)
        rests_for = (decided.intent.rest_until or self._opens(index)) - self._opens(index)
        last = int(np.searchsorted(self.candles.opened_at, to_ms(self._decided_at(index) + rests_for)))
        self.pending = Pending(decided.intent, decided.code, index, max(last, index))
        self.order_times.append(int(self.candles.opened_at[index]))
        return False

    def meet(self, index: int, *, open_only: bool = False) -> bool:
        """Whether the candle, or its open alone, fills the entry that waits; its time may end here."""
        pending = self.pending
        if pending is None:
            return False
        opened, low = from_float(self.candles.open[index]), from_float(self.candles.low[index])
        if opened <= pending.limit:
            return self._book(pending, index, min(self.terms.fill_price(opened, Side.BUY), pending.limit), waited=False)
        if not open_only and index < pending.last and low <= pending.limit:
            return self._book(pending, index, pending.limit, waited=True)
        if index >= pending.last:
            self.pending = None
        return False

    def _book(self, pending: Pending, index: int, price: Decimal, *, waited: bool) -> bool:
        self.pending, self.waited = None, waited
        sent = list(self.order_times)
        self._fill(replace(pending.intent, price=price), index, pending.since - 1, pending.code)
        # It was sent when it was decided, and what comes next pays as ever.
        self.order_times, self.waited = sent, False
        self.kept = self.kept and self.kept._replace(signal=pending.since - 1)
        return True

    def _opens(self, index: int) -> datetime:
        return from_ms(int(self.candles.opened_at[index]))

    def _decided_at(self, index: int) -> datetime:
        """When the candle before closed: across a gap that is long before the next one opens."""
        step = timedelta(milliseconds=int(np.diff(self.candles.opened_at).min()))
        return min(self._opens(index), self._opens(index - 1) + step)


def touched_after(price: Decimal, index: int, candles: Candles, terms: Terms) -> tuple[Code, Decimal] | None:
    """What the rest of a candle does to a position entered inside it: only its low is certain to come later."""
    at = levels(price, price, terms.limits, terms.market)
    return touched(at, price, price, from_float(candles.low[index]))


class _Patient(Judged):
    account: PatientAccount

    def __init__(self, candles: Candles, signals: Signals, terms: Terms) -> None:
        super().__init__(candles, signals, terms)
        self.account = PatientAccount(candles, terms)

    def until_open(self, index: int) -> None:
        """All before that candle, and its open, which an entry that waits meets before anything new is decided."""
        self.watch(index)
        if self.account.meet(index, open_only=True):
            self._changed(index)

    def watch(self, before: int) -> None:
        self._wait(before)
        super().watch(before)

    def _wait(self, before: int) -> None:
        """Put the candles before that one to the entry that waits, as far as one may fill or end it."""
        pending = self.account.pending
        if pending is None:
            return
        end = min(before, pending.last + 1)
        low = self.candles.low[pending.since : end]
        for offset in np.flatnonzero(low <= float(pending.limit)).tolist():
            if self.account.meet(pending.since + offset):
                self._entered(pending.since + offset)
                return
        if before > pending.last:
            self.account.pending = None

    def _entered(self, index: int) -> None:
        price, opened = self.account.position.entry_price, from_float(self.candles.open[index])
        self._changed(index)
        if self.guard is None or price >= opened:
            return
        found = touched_after(price, index, self.candles, self.terms)
        self.guard.begin_after(index, self.candles)
        if found is not None:
            self._protect(Touch(index, found[1], found[0]))


class _PatientReplay(Replay):
    account: PatientAccount

    def __init__(self, candles: Candles, signals: Signals, terms: Terms) -> None:
        super().__init__(candles, signals, terms)
        self.account = PatientAccount(candles, terms)
        self.inside = False

    def _decide(self, index: int) -> None:
        """The open comes before the decision that is traded at it, the rest of the candle after."""
        self.inside = False
        if self.account.meet(index, open_only=True):
            self.highest = self.account.position.entry_price
        super()._decide(index)
        if self.account.meet(index):
            self.highest = self.account.position.entry_price
            self.inside = self.highest < from_float(self.candles.open[index])

    def _watch(self, index: int) -> None:
        if not self.inside:
            super()._watch(index)
            return
        found = touched_after(self.highest, index, self.candles, self.terms)
        if found is not None:
            self._protect(index, found[1], found[0])
        self.highest = max(self.highest, from_float(self.candles.close[index]))
