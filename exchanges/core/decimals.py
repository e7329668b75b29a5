"""Money as Decimal: in from text, out as plain text, rounded only downwards to a step."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from accounts.core.decimals import plain as plain

ZERO = Decimal(0)
ONE = Decimal(1)
#: The finest unit that the ledger's columns hold: Decimal(36, 18).
FINEST = Decimal("1e-18")
_WIDE = Context(prec=60)


def from_float(value: float) -> Decimal:
    """The decimal a candle file or feed wrote down: a float's shortest text, not its binary value."""
    return Decimal(repr(float(value)))


def floor_to(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_FLOOR) * step


def ceil_to(value: Decimal, step: Decimal) -> Decimal:
    return (value / step).to_integral_value(ROUND_CEILING) * step


def exponent(value: Decimal) -> int:
    """Of the last digit; of a finite number."""
    return int(value.as_tuple().exponent)


def storable(value: Decimal) -> Decimal:
    """Rounded half-even to 18 decimals, so that a folded figure equals itself after the database."""
    return value if exponent(value) >= -18 else value.quantize(FINEST, context=_WIDE)
