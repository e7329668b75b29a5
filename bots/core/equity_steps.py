"""A run's equity as the steps between its fills: between two of them it is what is held times the close, and cash."""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from strategies.core.signals import Floats

#: A block fits the processor's cache, since a million candles do not.
BLOCK: Final = 16_384
#: To look at one step alone takes about as long as this many candles of a look at all of them.
STEP_COST: Final = 2_000
#: Of a peak: what is less below it is as high, but for the rounding of floats.
SAME: Final = 1 - 1e-12
Indices = npt.NDArray[np.intp]


class EquitySteps(NamedTuple):
    """From each of ``starts`` on, the first being 0 and none twice, ``held`` in base and ``cash`` in quote."""

    starts: Indices
    held: Floats
    cash: Floats
    closes: Floats

    def each(self) -> Floats:
        """The equity at every candle's close."""
        lengths = np.diff(self.starts, append=len(self.closes))
        equity: Floats = np.repeat(self.held, lengths)
        cash = np.repeat(self.cash, lengths)
        for start in range(0, len(equity), BLOCK):
            block = slice(start, start + BLOCK)
            equity[block] *= self.closes[block]
            equity[block] += cash[block]
        return equity

    def at(self, candles: Indices) -> Floats:
        """The equity at the close of those candles."""
        step = np.searchsorted(self.starts, candles, side="right") - 1
        equity: Floats = self.held[step] * self.closes[candles] + self.cash[step]
        return equity

    def drawdown(self, initial: float) -> tuple[float, int]:
        """(largest fall from the highest so far in percent, most candles in a row below it).

        A step whose highest close stays below the highest so far is told by its lowest one, since rounding keeps the
        order of what it rounds.
        """
        lows = self.held * np.minimum.reduceat(self.closes, self.starts) + self.cash
        highs = self.held * np.maximum.reduceat(self.closes, self.starts) + self.cash
        peaks = np.maximum.accumulate(np.append(initial, highs))[:-1]
        loud = highs >= peaks * SAME
        if np.count_nonzero(loud) * STEP_COST > len(self.closes):
            return drawdown_of(self.each(), initial)
        deepest = float((1.0 - lows[~loud] / peaks[~loud]).max(initial=0.0))
        ends = np.append(self.starts[1:], len(self.closes))
        longest, last_peak = 0, -1
        for step in np.flatnonzero(loud).tolist():
            first = int(self.starts[step])
            block = self.held[step] * self.closes[first : ends[step]] + self.cash[step]
            fall, run, _, last_peak = _fall(block, float(peaks[step]), last_peak - first)
            deepest, longest, last_peak = max(deepest, fall), max(longest, run), last_peak + first
        return 100 * deepest, max(longest, len(self.closes) - 1 - last_peak)


def stepped(changes: Indices, held: Floats, cash: Floats, closes: Floats) -> EquitySteps:
    """``changes`` are the candles where the amount changes, ascending; ``held`` and ``cash`` begin before the first.

    Of several changes on one candle the last one counts.
    """
    starts = np.append(0, changes)
    lasting = np.diff(starts, append=len(closes)) > 0
    return EquitySteps(starts[lasting], held[lasting], cash[lasting], closes)


def drawdown_of(equity: Floats, initial: float) -> tuple[float, int]:
    """(largest fall in percent, most candles in a row below the highest so far) of a curve."""
    deepest, longest, peak, last_peak = 0.0, 0, initial, -1
    for start in range(0, len(equity), BLOCK):
        fall, run, peak, last_peak = _fall(equity[start : start + BLOCK], peak, last_peak - start)
        deepest, longest, last_peak = max(deepest, fall), max(longest, run), last_peak + start
    return 100 * deepest, max(longest, len(equity) - 1 - last_peak)


def _fall(block: Floats, peak: float, last_peak: int) -> tuple[float, int, float, int]:
    """(deepest fall, longest run below the peak that ended, highest so far, where it was last reached) of a block."""
    peaks = np.maximum.accumulate(block)
    np.maximum(peaks, peak, out=peaks)
    at_peak = np.concatenate([[last_peak], np.flatnonzero(block >= peaks * SAME)])
    fallen = 1.0 - float((block / peaks).min())
    return fallen, int(np.diff(at_peak).max(initial=1)) - 1, float(peaks[-1]), int(at_peak[-1])
