"""What the rows of every candle file go through once they are numbers; one precise error or all rows.

Units and label of the times, prices, order, alignment, and that the last candle is finished. Gaps and quiet candles are
reported and kept.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from exchanges.core.candle_check import CandleReport, first_fault, report
from exchanges.core.candles import Candles, Floats, from_ms, timeframe_ms, to_ms

Label = Literal["open", "close"]
FIELDS: Final = 6
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


@dataclass(frozen=True, slots=True)
class Numbers:
    """The rows of a file as numbers, open time first, and the row by which the first of them is called."""

    table: Table
    first_row: int


def checked(numbers: Numbers, timeframe: str, at: datetime, label: Label) -> tuple[Candles, CandleReport]:
    """Raises CandleFileError and UnknownTimeframe."""
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


def _check_finished(numbers: Numbers, candles: Candles, step: int, at: datetime) -> None:
    unfinished = np.flatnonzero(candles.opened_at + step > to_ms(at))
    if not len(unfinished):
        return
    index = int(unfinished[0])
    opened = from_ms(int(candles.opened_at[index]))
    kind = "a candle of the future" if opened > at else "an unfinished candle"
    _refuse(numbers, index, f"Expected closed candles, was {kind}: it opens at {opened:%Y-%m-%d %H:%M:%S} UTC.")


def _refuse(numbers: Numbers, index: int, reason: str) -> NoReturn:
    raise CandleFileError(numbers.first_row + index, reason)
