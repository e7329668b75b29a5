"""Supertrend's two stops, each of which only tightens until the close breaks it."""

import numpy as np
import numpy.typing as npt

from strategies.core.crossing import SAME
from strategies.core.rolling import Flags, Floats

# The textbook's stops remember without end, so that no warm-up would ever do. Here they are begun anew every so many
# candles, and what is used of each beginning are only the candles after that many more.
MEMORY = 256


# With no more runs than this, plain floats are faster than arrays.
FEW = 64
Runs = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]


def _beginnings(opened_at: npt.NDArray[np.int64]) -> Runs:
    """For every block of `MEMORY` slots of time: where its run begins, where its own candles begin, where they end.

    Blocks hang on the clock, not on the first candle, so that any stretch of candles has the same ones.
    """
    step = int(np.min(np.diff(opened_at), initial=np.iinfo(np.int64).max))
    blocks = opened_at // (step * MEMORY) if len(opened_at) > 1 else np.zeros(len(opened_at), np.int64)
    own = np.concatenate([[0], np.flatnonzero(np.diff(blocks)) + 1])
    ends = np.append(own[1:], len(blocks))
    run_in = np.searchsorted(blocks, blocks[own] - 1, side="left")
    return run_in, own, ends


def ratchet(
    upper: Floats, lower: Floats, closes: Floats, opened_at: npt.NDArray[np.int64]
) -> tuple[Floats, Flags, Flags]:
    """(line, rising, flipped) from the raw bands, all defined; a run begins as falling, at the upper band."""
    count = len(closes)
    if not count:
        return np.empty(0), np.zeros(0, np.bool_), np.zeros(0, np.bool_)
    runs = _beginnings(opened_at)
    return (_one_by_one if len(runs[0]) <= FEW else _side_by_side)(upper, lower, closes, runs)


def _one_by_one(upper: Floats, lower: Floats, closes: Floats, runs: Runs) -> tuple[Floats, Flags, Flags]:
    """For the short window of a live run, on which the other way would spend its time calling numpy."""
    rows: list[tuple[float, bool, bool]] = []
    for begin, own, end in zip(*(part.tolist() for part in runs), strict=True):
        window = slice(begin, end)
        rows += _run(upper[window].tolist(), lower[window].tolist(), closes[window].tolist())[own - begin :]
    line, rising, flipped = zip(*rows, strict=True)
    return np.array(line), np.array(rising, np.bool_), np.array(flipped, np.bool_)


def _run(uppers: list[float], lowers: list[float], closes: list[float]) -> list[tuple[float, bool, bool]]:
    high, low, up, before = uppers[0], lowers[0], False, closes[0]
    rows = [(high, up, False)]
    for upper, lower, close in zip(uppers[1:], lowers[1:], closes[1:], strict=True):
        noise = close * SAME
        high = upper if upper < high or before - high > noise else high
        low = lower if lower > low or low - before > noise else low
        was, up = up, low - close <= noise if up else close - high > noise
        rows.append((low if up else high, up, was != up))
        before = close
    return rows


def _side_by_side(upper: Floats, lower: Floats, closes: Floats, runs: Runs) -> tuple[Floats, Flags, Flags]:
    """All runs at once: the loop is over the candles of one run, whatever their number."""
    count = len(closes)
    line, rising, flipped = np.empty(count), np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    begin, own, ends = runs
    high, low, up = upper[begin], lower[begin], np.zeros(len(begin), np.bool_)
    was, before = up, closes[begin]
    for step in range(int(np.max(ends - begin))):
        at = np.minimum(begin + step, ends - 1)
        close = closes[at]
        if step:
            noise = close * SAME
            high = np.where((upper[at] < high) | (before - high > noise), upper[at], high)
            low = np.where((lower[at] > low) | (low - before > noise), lower[at], low)
            was, up = up, np.where(up, low - close <= noise, close - high > noise)
        before = close
        # Before its own candles a run only warms up; past their end it repeats the last one for nothing.
        mine = (begin + step >= own) & (begin + step < ends)
        here = at[mine]
        line[here], rising[here], flipped[here] = np.where(up, low, high)[mine], up[mine], (was != up)[mine]
    return line, rising, flipped
