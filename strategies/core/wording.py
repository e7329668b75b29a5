"""How numbers read inside a reason."""

import numpy as np


def price(value: float) -> str:
    """Eight significant digits, never with an exponent."""
    return np.format_float_positional(value, precision=8, unique=False, fractional=False, trim="-")


def level(value: float) -> str:
    """A parameter as people write it: 30, 2.5."""
    return np.format_float_positional(value, precision=8, trim="-")


def crossed(what: str, before: str, now: str, line: str, *, upwards: bool) -> str:
    """What happened: a crossing."""
    verb, way = ("rose", "upwards") if upwards else ("fell", "downwards")
    return f"{what} {verb} from {before} to {now}, crossing {line} {way}."


def awaited(state: str, wish: str, what: str, line: str, *, upwards: bool) -> str:
    """What is, and the crossing that would have to happen."""
    before, then = ("under", "at or over") if upwards else ("over", "at or under")
    return f"{state} To {wish} {what} must be {before} {line} on one closed candle and {then} {line} on the next."
