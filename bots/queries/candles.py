"""Closed candles with indicators beside them: stored ones where they reach, else the exchange's."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from bots.core.columns import Column, parse_columns
from exchanges import candle_store, market_data
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.decimals import from_float, plain
from exchanges.core.errors import UnknownTimeframe

NAMES = ("opened_at", "open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True)
class CandleFilter:
    """Candles opened in [since, until); without ``since`` the newest ``limit`` ones before ``until``."""

    exchange: str
    symbol: str
    timeframe: str
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 500
    indicators: str = ""


@dataclass(frozen=True, slots=True)
class CandlePage:
    """Rows oldest first; ``next`` is the open time in ms from which to go on, or None at the end."""

    exchange: str
    symbol: str
    timeframe: str
    columns: Sequence[str]
    items: Sequence[Sequence[Any]]
    next: int | None


def candles_of(wanted: CandleFilter, at: datetime) -> CandlePage:
    """Raises ColumnError, UnknownExchange, UnknownSymbol, UnknownTimeframe and ExchangeFault."""
    columns = parse_columns(wanted.indicators)
    step = timeframe_ms(wanted.timeframe)
    end = min(to_ms(wanted.until), to_ms(at)) if wanted.until else to_ms(at)
    end = max(end // step * step, 0)
    warmup = max((column.warmup for column in columns), default=0)
    stored = candle_store.coverage(wanted.exchange, wanted.symbol, wanted.timeframe)
    if wanted.since is None:
        start, stop = max(end - wanted.limit * step, 0), end
    else:
        earliest = to_ms(stored.first) if stored is not None else 0
        start = max(-(-to_ms(wanted.since) // step) * step, earliest, 0)
        stop = min(start + wanted.limit * step, end)
    if start >= stop:
        return _page(wanted, columns, Candles.from_rows([]), 0, None)
    early = max(start - warmup * step, 0)
    if stored is not None and stop <= to_ms(stored.last) + step:
        found = candle_store.load(wanted.exchange, wanted.symbol, wanted.timeframe, from_ms(early), from_ms(stop))
    else:
        found = _live(wanted, early, stop, step, at)
    going_on = stop if wanted.since is not None and stop < end else None
    return _page(wanted, columns, found, start, going_on)


def _live(wanted: CandleFilter, start: int, stop: int, step: int, at: datetime) -> Candles:
    market_data.market(wanted.exchange, wanted.symbol, at)
    offered = market_data.timeframes(wanted.exchange)
    if wanted.timeframe not in offered:
        raise UnknownTimeframe(f"Expected one of {', '.join(offered)}, was {wanted.timeframe!r}.")
    count = (stop - start) // step
    found = market_data.closed_candles(wanted.exchange, wanted.symbol, wanted.timeframe, count, from_ms(stop))
    return found.since(from_ms(start))


def _page(
    wanted: CandleFilter, columns: Sequence[Column], candles: Candles, start: int, going_on: int | None
) -> CandlePage:
    values = {name: series for column in columns for name, series in column.over(candles).items()}
    first = int(np.searchsorted(candles.opened_at, start))
    shown = candles[first:]
    texts = [
        [plain(from_float(value)) for value in series.tolist()]
        for series in (shown.open, shown.high, shown.low, shown.close, shown.volume)
    ]
    rows = zip(shown.opened_at.tolist(), *texts, *(series[first:].tolist() for series in values.values()), strict=True)
    items = [[None if value != value else value for value in row] for row in rows]
    return CandlePage(wanted.exchange, wanted.symbol, wanted.timeframe, [*NAMES, *values], items, going_on)
