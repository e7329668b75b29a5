"""The limits a run, key, user or platform may carry, the tightest wins; and how a run's orders are to be sent."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields, replace
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from exchanges.core.decimals import plain


class EntryType(StrEnum):
    """MARKET: a marketable limit that must not rest. LIMIT: a limit at or under the bid, called back after a while."""

    MARKET = "market"
    LIMIT = "limit"


class LimitError(ValueError):
    """``errors`` names each offending limit and what was expected."""

    def __init__(self, errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in errors.items()))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Limits:
    """None: no limit. Money in quote, ``*_pct`` in percent, times in seconds.

    A protection (stop-loss, break-even, target, trailing stop) closes a position; the `EXECUTION` terms say how
    orders are sent and belong to a run alone; every other limit denies entries.
    """

    max_order_notional: Decimal | None = None
    max_position_notional: Decimal | None = None
    max_exposure: Decimal | None = None
    max_daily_loss: Decimal | None = None
    max_drawdown_pct: Decimal | None = None
    max_loss_streak: int | None = None
    cooldown_seconds: int | None = None
    stop_loss_guard_count: int | None = None
    stop_loss_guard_minutes: int | None = None
    low_profit_pct: Decimal | None = None
    low_profit_trades: int | None = None
    low_profit_minutes: int | None = None
    max_open_orders: int | None = None
    max_orders_per_minute: int | None = None
    max_account_orders_per_minute: int | None = None
    price_band_pct: Decimal | None = None
    stop_loss_pct: Decimal | None = None
    break_even_pct: Decimal | None = None
    take_profit_pct: Decimal | None = None
    trailing_stop_pct: Decimal | None = None
    entry_type: EntryType | None = None
    limit_offset_pct: Decimal | None = None
    limit_timeout_seconds: int | None = None
    stop_on_exchange: bool | None = None

    @property
    def entries_rest(self) -> bool:
        return self.entry_type is EntryType.LIMIT

    def as_json(self) -> dict[str, str | int | bool]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            name: format(value, "f") if isinstance(value, Decimal) else value
            for name, value in values.items()
            if value is not None
        }


HELP: dict[str, str] = {
    "max_order_notional": "Largest single order, in quote.",
    "max_position_notional": "Largest position of the run, in quote.",
    "max_exposure": "Largest sum of all open positions of the user in this quote currency and mode.",
    "max_daily_loss": "Loss since 00:00 UTC, in quote, at which entries stop.",
    "max_drawdown_pct": "Fall from the highest equity, in percent, at which entries stop.",
    "max_loss_streak": "Losing trades in a row at which entries stop until the next UTC day.",
    "cooldown_seconds": "Seconds without entries after a losing trade.",
    "stop_loss_guard_count": "Stop-losses within the guard's minutes at which entries stop for as long again.",
    "stop_loss_guard_minutes": "The guard's window and pause, in minutes; 1440 (a day) unless set.",
    "low_profit_pct": "Least that the last trades must have earned together, in percent of the capital.",
    "low_profit_trades": "How many last trades the least profit is asked of; 4 unless set.",
    "low_profit_minutes": "Minutes without entries when they earned less; 1440 (a day) unless set.",
    "max_open_orders": "Orders of the account that may be open at a time.",
    "max_orders_per_minute": "Orders of the run in any 60 seconds.",
    "max_account_orders_per_minute": "Orders of all runs of the account in any 60 seconds.",
    "price_band_pct": "How far a limit price may be from the market, in percent.",
    "stop_loss_pct": "Sell when the price is this far under the entry price, in percent.",
    "break_even_pct": "Once the price was this far over the entry price, in percent, sell when it falls back to the "
    "entry price plus both fees.",
    "take_profit_pct": "Sell when the price is this far over the entry price, in percent.",
    "trailing_stop_pct": "Sell when the price is this far under its highest since entry, in percent.",
    "entry_type": "How entries are sent: market (at once, within the price band) or limit (rests at a better price).",
    "limit_offset_pct": "How far under the bid a limit entry is put, in percent; 0 unless set.",
    "limit_timeout_seconds": "Seconds after which a limit entry is called back; one candle unless set.",
    "stop_on_exchange": "Let the stop rest on the exchange where it can; elsewhere it is watched from here.",
}
#: How the orders of a run are sent: its own choice, of which nothing is tighter than another.
EXECUTION: Final = ("entry_type", "limit_offset_pct", "limit_timeout_seconds", "stop_on_exchange")
WHOLE = {
    "max_loss_streak",
    "cooldown_seconds",
    "stop_loss_guard_count",
    "stop_loss_guard_minutes",
    "low_profit_trades",
    "low_profit_minutes",
    "max_open_orders",
    "max_orders_per_minute",
    "max_account_orders_per_minute",
    "limit_timeout_seconds",
}
#: Ten years: a time that is added to a date must leave a date.
LONGEST: Final = {
    name: 3652 * (86_400 if name.endswith("_seconds") else 1_440)
    for name in WHOLE
    if name.endswith(("_seconds", "_minutes"))
}
#: Of these the larger number is the stricter one.
STRICTER_WHEN_LARGER = {"cooldown_seconds", "stop_loss_guard_minutes", "low_profit_pct", "low_profit_minutes"}
PERCENT_BELOW_100 = {"max_drawdown_pct", "stop_loss_pct", "trailing_stop_pct", "price_band_pct", "limit_offset_pct"}
MAY_BE_ZERO = {"limit_offset_pct"}


def parse_limits(given: Mapping[str, Any]) -> Limits:
    """From JSON: decimals as text or numbers; raises LimitError naming every wrong key."""
    errors: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, value in given.items():
        if name not in HELP:
            errors[name] = f"Expected one of {', '.join(HELP)}."
        elif value is not None:
            try:
                values[name] = READERS.get(name, _number)(name, value)
            except ValueError as error:
                errors[name] = str(error)
    if errors:
        raise LimitError(errors)
    return Limits(**values)


def _number(name: str, value: object) -> Decimal | int:
    if isinstance(value, bool) or not isinstance(value, (str, int, float, Decimal)):
        raise ValueError(f"Expected a number, was {value!r}.")
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise ValueError(f"Expected a number, was {value!r}.") from None
    if number == 0 and name in MAY_BE_ZERO:
        return Decimal(0)
    if not number.is_finite() or number <= 0 or number >= Decimal("1e18"):
        raise ValueError(f"Expected a positive number, was {value!r}.")
    if name in PERCENT_BELOW_100 and number >= 100:
        raise ValueError(f"Expected less than 100 percent, was {value!r}.")
    return _whole(name, number) if name in WHOLE else number


def _whole(name: str, number: Decimal) -> int:
    if number != number.to_integral_value():
        raise ValueError(f"Expected a whole number, was {plain(number)!r}.")
    if number > LONGEST.get(name, number):
        raise ValueError(f"Expected at most {LONGEST[name]} (ten years), was {plain(number)!r}.")
    return int(number)


def _entry_type(_name: str, value: object) -> EntryType:
    if value not in list(EntryType):
        raise ValueError(f"Expected {' or '.join(EntryType)}, was {value!r}.")
    return EntryType(str(value))


def _switch(_name: str, value: object) -> bool | None:
    """Off is the same as not said."""
    if value not in (True, False, "true", "false"):
        raise ValueError(f"Expected true or false, was {value!r}.")
    return True if value in (True, "true") else None


READERS: Final[dict[str, Callable[[str, object], Any]]] = {"entry_type": _entry_type, "stop_on_exchange": _switch}


def completed(limits: Limits, candle_seconds: int, *, several: bool = False) -> Limits:
    """What is left open and follows from the candles: a limit entry waits for one of them. Raises LimitError.

    ``several``: the strategy works several orders, and says itself how they are sent.
    """
    if several and (limits.entries_rest or limits.stop_on_exchange):
        told = {"entry_type": limits.entries_rest, "stop_on_exchange": limits.stop_on_exchange}
        text = "Expected none beside a strategy that works several orders."
        raise LimitError({name: text for name, asked in told.items() if asked})
    if limits.entries_rest:
        return replace(limits, limit_timeout_seconds=limits.limit_timeout_seconds or candle_seconds)
    needless = [name for name in ("limit_offset_pct", "limit_timeout_seconds") if getattr(limits, name) is not None]
    if needless:
        raise LimitError(dict.fromkeys(needless, "Expected entry_type limit beside it."))
    return limits


def tightest(levels: Iterable[Limits]) -> Limits:
    """For every limit the strictest that any level states; of how orders are sent the first word counts."""
    stated: dict[str, list[Any]] = {}
    for level in levels:
        for f in fields(level):
            if (value := getattr(level, f.name)) is not None:
                stated.setdefault(f.name, []).append(value)
    return Limits(**{name: _strictest(name, values) for name, values in stated.items()})


def _strictest(name: str, values: list[Any]) -> Any:
    if name in EXECUTION:
        return values[0]
    return max(values) if name in STRICTER_WHEN_LARGER else min(values)


def json_schema() -> dict[str, Any]:
    properties = {name: _kind(name) | {"description": text} for name, text in HELP.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _kind(name: str) -> dict[str, Any]:
    if name == "entry_type":
        return {"type": "string", "enum": list(EntryType)}
    if name == "stop_on_exchange":
        return {"type": "boolean"}
    return {"type": "integer", "exclusiveMinimum": 0} if name in WHOLE else {"type": "string", "format": "decimal"}
