"""Sums and spreads over a sliding window whose value never depends on where the data begins.

A running total drifts: the same fourteen candles give another last digit after a million others. Here every
window is added up by the same tree of pairs (1 + 1, 2 + 2, 4 + 4, …), so that a backtest over years and a live
run over its warm-up get the same bits, in O(n log period).
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
CHUNK = 16_384


def padded(values: Floats, length: int) -> Floats:
    """The values moved to the end of an array of that length, NaN before them."""
    whole = np.full(length, np.nan)
    if len(values):
        whole[length - len(values) :] = values
    return whole


def chunks(count: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of stretches that stay in the processor's cache while several steps are taken on each."""
    return ((begin, min(begin + CHUNK, count)) for begin in range(0, count, CHUNK))


def rolling_sum(values: Floats, period: int) -> Floats:
    """Sum of each ``period`` neighbors: an array shorter than the input by ``period − 1``."""
    count = max(len(values) - period + 1, 0)
    total, level, size, done = np.zeros(count), values, 1, 0
    while True:
        if period & size:
            part = level[done : done + count]
            total = total + part if done else part
            done += size
        if size * 2 > period or not count:
            return total
        level = level[:-size] + level[size:]
        size *= 2


def rolling_all(flags: Flags, period: int) -> Flags:
    """Whether each ``period`` neighbors all hold; shorter than the input by ``period − 1``."""
    count = max(len(flags) - period + 1, 0)
    size = 1
    while size * 2 <= period and count:
        flags = flags[:-size] & flags[size:]
        size *= 2
    # Two overlapping windows of a power of two cover the rest.
    return flags[:count] & flags[period - size : period - size + count]


Spread = tuple[Floats, Floats]


def _joined(left: Spread, left_size: int, right: Spread, right_size: int) -> Spread:
    """Mean and squared deviations of two neighboring windows together (Chan, Golub and LeVeque 1979)."""
    size = left_size + right_size
    delta = right[0] - left[0]
    mean = left[0] + delta * (right_size / size)
    np.multiply(delta, delta, out=delta)
    delta *= left_size * right_size / size
    delta += left[1]
    delta += right[1]
    return mean, delta


def rolling_mean_and_deviation(values: Floats, period: int) -> Spread:
    """Mean and population standard deviation of each ``period`` neighbors, without cancellation."""
    count = max(len(values) - period + 1, 0)
    mean, deviation = np.empty(count), np.empty(count)
    for begin, end in chunks(count):
        mean[begin:end], squares = _mean_and_squares(values[begin : end + period - 1], period)
        np.sqrt(squares / period, out=deviation[begin:end])
    return mean, deviation


def _mean_and_squares(values: Floats, period: int) -> Spread:
    count = len(values) - period + 1
    level: Spread = (values, np.zeros(len(values)))
    total, size, done = level, 1, 0
    while True:
        if period & size:
            part = (level[0][done : done + count], level[1][done : done + count])
            total = _joined(total, done, part, size) if done else part
            done += size
        if size * 2 > period:
            return total
        level = _joined((level[0][:-size], level[1][:-size]), size, (level[0][size:], level[1][size:]), size)
        size *= 2
