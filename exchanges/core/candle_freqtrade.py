"""freqtrade's candle files, JSON and feather, and what the names of candle files say."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np

from exchanges.core.arrow_file import ArrowFileError, Column, read_columns
from exchanges.core.candle_check import CandleReport
from exchanges.core.candle_table import FIELDS, CandleFileError, Label, Numbers, Table, checked
from exchanges.core.candles import TIMEFRAMES, Candles, Floats

COLUMNS: Final = ("date", "open", "high", "low", "close", "volume")
# How many milliseconds a unit has, and how many of it make a millisecond.
UNITS: Final = {"s": (1_000, 1), "ms": (1, 1), "us": (1, 1_000), "ns": (1, 1_000_000)}
_NAMED = re.compile(r"([A-Z0-9]{1,15})_([A-Z0-9]{1,15})-([0-9]+[smhd])\.(?:feather|json|json\.gz)")
_BINANCE = re.compile(r"[A-Z0-9]+-([0-9]+[smhd])-[0-9]{4}-[0-9]{2}(?:-[0-9]{2})?\.(?:zip|csv|csv\.gz)")


@dataclass(frozen=True, slots=True)
class Named:
    """What a file's name says of its candles; empty where it says nothing."""

    symbol: str = ""
    timeframe: str = ""


def named(name: str) -> Named:
    """Of freqtrade's ``BTC_USDT-1h.feather`` both, of Binance's ``BTCUSDT-1h-2025-01.zip`` the timeframe only."""
    if (found := _NAMED.fullmatch(name)) and found[3] in TIMEFRAMES:
        return Named(f"{found[1]}/{found[2]}", found[3])
    if (found := _BINANCE.fullmatch(name)) and found[1] in TIMEFRAMES:
        return Named("", found[1])
    return Named()


def read_json(raw: bytes, timeframe: str, at: datetime, label: Label = "open") -> tuple[Candles, CandleReport]:
    """Candles of a list of ``[opened_at_ms, open, high, low, close, volume]``; the first is row 1."""
    try:
        rows = json.loads(raw)
    except RecursionError:
        raise CandleFileError(1, "Expected a list of candles, was lists in lists in lists.") from None
    except ValueError as error:
        raise CandleFileError(getattr(error, "lineno", 1), f"Expected JSON ({error}).") from None
    if not isinstance(rows, list) or not rows:
        raise CandleFileError(1, "Expected a list of candles.")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != FIELDS or not all(map(_is_number, row)):
            raise CandleFileError(number, f"Expected {FIELDS} numbers, was {json.dumps(row)[:80]}.")
    return checked(Numbers(np.array(rows, dtype=np.float64), 1), timeframe, at, label)


def json_lines(candles: Candles) -> Iterator[str]:
    """The same list, a candle a line, as freqtrade and ``read_json`` read it; numbers in their shortest exact form."""
    rows = [json.dumps(row, separators=(",", ":")) for row in candles.rows()]
    yield "["
    yield from (f"{row}," for row in rows[:-1])
    yield from rows[-1:]
    yield "]"


def read_feather(
    raw: bytes, timeframe: str, at: datetime, label: Label = "open", most: int = 1 << 30
) -> tuple[Candles, CandleReport]:
    """Candles of an Arrow file with the columns date, open, high, low, close, volume; the first candle is row 1.

    Packed with LZ4, with ZSTD or not at all. Other columns are left alone. Raises CandleFileError and UnknownTimeframe.
    """
    try:
        table = _feather_table(raw, most)
    except ArrowFileError as error:
        raise CandleFileError(1, str(error)) from None
    if not len(table):
        raise CandleFileError(1, "Expected candles, was the end of the file.")
    return checked(Numbers(table, 1), timeframe, at, label)


def _is_number(value: object) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 1 << 63)


def _feather_table(raw: bytes, most: int) -> Table:
    """Raises ArrowFileError, and CandleFileError where a row's time is at fault."""
    found = read_columns(raw, COLUMNS, most)
    if not found["date"].unit:
        raise ArrowFileError("Expected a timestamp in the column date, was float.")
    wrong = next((name for name in COLUMNS[1:] if found[name].unit), None)
    if wrong is not None:
        raise ArrowFileError(f"Expected doubles in the column {wrong}, was timestamp.")
    columns = [_milliseconds(found["date"]), *(found[name].values for name in COLUMNS[1:])]
    # What is absent was not a number when pandas wrote it.
    filled = [np.where(found[name].absent, np.nan, column) for name, column in zip(COLUMNS, columns, strict=True)]
    return np.column_stack(filled)


def _milliseconds(column: Column) -> Floats:
    many, parts = UNITS[column.unit]
    odd = (column.values % parts != 0) & ~column.absent
    if odd.any():
        index = int(np.argmax(odd))
        raise CandleFileError(1 + index, f"Expected whole milliseconds, was {column.values[index]} {column.unit}.")
    return (column.values // parts).astype(np.float64) * many
