"""The first candle of a stretch that touches a position's stop, target or trailing stop, from any state on."""

from collections.abc import Iterator
from dataclasses import fields
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from bots.core.backtest.touch import touched
from bots.core.codes import Code
from bots.core.limits import Limits
from bots.core.protection import Levels, levels
from exchanges.core.candles import Candles
from exchanges.core.decimals import from_float
from exchanges.core.market import Market
from strategies.core.signals import Flags

FIRST_WINDOW: Final = 64
GROWTH: Final = 2
MOST_WINDOW: Final = 512
#: The levels that sell on the way down.
FLOORS: Final = tuple(field.name for field in fields(Levels) if field.name != "target")
#: Room for the rounding of a float product; the candidates it adds are decided in decimals.
ROOM: Final = 1 + 1e-12


class Touched(NamedTuple):
    candle: int
    price: Decimal
    code: Code


class Held(NamedTuple):
    """A position as its protections see it: ``highest`` is certain to have come before the first candle asked about."""

    entry_price: Decimal
    highest: Decimal
    limits: Limits
    market: Market


def first_touch(held: Held, candles: Candles, start: int, before: int) -> Touched | None:
    """In [start, before): a candle's open counts before its low, its high only for the candles after it."""
    size = FIRST_WINDOW
    while start < before:
        end = min(start + size, before)
        for candle in _candidates(held, candles, start, end):
            found = _decided(held, candles, start, candle)
            if found is not None:
                return found
        held = held._replace(highest=_highest(held, candles, start, end))
        start, size = end, min(size * GROWTH, MOST_WINDOW)
    return None


def _highest(held: Held, candles: Candles, start: int, end: int) -> Decimal:
    return held.highest if end <= start else max(held.highest, from_float(float(candles.high[start:end].max())))


def _decided(held: Held, candles: Candles, start: int, candle: int) -> Touched | None:
    opened, high, low = (from_float(float(column[candle])) for column in (candles.open, candles.high, candles.low))
    peak = max(_highest(held, candles, start, candle), opened)
    found = touched(levels(held.entry_price, peak, held.limits, held.market), opened, high, low)
    return None if found is None else Touched(candle, found[1], found[0])


def _candidates(held: Held, candles: Candles, start: int, end: int) -> Iterator[int]:
    """Every candle that may touch a level: floats only, and rather one too many.

    What sells on the way down only rises with the peak: the window's own peak bounds it.
    """
    window = slice(start, end)
    peak = max(_highest(held, candles, start, end), from_float(float(candles.open[window].max())))
    at = levels(held.entry_price, peak, held.limits, held.market)
    floors = [float(level) for name in FLOORS if (level := getattr(at, name)) is not None]
    flags: Flags = np.zeros(end - start, np.bool_)
    if floors:
        flags |= candles.low[window] <= max(floors) * ROOM
    if at.target is not None:
        flags |= candles.high[window] * ROOM >= float(at.target)
    return (start + int(offset) for offset in np.flatnonzero(flags))
