"""Candle by candle, as a live run meets them: slow, plain, and the yardstick of the engine that visits only events."""

from datetime import date
from decimal import Decimal

from bots.core import sizing
from bots.core.backtest import grid
from bots.core.backtest.account import Account, opinion_on
from bots.core.backtest.terms import Outcome, Terms
from bots.core.backtest.touch import protects, touched
from bots.core.codes import Code
from bots.core.decision import decide
from bots.core.protection import levels
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.orders import Side
from strategies.core.plan import Grid
from strategies.core.signals import Signals


def replay(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """Per candle: decide on the one that has just closed, fill at this one's open, watch its range, mark its close."""
    if isinstance(signals.plan, Grid):
        return grid.replay(candles, signals, terms)
    run = Replay(candles, signals, terms)
    for index in range(len(candles)):
        run.candle(index)
    return run.account.outcome()


class Replay:
    def __init__(self, candles: Candles, signals: Signals, terms: Terms) -> None:
        self.candles, self.signals, self.terms = candles, signals, terms
        self.account = Account(candles, terms, signals.plan)
        self.peak = self.last_equity = self.day_start = terms.capital
        self.day: date | None = None
        self.highest = ZERO

    def candle(self, index: int) -> None:
        today = from_ms(int(self.candles.opened_at[index])).date()
        if today != self.day:
            self.day, self.day_start = today, self.last_equity
        if index:
            self._decide(index)
        if self.account.position.amount and protects(self.terms.limits):
            self._watch(index)
        self.last_equity = self.account.equity(from_float(self.candles.close[index]))
        self.peak = max(self.peak, self.last_equity)

    def _decide(self, index: int) -> None:
        opened = from_float(self.candles.open[index])
        price = self.terms.fill_price(opened, self.account.side)
        ask = self.terms.fill_price(opened, Side.BUY)
        now = self.account.situation(index, price, opened, self.peak, self.day_start, ask)
        decided = decide(opinion_on(self.signals, self.candles, index - 1), now)
        if self.account.carry_out(decided, index) and decided.intent and decided.intent.side is Side.BUY:
            paid = decided.intent.price
            self.highest = paid if len(self.account.stakes) == 1 else max(self.highest, paid)

    def _watch(self, index: int) -> None:
        opened, high, low = (
            from_float(column[index]) for column in (self.candles.open, self.candles.high, self.candles.low)
        )
        self.highest = max(self.highest, opened)
        at = levels(self.account.position.entry_price, self.highest, self.terms.limits, self.terms.market)
        found = touched(at, opened, high, low)
        if found is not None:
            self._protect(index, found[1], found[0])
        self.highest = max(self.highest, high)

    def _protect(self, index: int, level: Decimal, code: Code) -> None:
        price = self.terms.fill_price(level, Side.SELL)
        if not sizing.flat(self.account.position.amount, price, self.terms.market):
            now = self.account.situation(index, price, price, self.peak, self.day_start)
            self.account.protect(now, index, code)
