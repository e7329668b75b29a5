"""The sweep's engine: the backtest's trades in float64, thousands of parameter sets over the same candles.

Prices and amounts are rounded to the market's steps as the exact ledger rounds them. Without compiled code. When to
be in the market follows from where the entry and exit signals are, so every stay of one set is found by two binary
searches over all of its signals at once and a walk along the stays that are taken; the first touch of a stop or target
depends on nothing but the entry candle, so it is found once for all sets.
"""

from dataclasses import dataclass

import numpy as np

from bots.core.backtest import engine
from bots.core.backtest.stays import NONE, Ints, chain, fillable, turns
from bots.core.backtest.terms import Terms
from bots.core.performance import day_ends
from bots.core.sweep.money import Purse
from bots.core.sweep.rounding import Ticks
from bots.core.sweep.touch import TouchTable
from exchanges.core.candles import Candles
from exchanges.core.decimals import ZERO
from exchanges.core.slippage import BASIS_POINT
from strategies.core.signals import Floats, Signals


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """When, at what price and with how much one set was in the market; an ``exit`` of the candles' count means still
    open. ``cash`` is what there was before each entry, ``amount`` what it bought."""

    entry: Ints
    exit: Ints
    entry_price: Floats
    exit_price: Floats
    cash: Floats
    amount: Floats


NOTHING = Path(NONE, NONE, np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))


class Kernel:
    """One stretch of candles under one set of terms, asked about many sets of signals."""

    def __init__(self, candles: Candles, terms: Terms) -> None:
        self.candles, self.terms = candles, terms
        self.count = len(candles)
        self.fee = float(terms.fee)
        slip = float(terms.slippage_bps * BASIS_POINT)
        self.ticks = Ticks(terms.market.price_tick, candles)
        self.buys = self.ticks.up(candles.open * (1 + slip)) if slip else candles.open
        self.sells = self.ticks.down(candles.open * (1 - slip)) if slip else candles.open
        self.slip = slip
        self.purse = Purse(candles, terms)
        self.days = day_ends(candles.opened_at)
        self.day_closes = candles.close[self.days]
        self.touches = TouchTable(candles, self.buys, terms.limits, self.ticks, self.fee)

    def path_of(self, signals: Signals) -> Path:
        return self.path(fillable(signals.entry, signals.ready), fillable(signals.exit, signals.ready))

    def path(self, entries: Ints, exits: Ints) -> Path:
        """From the closed candles on which each rule holds, ascending; the last candle is not among them."""
        if not len(entries):
            return NOTHING
        entry, exit_, paid, got = self._walked(entries, exits)
        spent = self.purse.spent(paid, got, exit_ < self.count)
        if spent is None:
            # The market might refuse an order here, and then other stays follow.
            return self._judged(entries, exits)
        return Path(entry, exit_, paid, got, *spent)

    def _walked(self, entries: Ints, exits: Ints) -> tuple[Ints, Ints, Floats, Floats]:
        """(entry, exit, entry price, exit price) of each stay, none of them refused."""
        if not self.touches.active:
            entry, exit_ = turns(entries, exits, self.count)
            return entry, exit_, self.buys[entry], self.sells[np.minimum(exit_, self.count - 1)]
        bought = entries + 1
        sold = np.append(exits + 1, self.count)[np.searchsorted(exits, bought)]
        touched = self.touches.first(bought)
        # An exit signal's open comes before what its own candle touches.
        ended = np.minimum(sold, touched)
        taken = chain(np.searchsorted(entries, ended).tolist())
        entry, exit_ = bought[taken], ended[taken]
        prices = self.sells[np.minimum(exit_, self.count - 1)]
        hit = touched[taken] < sold[taken]
        met = self.touches.prices(entry[hit], exit_[hit])
        prices[hit] = self.ticks.down(met * (1 - self.slip)) if self.slip else met
        return entry, exit_, self.buys[entry], prices

    def _judged(self, entries: Ints, exits: Ints) -> Path:
        """The exact engine's stays."""
        flags = np.zeros((2, self.count), np.bool_)
        flags[0, entries] = flags[1, exits] = True
        opinions = Signals(flags[0], flags[1], np.ones(self.count, np.bool_), np.zeros(self.count))
        outcome = engine.run(self.candles, opinions, self.terms)
        rows = [
            (trade.entry, trade.exit, trade.entry_price, trade.exit_price, trade.pnl, trade.amount)
            for trade in outcome.trades
        ]
        if outcome.open is not None:
            kept = outcome.open
            rows.append((kept.entry, self.count, kept.entry_price, kept.entry_price, ZERO, kept.amount))
        if not rows:
            return NOTHING
        columns = [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]
        cash = self.purse.capital + np.concatenate([[0.0], np.cumsum(columns[4])[:-1]])
        entry, exit_ = (column.astype(np.int64) for column in columns[:2])
        return Path(entry, exit_, columns[2], columns[3], cash, columns[5])
