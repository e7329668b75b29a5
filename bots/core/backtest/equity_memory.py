"""What equity was at earlier closes, where amount and cash change only now and then."""

from bisect import bisect_right
from decimal import Decimal

import numpy as np

from bots.core.backtest.terms import Terms
from exchanges.core.candles import Candles
from exchanges.core.decimals import ZERO, from_float
from strategies.core.indicators import DAY_MS


class EquityMemory:
    """``since`` and ``states``: amount and cash as they were from which candle's close on."""

    def __init__(self, candles: Candles, terms: Terms) -> None:
        self.candles, self.terms = candles, terms
        self.since = [0]
        self.states: list[tuple[Decimal, Decimal]] = [(ZERO, terms.capital)]
        self.peak = terms.capital
        self.peak_until = 0

    def changed(self, index: int, amount: Decimal, cash: Decimal) -> None:
        """From the close of that candle on; the candles come in order."""
        self._raise_peak(index)
        self.since.append(index)
        self.states.append((amount, cash))

    def as_of(self, index: int) -> tuple[Decimal, Decimal]:
        """(highest equity at any close before the candle, equity where its UTC day began)."""
        self._raise_peak(index)
        return self.peak, self.terms.capital if self.terms.limits.max_daily_loss is None else self._day_start(index)

    def _raise_peak(self, before: int) -> None:
        """Equity grows with the close while the amount stays: the highest close of the stretch decides."""
        if before > self.peak_until and self.terms.limits.max_drawdown_pct is not None:
            amount, cash = self.states[-1]
            highest = from_float(self.candles.close[self.peak_until : before].max()) if amount else ZERO
            self.peak = max(self.peak, cash + amount * highest)
            self.peak_until = before

    def _day_start(self, index: int) -> Decimal:
        midnight = int(self.candles.opened_at[index]) // DAY_MS * DAY_MS
        before = int(np.searchsorted(self.candles.opened_at, midnight)) - 1
        if before < 0:
            return self.terms.capital
        amount, cash = self.states[bisect_right(self.since, before) - 1]
        return cash + amount * from_float(self.candles.close[before])
