"""Recorded prices, kept as float64 columns, as the decimals that were recorded."""

from decimal import Decimal
from operator import mul
from typing import Final

import numpy as np

from exchanges.core.candles import Floats
from exchanges.core.decimals import from_float

#: The decimals that prices have, and how large one may be in units of its last: float64 tells fifteen digits apart.
UNITS: Final = tuple(Decimal(1).scaleb(-places) for places in range(13))
LARGEST: Final = 1e15


def from_floats(values: Floats) -> list[Decimal]:
    """`from_float` of many, to the digit: found as whole numbers of their last decimal, without a text for each.

    Of all decimals with at most fifteen digits each is another float64, so the first that fits is the shortest text.
    """
    whole, decimals = (np.zeros(len(values), dtype=np.int64) for _ in range(2))
    # A text has at least one decimal; a zero is left to its text, which knows its sign.
    left = np.flatnonzero((values != 0) & (np.abs(values) < LARGEST))
    for places in range(1, len(UNITS)):
        scaled = np.rint(values[left] * 10.0**places)
        fits = (scaled / 10.0**places == values[left]) & (np.abs(scaled) < LARGEST)
        whole[left[fits]], decimals[left[fits]] = scaled[fits], places
        left = left[~fits]
        if not len(left):
            break
    units = map(UNITS.__getitem__, decimals.tolist())
    exact = list(map(mul, map(Decimal, whole.tolist()), units))
    for at in np.flatnonzero(decimals == 0).tolist():
        exact[at] = from_float(values[at])
    return exact
