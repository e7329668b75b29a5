"""How numbers read inside a reason."""

import numpy as np


def price(value: float) -> str:
    """Eight significant digits, never with an exponent."""
    return np.format_float_positional(value, precision=8, unique=False, fractional=False, trim="-")


def level(value: float) -> str:
    """A parameter as people write it: 30, 2.5."""
    return np.format_float_positional(value, precision=8, trim="-")
