"""Where the orders that rest are met next, and at which price a candle fills one of them."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from bots.core.drift.state import MET, REACHED, Place, Rests
from exchanges.core.candles import Candles
from exchanges.core.decimals import from_float
from exchanges.core.orders import Side

FIRST_WINDOW: Final = 64
GROWTH: Final = 2
#: What a touch may be off by in floats; it is decided in decimals.
ROOM: Final = 1e-12


def first_met(standing: Sequence[Rests], candles: Candles, place: Place, before: int) -> Place | None:
    """The first place, at or after this one and before that candle, where any may be filled: rather one too many."""
    return next(_met(standing, candles, place, before), None) if standing else None


def _met(standing: Sequence[Rests], candles: Candles, place: Place, before: int) -> Iterator[Place]:
    buys = [float(one.limit) for one in standing if one.side is Side.BUY]
    sells = [float(one.limit) for one in standing if one.side is Side.SELL]
    buy, sell = max(buys, default=0.0) * (1 + ROOM), min(sells, default=np.inf) * (1 - ROOM)
    ends = [before if one.until is None else one.until + 1 for one in standing]
    start, end, size = place[0], min(before, max(ends)), FIRST_WINDOW
    while start < end:
        window = slice(start, min(start + size, end))
        opening = (candles.open[window] <= buy) | (candles.open[window] >= sell)
        inside = (candles.low[window] <= buy) | (candles.high[window] >= sell)
        if start == place[0]:
            opening[0] &= place[1] <= MET
            inside[0] &= place[1] <= REACHED
        for offset in np.flatnonzero(opening | inside).tolist():
            yield start + offset, MET if opening[offset] else REACHED
        start, size = window.stop, size * GROWTH


def fill_price(one: Rests, candles: Candles, place: Place) -> tuple[Decimal, bool] | None:
    """(price, whether it had waited for it) at an open or in a range; None where it is not filled."""
    opened = from_float(float(candles.open[place[0]]))
    if one.within(opened):
        return opened, False
    reached = candles.low if one.side is Side.BUY else candles.high
    met = place[1] == REACHED and one.within(from_float(float(reached[place[0]])))
    return (one.limit, True) if met else None
