"""The sweep's engine: the backtest's trades in float64, thousands of parameter sets over the same candles.

Without compiled code. When to be in the market follows from where the entry and exit signals are, so every stay of
one set is found by two binary searches over all of its signals at once and a walk along the stays that are taken;
the first touch of a stop or target depends on nothing but the entry candle, so it is found once for all sets.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from bots.core.backtest_terms import Terms
from bots.core.kernel_touch import TouchTable
from bots.core.performance import day_ends
from exchanges.core.candles import Candles
from exchanges.core.slippage import BASIS_POINT
from strategies.core.signals import Flags, Floats, Signals

Ints = npt.NDArray[np.int64]
NONE: Final = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """When and at what price one set was in the market; an ``exit`` of the candles' count means still open."""

    entry: Ints
    exit: Ints
    entry_price: Floats
    exit_price: Floats


def fillable(flags: Flags, ready: Flags) -> Ints:
    """The closed candles that have a next one to be filled on."""
    return np.flatnonzero(flags[:-1] & ready[:-1])


class Kernel:
    """One stretch of candles under one set of terms, asked about many sets of signals."""

    def __init__(self, candles: Candles, terms: Terms) -> None:
        self.candles, self.terms = candles, terms
        self.count = len(candles)
        self.fee = float(terms.fee)
        slip = float(terms.slippage_bps * BASIS_POINT)
        self.buys = candles.open * (1 + slip) if slip else candles.open
        self.sells = candles.open * (1 - slip) if slip else candles.open
        self.slip = slip
        self.days = day_ends(candles.opened_at)
        self.day_closes = candles.close[self.days]
        self.touches = TouchTable(candles, self.buys, terms.limits, self.fee)

    def path_of(self, signals: Signals) -> Path:
        return self.path(fillable(signals.entry, signals.ready), fillable(signals.exit, signals.ready))

    def path(self, entries: Ints, exits: Ints) -> Path:
        """From the closed candles on which each rule holds, ascending; the last candle is not among them."""
        if not len(entries):
            return Path(NONE, NONE, np.zeros(0), np.zeros(0))
        if not self.touches.active:
            entry, exit_ = turns(entries, exits, self.count)
            return Path(entry, exit_, self.buys[entry], self.sells[np.minimum(exit_, self.count - 1)])
        bought = entries + 1
        sold = np.append(exits + 1, self.count)[np.searchsorted(exits, bought)]
        touched = self.touches.first(bought)
        # An exit signal's open comes before what its own candle touches.
        ended = np.minimum(sold, touched)
        taken = _chain(np.searchsorted(entries, ended).tolist())
        entry, exit_ = bought[taken], ended[taken]
        prices = self.sells[np.minimum(exit_, self.count - 1)]
        hit = touched[taken] < sold[taken]
        prices[hit] = self.touches.prices(entry[hit], exit_[hit]) * (1 - self.slip)
        return Path(entry, exit_, self.buys[entry], prices)


def turns(entries: Ints, exits: Ints, count: int) -> tuple[Ints, Ints]:
    """The fills of entry and exit signals in turns; an exit that never comes is the candles' count."""
    fills = _alternating(entries, exits)
    if fills is None:
        bought = entries + 1
        sold = np.append(exits + 1, count)[np.searchsorted(exits, bought)]
        taken = _chain(np.searchsorted(entries, sold).tolist())
        return bought[taken], sold[taken]
    if len(fills) % 2:
        fills = np.append(fills, count)
    return fills[0::2], fills[1::2]


def _alternating(entries: Ints, exits: Ints) -> Ints | None:
    """Fill candles in turns, entry first; None where both rules hold on one candle, since then it depends.

    The state after any candle is what the last signal said, so a fill is where a signal differs from the one before.
    """
    keys = np.concatenate([entries * 2 + 1, exits * 2])
    if not len(keys):
        return keys
    # Two sorted runs: a stable sort merges them.
    keys.sort(kind="stable")
    kinds = keys & 1
    candles = keys >> 1
    if (candles[1:] == candles[:-1]).any():
        return None
    differs = np.empty(len(keys), dtype=np.bool_)
    differs[0] = kinds[0]
    np.not_equal(kinds[1:], kinds[:-1], out=differs[1:])
    fills: Ints = candles[differs] + 1
    return fills


def _chain(following: list[int]) -> list[int]:
    """From the first entry on, each entry that comes after the stay of the one before has ended."""
    taken: list[int] = []
    at, count, append = 0, len(following), taken.append
    while at < count:
        append(at)
        at = following[at]
    return taken
