"""Prices in float64 rounded to the market's tick as `Market.round_price` rounds decimals."""

from decimal import Decimal
from math import ceil, log10
from typing import Final

import numpy as np

from exchanges.core.candles import Candles
from strategies.core.signals import Floats

#: A product of decimals that is a whole number of ticks is off by its last bits in float.
NOISE: Final = 1e-14
#: More ticks than this are more than a float tells apart after a multiplication.
MOST_TICKS: Final = 1e12
DIGITS: Final = 15


class Ticks:
    """One market's price step over one stretch of candles. What comes out is the float nearest to its decimal, so that
    it compares with recorded prices as the decimals do."""

    def __init__(self, tick: Decimal, candles: Candles) -> None:
        highest = float(candles.high.max()) if len(candles) else 1.0
        exponent = int(tick.as_tuple().exponent)
        self.size, self.scale = float(tick), 10.0 ** max(-exponent, 0)
        self.lots = float(tick.scaleb(max(-exponent, 0)))
        self.plain = highest / self.size > MOST_TICKS
        self.unit = 10.0 ** min(DIGITS - ceil(log10(max(highest, 1e-300))), 22)

    def down(self, prices: Floats) -> Floats:
        return self.nearest(prices) if self.plain else self._rounded(prices, np.floor)

    def up(self, prices: Floats) -> Floats:
        return self.nearest(prices) if self.plain else self._rounded(prices, np.ceil)

    def nearest(self, prices: Floats) -> Floats:
        """Without a multiplication's noise in the last digits."""
        cleaned: Floats = np.rint(prices * self.unit) / self.unit
        return cleaned

    def _rounded(self, prices: Floats, to_whole: np.ufunc) -> Floats:
        ticks = prices / self.size
        nearest = np.rint(ticks)
        whole: Floats = np.where(np.abs(ticks - nearest) <= np.abs(ticks) * NOISE, nearest, to_whole(ticks))
        return whole * self.lots / self.scale
