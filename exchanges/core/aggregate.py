"""Coarser candles from finer ones, and candles from trades; exact where the numbers are decimals."""

import itertools
import math

import numpy as np

from exchanges.core.candle_pack import as_decimals, places_of
from exchanges.core.candles import Candles, Floats, Millis, timeframe_ms


def aggregate(candles: Candles, from_timeframe: str, to_timeframe: str) -> Candles:
    """One candle for every stretch of ``to_timeframe`` in which anything was recorded; gaps are never filled.

    The first and the last one may rest on a part of their stretch: cut the last with `Candles.closed`. Volumes are
    added as decimals, so that 1m → 5m → 1h and 1m → 1h agree to the last digit.
    """
    fine, coarse = timeframe_ms(from_timeframe), timeframe_ms(to_timeframe)
    if coarse % fine:
        raise ValueError(f"Expected a multiple of {from_timeframe}, was {to_timeframe!r}.")
    if not len(candles):
        return candles
    opened_at = candles.opened_at // coarse * coarse
    starts = np.flatnonzero(np.diff(opened_at, prepend=opened_at[0] - coarse))
    ends = np.append(starts[1:], len(candles)) - 1
    return Candles(
        opened_at[starts],
        candles.open[starts],
        np.maximum.reduceat(candles.high, starts),
        np.minimum.reduceat(candles.low, starts),
        candles.close[ends],
        _sums(candles.volume, starts),
    )


def from_trades(traded_at: Millis, price: Floats, amount: Floats, timeframe: str) -> Candles:
    """Candles of public trades in the order in which they happened (``traded_at`` in ms, ascending)."""
    if (np.diff(traded_at) < 0).any():
        raise ValueError("Expected trades in the order of their times.")
    each = Candles(traded_at, price, price, price, price, amount)
    return aggregate(each, "1s", timeframe)


def _sums(values: Floats, starts: Millis) -> Floats:
    places = places_of(values)
    if places is None:
        bounds = [*starts.tolist(), len(values)]
        return np.array([math.fsum(values[a:b]) for a, b in itertools.pairwise(bounds)])
    whole = np.add.reduceat(as_decimals(values, places).whole, starts)
    sums: Floats = whole / 10.0**places
    return sums
