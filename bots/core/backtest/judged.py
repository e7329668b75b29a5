"""The long way through a backtest: every order is put to `bots.core.risk`, still only where something can happen."""

import numpy as np

from bots.core import sizing
from bots.core.backtest.account import Account, opinion_on
from bots.core.backtest.equity_memory import EquityMemory
from bots.core.backtest.terms import Outcome, Terms
from bots.core.backtest.touch import Guard, Touch, protects
from bots.core.decision import decide
from exchanges.core.candles import Candles
from exchanges.core.decimals import from_float
from exchanges.core.orders import Side
from strategies.core.signals import Signals


def walk(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """`replay.replay`'s answer to the last digit, without looking at the candles where nothing can happen."""
    run = Judged(candles, signals, terms)
    for signal in np.flatnonzero((signals.entry | signals.exit)[:-1] & signals.ready[:-1]).tolist():
        run.watch(signal + 1)
        run.decide(signal)
    run.watch(len(candles))
    return run.account.outcome()


class Judged:
    def __init__(self, candles: Candles, signals: Signals, terms: Terms) -> None:
        self.candles, self.signals, self.terms = candles, signals, terms
        self.account = Account(candles, terms, signals.plan)
        self.guard: Guard | None = None
        self.guarded = protects(terms.limits)
        self.memory = EquityMemory(candles, terms)

    def watch(self, before: int) -> None:
        """Sell at every protection that is touched before that candle."""
        while self.guard is not None:
            touch = self.guard.until(before, self.candles)
            if touch is None:
                return
            self._protect(touch)

    def _protect(self, touch: Touch) -> None:
        price = self.terms.fill_price(touch.price, Side.SELL)
        if sizing.flat(self.account.position.amount, price, self.terms.market):
            return
        now = self.account.situation(touch.candle, price, price, *self.memory.as_of(touch.candle))
        if self.account.protect(now, touch.candle, touch.code):
            self._changed(touch.candle)

    def decide(self, signal: int) -> None:
        index, account = signal + 1, self.account
        if not account.position.amount and not self.signals.entry[signal]:
            return
        opened = from_float(self.candles.open[index])
        price = self.terms.fill_price(opened, account.side)
        flat = sizing.flat(account.position.amount, price, self.terms.market)
        entry, scaled = self.signals.entry[signal], self.signals.plan is not None
        if not (entry if flat else self.signals.exit[signal] or (scaled and entry)):
            return
        ask = self.terms.fill_price(opened, Side.BUY)
        now = account.situation(index, price, opened, *self.memory.as_of(index), ask=ask)
        if account.carry_out(decide(opinion_on(self.signals, self.candles, signal), now), index):
            self._changed(index)

    def _changed(self, index: int) -> None:
        amount = self.account.position.amount
        self.memory.changed(index, amount, self.account.cash)
        self.guard = self._guard(index) if amount and self.guarded else None

    def _guard(self, index: int) -> Guard:
        account = self.account
        return Guard(index, account.position.entry_price, self.terms, account.stakes[-1], self.guard)
