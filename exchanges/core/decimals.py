"""Money as Decimal: in from text, out as plain text, rounded only downwards to a step."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

ZERO = Decimal(0)
ONE = Decimal(1)


def from_float(value: float) -> Decimal:
    """The decimal a candle file or feed wrote down: a float's shortest text, not its binary value."""
    return Decimal(repr(float(value)))


def plain(value: Decimal) -> str:
    """Fixed-point text without exponent or trailing zeros: Decimal("1E-8") -> "0.00000001"."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_CEILING) * step
