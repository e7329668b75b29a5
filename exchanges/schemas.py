"""How every JSON body is written: money, times, ids and pages; and the bodies about exchange keys."""

import base64
import binascii
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Generic, TypeVar

from ninja import Schema
from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, PlainSerializer, Strict, WithJsonSchema

from accounts.auth import LARGEST_ID, NotFound
from exchanges.core.decimals import plain

MOST_ITEMS = 500
PLAIN_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}.*")
ID = re.compile(r"[0-9]{1,19}")
MONEY_SCHEMA = {"type": "string", "format": "decimal", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", "examples": ["1000.5"]}
T = TypeVar("T")


class Answer(Schema):
    """What goes out; read from the frozen dataclasses of the queries."""


class Body(Schema):
    """What comes in: an unknown field is a mistake, not a wish to be ignored."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


def decimal_in(value: object) -> Decimal:
    """Money from a string or a whole number. A JSON float has already lost what was written."""
    if isinstance(value, Decimal):
        return value
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f'Expected a decimal string such as "1000.50", was {_kind(value)}.')
    text = str(value)
    if not PLAIN_NUMBER.fullmatch(text):
        raise ValueError('Expected a decimal string such as "1000.50", at most 18 digits on each side of the point.')
    return Decimal(text)


def _kind(value: object) -> str:
    return {float: "a JSON float", bool: "true or false", type(None): "null"}.get(
        type(value), "neither text nor number"
    )


def z_text(at: datetime) -> str:
    """ISO-8601 in UTC with Z."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _instant_text(value: object) -> object:
    """Only ISO texts: a bare number would silently be taken for seconds or milliseconds."""
    if not isinstance(value, datetime) and not (isinstance(value, str) and INSTANT.fullmatch(value)):
        raise ValueError("Expected an ISO-8601 time with its offset, such as 2026-03-01T12:00:00Z.")
    return value


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("Expected a time with its offset, such as 2026-03-01T12:00:00Z.")
    try:
        return at.astimezone(UTC)
    except OverflowError:
        raise ValueError("Expected a year from 1 to 9999 in UTC.") from None


Money = Annotated[
    Decimal,
    BeforeValidator(decimal_in),
    PlainSerializer(plain, return_type=str),
    WithJsonSchema(MONEY_SCHEMA),
]
Utc = Annotated[
    datetime,
    BeforeValidator(_instant_text),
    AfterValidator(_utc),
    PlainSerializer(z_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-03-01T12:00:00Z"]}),
]
#: An indicator's value; JSON knows no NaN.
Number = Annotated[float | None, BeforeValidator(lambda value: None if _is_nan(value) else value)]
#: An object's id in a body: a JSON integer, neither text nor true.
ObjectId = Annotated[int, Strict(), Field(json_schema_extra={"examples": [1]})]


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and not math.isfinite(value)


def object_id(text: str | int) -> int:
    """The id in a path or body; what no object can have is not found."""
    number = int(text) if ID.fullmatch(str(text)) else 0
    if not 0 < number <= LARGEST_ID:
        raise NotFound("There is no such object.")
    return number


def cursor_text(position: object) -> object:
    """An opaque cursor for the position after which the next page begins."""
    if not isinstance(position, int):
        return position
    return base64.urlsafe_b64encode(b"c%d" % position).decode().rstrip("=")


def _position(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        position = int(decoded[1:]) if re.fullmatch(r"c[0-9]{1,19}", decoded) else -1
    except (binascii.Error, ValueError):
        position = -1
    if not 0 <= position <= LARGEST_ID or cursor_text(position) != text:
        raise ValueError('Expected the "next" of an earlier answer.')
    return position


Cursor = Annotated[int | None, BeforeValidator(_position), WithJsonSchema({"type": "string"})]
NextCursor = Annotated[
    str | None,
    BeforeValidator(cursor_text),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "null"}], "description": "Pass it as cursor; null at the end."}
    ),
]
Limit = Annotated[int, Field(ge=1, le=MOST_ITEMS, description=f"How many at most, up to {MOST_ITEMS}.")]


class PageQuery(Schema):
    limit: Limit = 100
    cursor: Cursor = Field(None, description="The `next` of the page before.")


class Listing(Answer, Generic[T]):
    """One page, newest first."""

    items: list[T]
    next: NextCursor = None


class KeyIn(Body):
    """The secret and the passphrase are encrypted at once and never shown again."""

    exchange: str = Field(max_length=32, examples=["binance"])
    api_key: str = Field(max_length=512)
    api_secret: str = Field(max_length=4096, json_schema_extra={"format": "password", "writeOnly": True})
    passphrase: str | None = Field(None, max_length=256, json_schema_extra={"format": "password", "writeOnly": True})
    label: str | None = Field(None, max_length=80)


class KeyOut(Answer):
    id: int
    exchange: str
    label: str
    api_key_hint: str = Field(description="The end of the API key, never of its secret.")
    permissions: str = Field(description="unverified, read or trade")
    can_withdraw: bool | None
    ip_restricted: bool | None
    created_at: Utc
    last_checked_at: Utc | None


class CandleQuery(Schema):
    """Without ``since`` the newest candles, with it those from there on; always the oldest first."""

    exchange: str = Field(max_length=32)
    symbol: str = Field(max_length=32)
    timeframe: str = Field(max_length=4)
    since: Utc | None = None
    until: Utc | None = None
    limit: Limit = MOST_ITEMS
    cursor: Cursor = Field(None, description="The `next` of the page before.")
    indicators: str = Field("", max_length=200, description="Such as `rsi(14)` or `ema(20),ema(50)`.")


class CandlesOut(Answer):
    exchange: str
    symbol: str
    timeframe: str
    columns: list[str]
    items: list[list[Any]] = Field(
        description="[opened_at_ms, open, high, low, close, volume, …]: prices and volume as decimal strings, "
        "indicators as numbers or null."
    )
    next: NextCursor = None
