"""Candle files in and out: our CSV, Binance's public layout and freqtrade's JSON; one precise error or all rows.

A file is checked as a whole before anything of it is used: header, number of fields, numbers, units and label of the
times, prices, order, alignment, and that its last candle is finished. Gaps and quiet candles are reported and kept.
"""

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NoReturn, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from exchanges.core.candle_check import CandleReport, first_fault, report
from exchanges.core.candles import Candles, Floats, from_ms, timeframe_ms, to_ms
from exchanges.core.decimals import from_float, plain

Label = Literal["open", "close"]
HEADER: Final = "timestamp_ms,open,high,low,close,volume"
FIELDS: Final = 6
BINANCE_FIELDS: Final = 12
# Milliseconds before 1973 are seconds, and after the year 5138 microseconds.
SECONDS_BELOW: Final = 1e11
MICROSECONDS_ABOVE: Final = 1e14
Table = npt.NDArray[np.float64]


class CandleFileError(ValueError):
    """A file that cannot be used: ``row`` is the line's number in the file, the header being line 1."""

    def __init__(self, row: int, reason: str) -> None:
        super().__init__(f"Row {row}: {reason}")
        self.row = row
        self.reason = reason


@runtime_checkable
class File(Protocol):
    """Whatever hands out a file's bytes, such as a path."""

    def read_bytes(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Numbers:
    """The rows of a file as numbers, and the line on which the first of them stands."""

    table: Table
    first_row: int


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
    return _checked(_csv_numbers(raw), timeframe, at, label)


def read_binance_csv(raw: bytes, timeframe: str, at: datetime) -> tuple[Candles, CandleReport]:
    """Candles of Binance's public data: twelve columns, mostly without header, times in ms or (from 2025) in µs."""
    numbers = _parsed(raw, 1 if raw[:9].lower() == b"open_time" else 0, BINANCE_FIELDS)
    if len(numbers.table) and numbers.table[0, 0] > MICROSECONDS_ABOVE:
        numbers.table[:, 0] /= 1_000.0
    return _checked(numbers, timeframe, at, "open")


def read_json(raw: bytes, timeframe: str, at: datetime) -> tuple[Candles, CandleReport]:
    """Candles of freqtrade's JSON, a list of ``[opened_at_ms, open, high, low, close, volume]``; the first is row 1."""
    try:
        rows = json.loads(raw)
    except ValueError as error:
        raise CandleFileError(getattr(error, "lineno", 1), f"Expected JSON ({error}).") from None
    if not isinstance(rows, list) or not rows:
        raise CandleFileError(1, "Expected a list of candles.")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != FIELDS or not all(type(value) in (int, float) for value in row):
            raise CandleFileError(number, f"Expected {FIELDS} numbers, was {json.dumps(row)[:80]}.")
    return _checked(_Numbers(np.array(rows, dtype=np.float64), 1), timeframe, at, "open")


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


def _csv_numbers(raw: bytes) -> _Numbers:
    header, _, _ = raw.partition(b"\n")
    words = header.decode("utf-8-sig", errors="replace").strip()
    if [word.strip().lower() for word in words.split(",")] != HEADER.split(","):
        raise CandleFileError(1, f"Expected the header {HEADER}, was {words[:80]!r}.")
    return _parsed(raw, 1, FIELDS)


def _parsed(raw: bytes, skip: int, fields: int) -> _Numbers:
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
    return _Numbers(table, 1 + skip)


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


def _checked(numbers: _Numbers, timeframe: str, at: datetime, label: Label) -> tuple[Candles, CandleReport]:
    step = timeframe_ms(timeframe)
    times = numbers.table[:, 0]
    _check_units(times, numbers.first_row)
    opened_at = times.astype(np.int64)
    if label == "close":
        # Some write the candle's last millisecond, some the first of the next one.
        opened_at = opened_at + np.where((opened_at + 1) % step == 0, 1, 0) - step
    elif ((opened_at + 1) % step == 0).all():
        _refuse(numbers, 0, f"These are close times (one millisecond before a full {timeframe}): say --time close.")
    columns: list[Floats] = [np.ascontiguousarray(numbers.table[:, i]) for i in range(1, FIELDS)]
    candles = Candles(opened_at, *columns)
    fault = first_fault(candles, timeframe)
    if fault is not None:
        _refuse(numbers, fault[0], fault[1])
    _check_finished(numbers, candles, step, at)
    return candles, report(candles, timeframe)


def _check_units(times: Floats, first_row: int) -> None:
    checks = (
        (~np.isfinite(times), "Expected a time in milliseconds, was {}."),
        (times < SECONDS_BELOW, "Expected a time in milliseconds, was {}: these look like seconds."),
        (times > MICROSECONDS_ABOVE, "Expected a time in milliseconds, was {}: these look like microseconds."),
        (times != np.floor(times), "Expected a whole number of milliseconds, was {}."),
    )
    for flags, why in checks:
        if flags.any():
            index = int(np.argmax(flags))
            raise CandleFileError(first_row + index, why.format(f"{times[index]:.15g}"))


def _check_finished(numbers: _Numbers, candles: Candles, step: int, at: datetime) -> None:
    unfinished = np.flatnonzero(candles.opened_at + step > to_ms(at))
    if not len(unfinished):
        return
    index = int(unfinished[0])
    opened = from_ms(int(candles.opened_at[index]))
    kind = "a candle of the future" if opened > at else "an unfinished candle"
    _refuse(numbers, index, f"Expected closed candles, was {kind}: it opens at {opened:%Y-%m-%d %H:%M:%S} UTC.")


def _refuse(numbers: _Numbers, index: int, reason: str) -> NoReturn:
    raise CandleFileError(numbers.first_row + index, reason)
