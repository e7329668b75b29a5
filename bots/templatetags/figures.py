"""Numbers, money and times as people read them: signs, steps, ages, UTC."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import User
from exchanges.core.candles import timeframe_ms

register = template.Library()

UNKNOWN = "—"
MINUS = "\u2212"
#: Quotes that are counted in hundredths; all others get up to eight decimals.
IN_CENTS = frozenset({"USDT", "USDC", "USD", "EUR", "GBP", "BUSD", "FDUSD", "TUSD", "DAI", "CHF", "AUD", "CAD"})
CENT = Decimal("0.01")
FINE = Decimal("1e-8")
WIDE = Context(prec=60)
FORMS = {"minute": ("%Y-%m-%d", "%H:%M"), "seconds": ("%Y-%m-%d", "%H:%M:%S"), "short": ("%m-%d", "%H:%M:%S")}
ACRONYMS = {name.lower(): name for name in ("RSI", "EMA", "MACD", "VWAP", "DCA", "UTC", "ATR")}
CANDLE_CAUSE = re.compile(r"candle:(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)Z(?::(\w+))?")
UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


@register.filter
def money(value: Decimal | None, quote: str = "") -> str:
    """``1,234.50``: in hundredths where the quote is money of account, else up to eight decimals."""
    return UNKNOWN if value is None else _grouped(_rounded(value, quote))


@register.filter
def signed(value: Decimal | None, quote: str = "") -> SafeString | str:
    """Sign always, triangle, colour last; zero is neutral."""
    if value is None:
        return UNKNOWN
    return _signed(_rounded(value, quote), "")


@register.filter
def signed_percent(fraction: Decimal | None) -> SafeString | str:
    """A fraction as signed percent."""
    return UNKNOWN if fraction is None else _signed(_cents(fraction * 100), "\u202f%")


@register.filter
def percent(fraction: Decimal | None) -> str:
    """A fraction as percent with two decimals; None is unknown."""
    return UNKNOWN if fraction is None else f"{_grouped(_cents(fraction * 100))}\u202f%"


@register.filter
def amount(value: Decimal | None, step: Decimal | None = None) -> str:
    """Of a coin: to the market's step where it is known, else up to eight decimals; never an exponent."""
    if value is None:
        return UNKNOWN
    return _grouped(_trimmed(_quantized(value, step or FINE)))


@register.filter
def price(value: Decimal | None, tick: Decimal | None = None) -> str:
    """To the market's tick where it is known, else at least two decimals and about seven digits."""
    if value is None:
        return UNKNOWN
    if tick:
        return _grouped(_quantized(value, tick))
    places = 2 if abs(value) >= 1000 else 4 if abs(value) >= 1 else 8
    trimmed = _trimmed(_quantized(value, Decimal(1).scaleb(-places)))
    least = CENT if abs(value) >= 1 else trimmed
    return _grouped(trimmed if -_exponent(trimmed) >= -_exponent(least) else _quantized(trimmed, least))


@register.filter
def exact(value: Decimal | None) -> str:
    """Every digit, for a tooltip."""
    return UNKNOWN if value is None else f"{_trimmed(value):f}"


@register.filter
def utc(at: datetime | None, form: str = "") -> SafeString | str:
    """``2026-11-23 12:04:10 UTC``; the other forms stand under a head that says UTC."""
    if at is None:
        return UNKNOWN
    at = at.astimezone(UTC)
    day, clock = FORMS.get(form, ("%Y-%m-%d", "%H:%M:%S UTC"))
    return format_html(
        '<time datetime="{}" title="{}"><span class="date">{}</span> {}</time>',
        _iso(at), f"{at:%Y-%m-%d %H:%M:%S} UTC", at.strftime(day), at.strftime(clock),
    )  # fmt: skip


@register.filter
def age(at: datetime | None, now: datetime) -> SafeString | str:
    """``12 s ago``; the page's script keeps it true between two answers of the server."""
    if at is None:
        return UNKNOWN
    seconds = max(0, int((now - at).total_seconds()))
    return format_html(
        '<time class="age" datetime="{}" title="{}">{} ago</time>',
        _iso(at),
        f"{at:%Y-%m-%d %H:%M:%S} UTC",
        _span(seconds),
    )


@register.filter
def until(at: datetime | None, now: datetime) -> SafeString | str:
    """``in 12 s``, or ``due now``."""
    if at is None:
        return UNKNOWN
    seconds = int((at - now).total_seconds())
    text = f"in {_span(seconds)}" if seconds > 0 else "due now"
    return format_html(
        '<time class="age" datetime="{}" title="{}">{}</time>', _iso(at), f"{at:%Y-%m-%d %H:%M:%S} UTC", text
    )


@register.filter
def span(length: timedelta | int) -> str:
    """``3 d``, ``12 s``: the largest unit that fits, and the next one while it says something."""
    return _span(int(length.total_seconds()) if isinstance(length, timedelta) else int(length))


@register.filter
def words(code: str) -> str:
    """``rsi_cross`` and ``NO_SIGNAL`` as words."""
    found = [ACRONYMS.get(word.lower(), word.lower()) for word in str(code).split("_")]
    text = " ".join(found)
    return text[:1].upper() + text[1:]


@register.filter
def cause(text: str) -> str:
    """Why an order changed its state; a decision key in words."""
    match = CANDLE_CAUSE.fullmatch(text)
    if match is None:
        return text[:1].upper() + text[1:]
    return f"{(match[3] or 'signal').capitalize()} of the candle that opened {match[1]} {match[2]} UTC"


def _span(seconds: int) -> str:
    for position, (length, unit) in enumerate(UNITS):
        if seconds >= length:
            rest, fine = seconds % length, UNITS[min(position + 1, len(UNITS) - 1)]
            second = f" {rest // fine[0]} {fine[1]}" if rest // fine[0] and unit in {"d", "h"} else ""
            return f"{seconds // length} {unit}{second}"
    return "0 s"


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _signed(value: Decimal, suffix: str) -> SafeString | str:
    if value == 0:
        return f"{_grouped(abs(value))}{suffix}"
    up = value > 0
    return format_html(
        '<span class="{}"><span class="arrow" aria-hidden="true">{}</span>{}{}{}</span>',
        "gain" if up else "loss", "▲" if up else "▼", "+" if up else MINUS, _grouped(abs(value)), suffix,
    )  # fmt: skip


def _rounded(value: Decimal, quote: str) -> Decimal:
    return _cents(value) if quote in IN_CENTS else _trimmed(_quantized(value, FINE))


def _cents(value: Decimal) -> Decimal:
    return _quantized(value, CENT)


def _quantized(value: Decimal, step: Decimal) -> Decimal:
    return value.quantize(step, rounding=ROUND_HALF_EVEN, context=WIDE)


def _trimmed(value: Decimal) -> Decimal:
    trimmed = value.normalize(WIDE)
    return _quantized(trimmed, Decimal(1)) if _exponent(trimmed) > 0 else trimmed


def _exponent(value: Decimal) -> int:
    return int(value.as_tuple().exponent)


def _grouped(value: Decimal) -> str:
    """Thousands separators, the typographic minus, and no negative zero."""
    text = f"{abs(value):,f}"
    return f"{MINUS}{text}" if value < 0 else text


@register.filter
def minus(value: Decimal, other: Decimal) -> Decimal:
    return value - other


@register.filter
def share(value: Decimal, whole: Decimal) -> Decimal | None:
    """The fraction of a whole; unknown where there is no whole."""
    return value / whole if whole else None


@register.filter
def patience(timeframe: str) -> int:
    """Seconds after which a figure that every candle renews is stale: two candles and half a minute."""
    return 2 * timeframe_ms(timeframe) // 1000 + 30


@register.filter
def get(mapping: Mapping[str, Any], key: str) -> Any:
    return mapping.get(key)


@register.filter
def times(value: Decimal | None, other: Decimal | None) -> Decimal | None:
    return None if value is None or other is None else value * other


@register.filter
def plain_signed(value: Decimal, quote: str = "") -> str:
    """As `signed`, without markup: for a window's title."""
    rounded = _rounded(value, quote)
    return f"{'+' if rounded > 0 else ''}{_grouped(rounded)}"


@register.filter
def reading(value: float | Decimal | None) -> str:
    """An indicator's value."""
    if value is None:
        return UNKNOWN
    number = Decimal(str(value))
    return _grouped(_cents(number)) if abs(number) >= 10 else price(number)


@register.filter
def limit_name(name: str) -> str:
    """``max_drawdown_pct`` as people say it."""
    return str(name).replace("_pct", ", %").replace("_", " ").capitalize()


@register.filter
def who(actor: str, user: User) -> str:
    """Who did it, to the person who reads it."""
    return "you" if actor == f"user:{user.pk}" else actor
