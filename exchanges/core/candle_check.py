"""Whether candles make sense, and what they cover: the first fault with its row, gaps, quiet candles."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from exchanges.core.candle_pack import data_sha256
from exchanges.core.candles import Candles, from_ms, gaps, timeframe_ms

Flags = npt.NDArray[np.bool_]
PRICES = ("open", "high", "low", "close")


@dataclass(frozen=True, slots=True)
class Gap:
    """``missing`` candles from ``start`` on were never recorded."""

    start: datetime
    missing: int


@dataclass(frozen=True, slots=True)
class CandleReport:
    """What a set of candles covers. Gaps and quiet candles are reported, never filled."""

    candles: int
    first: datetime | None
    last: datetime | None
    gaps: tuple[Gap, ...]
    missing: int
    longest_gap: int
    zero_volume: int
    sha256: str


def report(candles: Candles, timeframe: str) -> CandleReport:
    found = tuple(Gap(from_ms(start), missing) for start, missing in gaps(candles, timeframe))
    return CandleReport(
        candles=len(candles),
        first=from_ms(int(candles.opened_at[0])) if len(candles) else None,
        last=from_ms(int(candles.opened_at[-1])) if len(candles) else None,
        gaps=found,
        missing=sum(gap.missing for gap in found),
        longest_gap=max((gap.missing for gap in found), default=0),
        zero_volume=int((candles.volume == 0).sum()),
        sha256=data_sha256(candles),
    )


def in_order(candles: Candles) -> Candles:
    """Sorted by open time; of several rows with the same one, the row that came last."""
    _, index = np.unique(candles.opened_at[::-1], return_index=True)
    kept = len(candles) - 1 - index
    return Candles(
        candles.opened_at[kept], candles.open[kept], candles.high[kept],
        candles.low[kept], candles.close[kept], candles.volume[kept],
    )  # fmt: skip


def joined(parts: Sequence[Candles]) -> Candles:
    """One after the other; the caller knows that they are in order."""
    filled = [part for part in parts if len(part)]
    if len(filled) < 2:
        return filled[0] if filled else Candles.from_rows([])
    columns = ("opened_at", "open", "high", "low", "close", "volume")
    return Candles(*(np.concatenate([getattr(part, name) for part in filled]) for name in columns))


def first_fault(candles: Candles, timeframe: str) -> tuple[int, str] | None:
    """(index of the first candle that cannot be, why), or None. Order of time is checked as well as prices."""
    faults = [(int(np.argmax(flags)), why) for flags, why in _checks(candles, timeframe) if flags.any()]
    if not faults:
        return None
    index, why = min(faults, key=lambda fault: fault[0])
    return index, why.format(**_values(candles, index))


def _checks(candles: Candles, timeframe: str) -> list[tuple[Flags, str]]:
    step = timeframe_ms(timeframe)
    prices = np.stack([getattr(candles, name) for name in PRICES])
    body_high, body_low = np.maximum(candles.open, candles.close), np.minimum(candles.open, candles.close)
    after = np.diff(candles.opened_at, prepend=candles.opened_at[:1] - step)
    return [
        (~np.isfinite(prices).all(axis=0), "Expected finite prices, was {open} {high} {low} {close}."),
        ((prices <= 0).any(axis=0), "Expected prices above zero, was {open} {high} {low} {close}."),
        (~np.isfinite(candles.volume), "Expected a finite volume, was {volume}."),
        (candles.volume < 0, "Expected a volume of zero or more, was {volume}."),
        (candles.high < candles.low, "Expected high at or above low, was high {high} and low {low}."),
        (
            candles.high < body_high,
            "Expected high at or above open and close, was high {high}, open {open}, close {close}.",
        ),
        (candles.low > body_low, "Expected low at or below open and close, was low {low}, open {open}, close {close}."),
        (candles.opened_at % step != 0, f"Expected an open time on a full {timeframe}, was {{opened_at}}."),
        (after == 0, "Duplicate: the candle of {opened_at} is there twice."),
        (after < 0, "Unsorted: {opened_at} is earlier than the candle before it."),
    ]


def _values(candles: Candles, index: int) -> dict[str, object]:
    values: dict[str, object] = {name: float(getattr(candles, name)[index]) for name in (*PRICES, "volume")}
    return values | {"opened_at": int(candles.opened_at[index])}
