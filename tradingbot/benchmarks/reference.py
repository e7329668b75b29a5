"""What plain Python can do: the crossings found by numpy and TA-Lib, Python visiting only the events, in floats.

The measure of our engines' overhead, and the trades that every system must have made.
"""

import numpy as np
import numpy.typing as npt
from talib import _ta_lib as ta

from exchanges.core.candles import Candles

PERIOD, OVERSOLD, OVERBOUGHT = 14, 30.0, 70.0
FEE, STOP, TARGET = 0.001, 0.05, 0.10
FIRST_WINDOW = 256
Entries = npt.NDArray[np.int64]


def events(candles: Candles, *, protected: bool) -> Entries:
    """Entry candles of the Wilder RSI cross; with ``protected`` a stop of 5 % and a target of 10 % inside candles."""
    rsi = ta.RSI(candles.close, PERIOD)
    count = len(candles)
    ups, downs = _crossings(rsi, count)
    downs.append(count)
    entries: list[int] = []
    at = past = 0
    left = -1
    while at < len(ups):
        entry = ups[at]
        at += 1
        if entry <= left:
            continue
        while downs[past] <= entry:
            past += 1
        left = _touched(candles, entry, downs[past]) if protected else downs[past]
        entries.append(entry)
    return np.array(entries, dtype=np.int64)


def _crossings(rsi: npt.NDArray[np.float64], count: int) -> tuple[list[int], list[int]]:
    below, above, known = rsi <= OVERSOLD, rsi >= OVERBOUGHT, ~np.isnan(rsi[1:])
    ups = np.flatnonzero(below[:-1] & ~below[1:] & known) + 2
    downs = np.flatnonzero(above[:-1] & ~above[1:] & known) + 2
    return ups[ups < count].tolist(), downs[downs < count].tolist()


def _touched(candles: Candles, entry: int, end: int) -> int:
    stop, target = candles.open[entry] * (1 - STOP), candles.open[entry] * (1 + TARGET)
    start, size = entry, FIRST_WINDOW
    while start < end:
        until = min(start + size, end)
        hits = np.flatnonzero((candles.low[start:until] <= stop) | (candles.high[start:until] >= target))
        if len(hits):
            return start + int(hits[0])
        start, size = until, size * 4
    return end
