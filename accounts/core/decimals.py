"""A decimal as plain text; here because every app writes decimals down."""

from decimal import Decimal


def plain(value: Decimal) -> str:
    """Fixed-point text without exponent or trailing zeros: Decimal("1E-8") -> "0.00000001"."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text
