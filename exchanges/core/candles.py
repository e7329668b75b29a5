"""Candles as columns: open time in milliseconds, prices and volume as float64."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from exchanges.core.errors import UnknownTimeframe

Floats = npt.NDArray[np.float64]
Millis = npt.NDArray[np.int64]

SECOND = 1_000
TIMEFRAMES: dict[str, int] = {
    "1s": SECOND, "5s": 5 * SECOND, "15s": 15 * SECOND, "30s": 30 * SECOND,
    "1m": 60 * SECOND, "3m": 180 * SECOND, "5m": 300 * SECOND, "15m": 900 * SECOND, "30m": 1_800 * SECOND,
    "1h": 3_600 * SECOND, "2h": 7_200 * SECOND, "4h": 14_400 * SECOND, "6h": 21_600 * SECOND,
    "8h": 28_800 * SECOND, "12h": 43_200 * SECOND, "1d": 86_400 * SECOND,
}  # fmt: skip


def timeframe_ms(timeframe: str) -> int:
    """Length of a timeframe in milliseconds; raises UnknownTimeframe."""
    try:
        return TIMEFRAMES[timeframe]
    except KeyError:
        raise UnknownTimeframe(f"Expected one of {', '.join(TIMEFRAMES)}, was {timeframe!r}.") from None


def to_ms(at: datetime) -> int:
    """Epoch milliseconds of an aware instant, exact (no float on the way)."""
    delta = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000 + delta.microseconds // 1_000


def from_ms(ms: int) -> datetime:
    seconds, rest = divmod(int(ms), 1_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1_000)


@dataclass(frozen=True, slots=True, eq=False)
class Candles:
    """Columns of equal length n, sorted by ``opened_at`` without duplicates; gaps stay gaps."""

    opened_at: Millis
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats

    def __len__(self) -> int:
        return len(self.opened_at)

    def __getitem__(self, window: slice) -> "Candles":
        return Candles(
            self.opened_at[window], self.open[window], self.high[window],
            self.low[window], self.close[window], self.volume[window],
        )  # fmt: skip

    def closed(self, at: datetime, timeframe: str) -> "Candles":
        """Only the candles with opened_at + timeframe <= at: never the one still forming."""
        count = int(np.searchsorted(self.opened_at, to_ms(at) - timeframe_ms(timeframe), side="right"))
        return self[:count]

    def since(self, at: datetime) -> "Candles":
        return self[int(np.searchsorted(self.opened_at, to_ms(at), side="left")) :]

    def rows(self) -> list[list[float]]:
        """[[opened_at_ms, open, high, low, close, volume], …] with the time as int."""
        columns = (self.opened_at, self.open, self.high, self.low, self.close, self.volume)
        return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[float | str]]) -> "Candles":
        """From [[opened_at_ms, open, high, low, close, volume], …]; numbers may be text."""
        columns = list(zip(*rows, strict=True)) if rows else [()] * 6
        values = [np.array([float(v) for v in column], dtype=np.float64) for column in columns[1:6]]
        return cls(np.array([int(v) for v in columns[0]], dtype=np.int64), *values)


def gaps(candles: Candles, timeframe: str) -> list[tuple[int, int]]:
    """[(first missing open time, how many are missing), …]."""
    step = timeframe_ms(timeframe)
    jumps = np.diff(candles.opened_at)
    return [(int(candles.opened_at[i]) + step, int(jumps[i]) // step - 1) for i in np.flatnonzero(jumps > step)]
