"""Candle files in and out: our CSV and Binance's public layout; one precise error or all rows."""

import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Protocol, runtime_checkable

import numpy as np

from exchanges.core.candle_check import CandleReport
from exchanges.core.candle_table import FIELDS, MICROSECONDS_ABOVE, CandleFileError, Label, Numbers, checked
from exchanges.core.candles import Candles
from exchanges.core.decimals import from_float, plain

HEADER: Final = "timestamp_ms,open,high,low,close,volume"
BINANCE_FIELDS: Final = 12


@runtime_checkable
class File(Protocol):
    """Whatever hands out a file's bytes, such as a path."""

    def read_bytes(self) -> bytes: ...


def read_candle_csv(
    source: File | bytes | Iterable[str], timeframe: str, at: datetime, label: Label = "open"
) -> tuple[Candles, CandleReport]:
    """Candles of a CSV file (its path, bytes or lines) with the header ``timestamp_ms,open,high,low,close,volume``.

    ``label`` says whether a row's time is the candle's open (``open``) or its end (``close``). ``at`` is the present:
    later candles, and one that is not finished yet, are errors. Raises CandleFileError and UnknownTimeframe.
    """
    match source:
        case File():
            raw = source.read_bytes()
        case bytes():
            raw = source
        case _:
            raw = "\n".join(source).encode()
    return checked(_csv_numbers(raw), timeframe, at, label)


def read_binance_csv(raw: bytes, timeframe: str, at: datetime) -> tuple[Candles, CandleReport]:
    """Candles of Binance's public data: twelve columns, mostly without header, times in ms or (from 2025) in µs."""
    numbers = _parsed(raw, 1 if raw[:9].lower() == b"open_time" else 0, BINANCE_FIELDS)
    times = numbers.table[:, 0]
    times[times > MICROSECONDS_ABOVE] /= 1_000.0
    return checked(numbers, timeframe, at, "open")


def looks_like_binance(raw: bytes) -> bool:
    first = raw.split(b"\n", 1)[0]
    return first.count(b",") == BINANCE_FIELDS - 1


def csv_lines(candles: Candles) -> Iterator[str]:
    """The lines of a CSV file, without line ends; numbers in their shortest exact form."""
    yield HEADER
    columns = (candles.opened_at, candles.open, candles.high, candles.low, candles.close, candles.volume)
    for row in zip(*(column.tolist() for column in columns), strict=True):
        line = f"{row[0]},{row[1]!r},{row[2]!r},{row[3]!r},{row[4]!r},{row[5]!r},"
        # A float's text has no zeros at its end but this one.
        yield line.replace(".0,", ",")[:-1] if "e" not in line else _without_exponents(row)


def _without_exponents(row: Sequence[float]) -> str:
    return ",".join([str(row[0]), *(plain(from_float(value)) for value in row[1:])])


def _csv_numbers(raw: bytes) -> Numbers:
    header, _, _ = raw.partition(b"\n")
    words = header.decode("utf-8-sig", errors="replace").strip()
    if [word.strip().lower() for word in words.split(",")] != HEADER.split(","):
        raise CandleFileError(1, f"Expected the header {HEADER}, was {words[:80]!r}.")
    return _parsed(raw, 1, FIELDS)


def _parsed(raw: bytes, skip: int, fields: int) -> Numbers:
    """All rows as numbers by numpy's own parser; only where that fails, line by line for the row and the reason."""
    raw = raw.rstrip()
    lines = raw.count(b"\n") + 1 - skip
    if not raw or lines < 1:
        raise CandleFileError(1 + skip, "Expected candles, was the end of the file.")
    try:
        table = np.loadtxt(io.BytesIO(raw), delimiter=",", skiprows=skip, comments=None, ndmin=2)
    except ValueError:
        table = np.empty((0, 0))
    if table.shape != (lines, fields):
        text = raw.decode("utf-8", errors="replace")
        raise _first_bad_line(text.split("\n")[skip:], 1 + skip, fields)
    return Numbers(table, 1 + skip)


def _first_bad_line(lines: Sequence[str], first_row: int, fields: int) -> CandleFileError:
    found = ((row, _fault(line, fields)) for row, line in enumerate(lines, first_row))
    row, reason = next(((row, why) for row, why in found if why), (first_row, "Expected rows of numbers."))
    return CandleFileError(row, reason)


def _fault(line: str, fields: int) -> str:
    texts = line.strip().split(",")
    if len(texts) != fields:
        return f"Expected {fields} fields, was {len(texts) if line.strip() else 0}."
    wrong = next((text for text in texts if not _is_number(text)), None)
    return "" if wrong is None else f"Expected a number, was {wrong.strip()!r}."


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    # Python also reads 1_000 and the digits of other scripts.
    return text.isascii() and "_" not in text
