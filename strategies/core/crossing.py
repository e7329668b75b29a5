"""Comparing columns so that float noise never decides a trade."""

import numpy as np

from strategies.core.rolling import Flags, Floats

DECIMALS = 8
# Sums and square roots of float64 prices are right to about 15 digits: what agrees to 12 is the same price.
SAME = 1e-12


def rounded(values: Floats, out: Floats | None = None) -> Floats:
    """As indicators are shown and meet a level: 8 decimals; into ``out`` where it is given."""
    return np.round(values, DECIMALS, out=out)


def gap(left: Floats, right: Floats | float, scale: Floats) -> Floats:
    """``left − right``, exactly 0.0 where that is noise on prices of the given scale (never negative).

    Rounding to 8 decimals would not do here: a coin that costs 0.00000123 moves in steps of 0.00000001.
    """
    difference = left - right
    difference[np.abs(difference) <= scale * SAME] = 0.0
    return difference


def crosses_up(values: Floats, level: float) -> Flags:
    """Previous < level and current >= level; an undefined value crosses nothing."""
    crossed = np.zeros(len(values), dtype=np.bool_)
    np.logical_and(values[:-1] < level, values[1:] >= level, out=crossed[1:])
    return crossed


def crosses_down(values: Floats, level: float) -> Flags:
    """Previous > level and current <= level; an undefined value crosses nothing."""
    crossed = np.zeros(len(values), dtype=np.bool_)
    np.logical_and(values[:-1] > level, values[1:] <= level, out=crossed[1:])
    return crossed


def known(*columns: Floats) -> Flags:
    """Where every column has a value."""
    flags = ~np.isnan(columns[0])
    for column in columns[1:]:
        flags &= ~np.isnan(column)
    return flags


def known_twice(*columns: Floats) -> Flags:
    """Where every column has a value on this candle and on the one before: a crossing needs both."""
    flags = known(*columns)
    flags[1:] &= flags[:-1].copy()
    flags[:1] = False
    return flags


def ratio(part: Floats, whole: Floats) -> Floats:
    """``part / whole``, and 1.0 where there is no whole to go."""
    result = np.ones(len(part))
    np.divide(part, whole, out=result, where=whole > 0)
    return result
