"""Indicators over float64 columns: as long as their input, NaN where undefined, in linear time.

What only looks at a window gives the same bits on any stretch of candles that holds the window; what remembers
(Wilder, EMA) agrees to the 8 decimals that decisions use once `faded` candles have passed.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from talib import _ta_lib as ta  # `import talib` would pull pandas in where it is installed

from strategies.core.ratchet import ratchet
from strategies.core.rolling import Flags, Floats, chunks, padded, rolling_all, rolling_mean_and_deviation, rolling_sum

DAY_MS = 86_400_000
# After this many periods without a new close, what Wilder's averages remember is no longer evidence.
QUIET_PERIODS = 10


def calculate_rsi(closes: Sequence[float], period: int = 14) -> float:
    """The latest RSI by simple means (Cutler), in plain floats: 50 when short, 100 without losses."""
    if len(closes) < period + 1:
        return 50.0
    recent = [float(close) for close in closes[-(period + 1) :]]
    changes = [later - earlier for earlier, later in pairwise(recent)]
    average_gain = sum(change for change in changes if change > 0) / period
    average_loss = sum(-change for change in changes if change < 0) / period
    if average_loss == 0:
        return 100.0
    return 100.0 - 100.0 / (1.0 + average_gain / average_loss)


def faded(fraction: float) -> int:
    """Candles until a memory that keeps ``1 − fraction`` per candle has lost its start (below 2⁻⁵⁴)."""
    return math.ceil(-54 * math.log(2) / math.log1p(-fraction)) if fraction < 1 else 1


def wilder_warmup(period: int) -> int:
    return period + 1 + faded(1 / period)


def ema_warmup(period: int) -> int:
    return period + faded(2 / (period + 1))


def _ticks(prices: Floats) -> Floats:
    """The prices as whole numbers in the finest decimal unit that float64 still tells apart.

    6378.28 − 6377.1 is not 1.18 in floats; in units of 10⁻¹¹ it is. Fifteen decimal digits survive float64,
    so the sixteenth, where sources carry noise (0.09969000000000001), is rounded away.
    """
    largest = float(np.max(np.abs(prices), initial=0.0))
    if not 0 < largest < math.inf:
        return prices
    scaled = prices * 10.0 ** (15 - math.ceil(math.log10(largest)))
    return np.rint(scaled, out=scaled)


def rsi_cutler(closes: Floats, period: int = 14) -> Floats:
    """RSI by simple means of the last ``period`` changes, exact for prices of up to 15 digits.

    100·gains/(gains + losses), which is the seed's 100 − 100/(1 + gains/losses); no gain and no loss: 50.
    """
    values = np.full(len(closes), 50.0)
    values[:period] = np.nan
    ticks = _ticks(closes)
    for begin, end in chunks(len(closes) - period):
        changes = np.diff(ticks[begin : end + period])
        moved = rolling_sum(np.abs(changes), period)
        gained = rolling_sum(np.maximum(changes, 0.0, out=changes), period)
        gained *= 100.0
        np.divide(gained, moved, out=values[period + begin : period + end], where=moved > 0)
    return values


def rsi_wilder(closes: Floats, period: int = 14) -> Floats:
    """RSI by Wilder's smoothing, as on charts.

    50 while the close has not moved, either since the start or for ten periods: what the averages still
    remember then is the ratio of two vanishing numbers, and depends on where the data begins.
    """
    if len(closes) <= period:
        return np.full(len(closes), np.nan)
    # A power of two changes no digit of the result; TA-Lib takes sums below 1e-14 for nothing.
    values: Floats = ta.RSI(closes * 2.0**40, period)
    still = closes[1:] == closes[:-1]
    quiet = QUIET_PERIODS * period
    if not still.all():
        values[period : int(np.argmin(still)) + 1] = 50.0
        long_still = np.flatnonzero(rolling_all(still, quiet))
        values[long_still + quiet] = 50.0
    else:
        values[period:] = 50.0
    return values


def sma(values: Floats, period: int) -> Floats:
    return padded(rolling_sum(values, period) / period, len(values))


def ema(values: Floats, period: int) -> Floats:
    """Exponential mean, α = 2/(period + 1), begun with the simple mean of the first ``period`` values."""
    if np.count_nonzero(~np.isnan(values[-period:])) < period:
        return np.full(len(values), np.nan)
    result: Floats = ta.EMA(values, period) if period > 1 else values.copy()
    return result


def macd(closes: Floats, fast: int = 12, slow: int = 26, signal: int = 9) -> tuple[Floats, Floats, Floats]:
    """(line, signal, histogram), each mean begun with its own simple mean, which is not TA-Lib's MACD."""
    line = ema(closes, fast) - ema(closes, slow)
    smooth = ema(line, signal)
    return line, smooth, line - smooth


def bollinger(closes: Floats, period: int = 20, stddev: float = 2.0) -> tuple[Floats, Floats, Floats]:
    """(lower, middle, upper): the mean and ``stddev`` population standard deviations around it."""
    middle, deviation = (padded(part, len(closes)) for part in rolling_mean_and_deviation(closes, period))
    deviation *= stddev
    return middle - deviation, middle, middle + deviation


def donchian_high(highs: Floats, period: int, *, include_current: bool = False) -> Floats:
    """The highest of the ``period`` candles before this one, or of those that end with it."""
    return _extreme(highs, period, include_current, highest=True)


def donchian_low(lows: Floats, period: int, *, include_current: bool = False) -> Floats:
    """The lowest of the ``period`` candles before this one, or of those that end with it."""
    return _extreme(lows, period, include_current, highest=False)


def _extreme(values: Floats, period: int, include_current: bool, *, highest: bool) -> Floats:
    if len(values) < period:
        return np.full(len(values), np.nan)
    if period == 1:
        including: Floats = values.copy()
    else:
        including = (ta.MAX if highest else ta.MIN)(values, period)
    return including if include_current else padded(including[:-1], len(values))


def atr(highs: Floats, lows: Floats, closes: Floats, period: int = 14) -> Floats:
    """Average true range by Wilder's smoothing, begun with the mean of the first ``period`` ranges."""
    if len(closes) <= period:
        return np.full(len(closes), np.nan)
    result: Floats = ta.ATR(highs, lows, closes, period)
    return result


def typical_price(highs: Floats, lows: Floats, closes: Floats) -> Floats:
    return (highs + lows + closes) / 3.0


def vwap_rolling(typical: Floats, volumes: Floats, period: int) -> Floats:
    """Mean of the last ``period`` prices weighted by volume; NaN when nothing was traded."""
    traded = rolling_sum(volumes, period)
    worth = rolling_sum(typical * volumes, period)
    mean = np.full(len(traded), np.nan)
    np.divide(worth, traded, out=mean, where=traded > 0)
    return padded(mean, len(typical))


def vwap_session_utc(opened_at: npt.NDArray[np.int64], typical: Floats, volumes: Floats) -> Floats:
    """Mean price weighted by volume since 00:00 UTC (or the first candle); NaN when nothing was traded."""
    if not len(typical):
        return np.zeros(0)
    days = opened_at // DAY_MS
    starts = [0, *(np.flatnonzero(days[1:] != days[:-1]) + 1).tolist(), len(days)]
    worth, traded = typical * volumes, volumes.copy()
    # One running sum per day, never across: yesterday must not leave its rounding in today.
    for start, end in pairwise(starts):
        np.add.accumulate(worth[start:end], out=worth[start:end])
        np.add.accumulate(traded[start:end], out=traded[start:end])
    mean = np.full(len(typical), np.nan)
    np.divide(worth, traded, out=mean, where=traded > 0)
    return mean


def supertrend(
    opened_at: npt.NDArray[np.int64],
    prices: tuple[Floats, Floats, Floats],
    period: int = 10,
    factor: float = 3.0,
) -> tuple[Floats, Flags, Flags]:
    """(line, rising, flipped) from (highs, lows, closes): a stop ``factor`` ATR off the middle that only tightens.

    The textbook's, except that it forgets what is older than `strategies.core.ratchet.MEMORY` candles.
    """
    highs, lows, closes = prices
    count = len(closes)
    known = slice(min(period, count), None)
    reach = factor * atr(highs, lows, closes, period)[known]
    middle = (highs[known] + lows[known]) / 2.0
    line, *flags = ratchet(middle + reach, middle - reach, closes[known], opened_at[known])
    rising, flipped = (np.concatenate([np.zeros(count - len(flag), np.bool_), flag]) for flag in flags)
    return padded(line, count), rising, flipped
