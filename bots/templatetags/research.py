"""Figures of reports, which come as JSON: numbers as floats or texts, percents as percents, times as ISO texts."""

from datetime import datetime, timedelta
from decimal import Decimal

from django import template
from django.utils.safestring import SafeString

from bots.templatetags.figures import UNKNOWN, money, percent, signed_percent

register = template.Library()
HUNDRED = Decimal(100)


@register.filter
def decimal(value: object) -> Decimal | None:
    return None if value is None or value == "" else Decimal(str(value))


@register.filter
def pct(value: object) -> SafeString | str:
    """A percent with its sign."""
    number = decimal(value)
    return UNKNOWN if number is None else signed_percent(number / HUNDRED)


@register.filter
def plain_pct(value: object) -> str:
    """A percent that needs no sign, such as a drawdown."""
    number = decimal(value)
    return UNKNOWN if number is None else percent(number / HUNDRED)


@register.filter
def fraction(value: object) -> str:
    """``0.001`` as ``0.1 %``, every digit of it."""
    number = decimal(value)
    return UNKNOWN if number is None else f"{(number * HUNDRED).normalize():f}\u202f%"


@register.filter
def cash(value: object, quote: str) -> str:
    return money(decimal(value), quote)


@register.filter
def instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


@register.filter
def took(start: datetime | None, end: datetime | None) -> str:
    """Short work in hundredths of a second."""
    if start is None or end is None:
        return UNKNOWN
    return f"{(end - start) / timedelta(seconds=1):,.2f} s"


@register.filter
def ahead_words(points: float) -> str:
    """How far the strategy is from doing nothing, in percentage points."""
    if abs(points) < 0.005:
        return "As good as buying and holding."
    word = "better" if points > 0 else "worse"
    return f"{abs(points):,.2f} percentage points {word} than buying and holding."


@register.filter
def share_pct(share: float) -> str:
    """A share of one as whole percents."""
    return f"{share:.0%}"
