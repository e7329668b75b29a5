"""What is stored of every market, for the page that shows it: read from the chunks' heads in one query."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from exchanges.core.candle_check import Gap
from exchanges.core.candles import from_ms, timeframe_ms, to_ms
from exchanges.models import CandleChunk

HEADS = ("exchange", "symbol", "timeframe", "candles", "first_opened_at", "last_opened_at", "gaps", "zero_volume",
         "source", "stored_at")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Covered:
    """``last`` is the newest candle's open time, ``end`` when it closed; ``longest`` the gaps by their length."""

    exchange: str
    symbol: str
    timeframe: str
    candles: int
    first: datetime
    last: datetime
    end: datetime
    gaps: Sequence[Gap]
    missing: int
    zero_volume: int
    source: str
    stored_at: datetime

    @property
    def longest(self) -> list[Gap]:
        return sorted(self.gaps, key=lambda gap: -gap.missing)[:10]

    @property
    def step(self) -> timedelta:
        return timedelta(milliseconds=timeframe_ms(self.timeframe))


def covered_markets() -> list[Covered]:
    """Every market of which candles are stored, by name."""
    rows = CandleChunk.objects.order_by("exchange", "symbol", "timeframe", "month").values(*HEADS)
    keyed = groupby(rows.iterator(), key=lambda row: (row["exchange"], row["symbol"], row["timeframe"]))
    return [_covered(key, list(months)) for key, months in keyed]


def _covered(key: tuple[str, str, str], months: Sequence[dict[str, Any]]) -> Covered:
    gaps = tuple(_gaps(months, timeframe_ms(key[2])))
    latest, last = max(months, key=lambda row: row["stored_at"]), months[-1]["last_opened_at"]
    return Covered(
        *key,
        candles=sum(row["candles"] for row in months),
        first=months[0]["first_opened_at"],
        last=last,
        end=last + timedelta(milliseconds=timeframe_ms(key[2])),
        gaps=gaps,
        missing=sum(gap.missing for gap in gaps),
        zero_volume=sum(row["zero_volume"] for row in months),
        source=latest["source"],
        stored_at=latest["stored_at"],
    )


def _gaps(months: Sequence[dict[str, Any]], step: int) -> Iterator[Gap]:
    """Inside the months, and from one month's last candle to the next one's first."""
    expected = to_ms(months[0]["first_opened_at"])
    for row in months:
        missing = (to_ms(row["first_opened_at"]) - expected) // step
        if missing > 0:
            yield Gap(from_ms(expected), missing)
        yield from (Gap(from_ms(start), count) for start, count in row["gaps"])
        expected = to_ms(row["last_opened_at"]) + step
