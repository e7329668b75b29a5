"""Stored candles: saved and loaded by market, their coverage known without loading them."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Max, Min, QuerySet, Sum

from exchanges.core.candle_check import Gap, first_fault, in_order, joined, report
from exchanges.core.candle_pack import pack, unpack
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.models import CandleChunk


@dataclass(frozen=True, slots=True)
class Saved:
    """What a save changed: candles that were new, that replaced others, and that were there already."""

    added: int
    replaced: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is stored of one market. ``fingerprint`` changes when any stored candle does."""

    exchange: str
    symbol: str
    timeframe: str
    candles: int
    first: datetime
    last: datetime
    gaps: tuple[Gap, ...]
    missing: int
    zero_volume: int
    fingerprint: str
    source: str
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class Dataset:
    exchange: str
    symbol: str
    timeframe: str
    candles: int
    first: datetime
    last: datetime


def save(exchange: str, symbol: str, timeframe: str, candles: Candles, source: str, at: datetime) -> Saved:
    """Store closed candles, all or none; one that is stored already is replaced when it differs.

    ``source`` says where they come from. Raises ValueError for candles that make no sense or are not closed at ``at``.
    """
    fault = first_fault(candles, timeframe)
    if fault is not None:
        raise ValueError(f"Expected candles that make sense, was number {fault[0] + 1}: {fault[1]}")
    if len(candles.closed(at, timeframe)) != len(candles):
        raise ValueError(f"Expected closed candles, was one that is unfinished at {at:%Y-%m-%d %H:%M:%S} UTC.")
    with transaction.atomic():
        key = (exchange, symbol, timeframe)
        parts = [_save_month(key, month, part, source, at) for month, part in _months(candles)]
    return Saved(*(sum(getattr(part, name) for part in parts) for name in ("added", "replaced", "unchanged")))


def load(
    exchange: str, symbol: str, timeframe: str, since: datetime | None = None, until: datetime | None = None
) -> Candles:
    """Stored candles opened in [since, until), oldest first; empty when nothing is stored."""
    rows = _chunks(exchange, symbol, timeframe)
    if since is not None:
        rows = rows.filter(last_opened_at__gte=since)
    if until is not None:
        rows = rows.filter(first_opened_at__lt=until)
    candles = joined([unpack(blob) for blob in rows.values_list("columns", flat=True)])
    first = 0 if since is None else int(np.searchsorted(candles.opened_at, to_ms(since)))
    end = len(candles) if until is None else int(np.searchsorted(candles.opened_at, to_ms(until)))
    return candles[first:end]


def coverage(exchange: str, symbol: str, timeframe: str) -> Coverage | None:
    """What is stored of a market, read from the chunks' heads alone; None when nothing is."""
    rows = list(_chunks(exchange, symbol, timeframe).defer("columns"))
    if not rows:
        return None
    gaps = tuple(_all_gaps(rows, timeframe))
    latest = max(rows, key=lambda row: row.stored_at)
    return Coverage(
        exchange=exchange,
        symbol=symbol,
        timeframe=timeframe,
        candles=sum(row.candles for row in rows),
        first=rows[0].first_opened_at,
        last=rows[-1].last_opened_at,
        gaps=gaps,
        missing=sum(gap.missing for gap in gaps),
        zero_volume=sum(row.zero_volume for row in rows),
        fingerprint=hashlib.sha256("".join(row.sha256 for row in rows).encode()).hexdigest(),
        source=latest.source,
        stored_at=latest.stored_at,
    )


def datasets() -> list[Dataset]:
    """Every market of which candles are stored."""
    groups = CandleChunk.objects.order_by().values("exchange", "symbol", "timeframe")
    found = groups.annotate(count=Sum("candles"), first=Min("first_opened_at"), last=Max("last_opened_at"))
    return [
        Dataset(row["exchange"], row["symbol"], row["timeframe"], row["count"], row["first"], row["last"])
        for row in found.order_by("exchange", "symbol", "timeframe")
    ]


def problems(exchange: str, symbol: str, timeframe: str) -> list[str]:
    """Every way in which what is stored differs from what was saved: none, unless the database was damaged."""
    found: list[str] = []
    for row in _chunks(exchange, symbol, timeframe):
        try:
            candles = unpack(row.columns)
        except (ValueError, KeyError) as error:
            found.append(f"{row}: cannot be unpacked ({error}).")
            continue
        fault = first_fault(candles, timeframe)
        if fault is not None:
            found.append(f"{row}: candle {fault[0] + 1}: {fault[1]}")
        elif any(getattr(row, name) != value for name, value in _head(candles, timeframe).items()):
            found.append(f"{row}: the candles are not those that were stored (sha256 differs).")
    return found


def _save_month(key: tuple[str, str, str], month: date, candles: Candles, source: str, at: datetime) -> Saved:
    row = _chunks(*key).select_for_update().filter(month=month).first()
    known = unpack(row.columns) if row is not None else candles[:0]
    merged = in_order(joined([known, candles]))
    added = len(merged) - len(known)
    unchanged = len(candles) - added - _differing(known, candles)
    if row is None:
        row = CandleChunk(exchange=key[0], symbol=key[1], timeframe=key[2], month=month)
    elif unchanged == len(candles):
        return Saved(0, 0, unchanged)
    for name, value in _head(merged, key[2]).items():
        setattr(row, name, value)
    row.columns, row.source, row.stored_at = pack(merged), source[:200], at
    row.save()
    return Saved(added, len(candles) - added - unchanged, unchanged)


def _differing(known: Candles, candles: Candles) -> int:
    """How many of ``candles`` are known with other values."""
    _, mine, theirs = np.intersect1d(candles.opened_at, known.opened_at, assume_unique=True, return_indices=True)
    same = [
        getattr(candles, name)[mine] == getattr(known, name)[theirs]
        for name in ("open", "high", "low", "close", "volume")
    ]
    return len(mine) - int(np.logical_and.reduce(same).sum())


def _head(candles: Candles, timeframe: str) -> dict[str, Any]:
    """What a chunk's row repeats of its columns."""
    found = report(candles, timeframe)
    return {
        "candles": found.candles,
        "first_opened_at": found.first,
        "last_opened_at": found.last,
        "gaps": [[to_ms(gap.start), gap.missing] for gap in found.gaps],
        "zero_volume": found.zero_volume,
        "sha256": found.sha256,
    }


def _months(candles: Candles) -> Iterator[tuple[date, Candles]]:
    """The candles of each UTC month."""
    months = candles.opened_at.astype("datetime64[ms]").astype("datetime64[M]")
    starts = np.flatnonzero(np.diff(months.astype(np.int64), prepend=-1)).tolist()
    for start, end in itertools.pairwise([*starts, len(candles)]):
        yield from_ms(int(candles.opened_at[start])).date().replace(day=1), candles[start:end]


def _all_gaps(rows: Sequence[CandleChunk], timeframe: str) -> Iterator[Gap]:
    """Gaps inside the months, and those from one month's last candle to the next one's first."""
    step = timeframe_ms(timeframe)
    expected = to_ms(rows[0].first_opened_at)
    for row in rows:
        missing = (to_ms(row.first_opened_at) - expected) // step
        if missing:
            yield Gap(from_ms(expected), missing)
        yield from (Gap(from_ms(start), count) for start, count in row.gaps)
        expected = to_ms(row.last_opened_at) + step


def _chunks(exchange: str, symbol: str, timeframe: str) -> QuerySet[CandleChunk]:
    """In the order of time; raises UnknownTimeframe."""
    timeframe_ms(timeframe)
    return CandleChunk.objects.filter(exchange=exchange, symbol=symbol, timeframe=timeframe).order_by("month")
