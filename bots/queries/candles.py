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


@dataclass(frozen=True, slots=True)
class Stretch:
    """What to show: open times in [start, stop) ms; ``more`` when the wanted range goes on behind it."""

    start: int
    stop: int
    more: bool


def candles_of(wanted: CandleFilter, at: datetime) -> CandlePage:
    """Raises ColumnError, UnknownExchange, UnknownSymbol, UnknownTimeframe and ExchangeFault."""
    columns = parse_columns(wanted.indicators)
    step = timeframe_ms(wanted.timeframe)
    stored = candle_store.coverage(wanted.exchange, wanted.symbol, wanted.timeframe)
    stretch = _stretch(wanted, step, at, to_ms(stored.first) if stored is not None else 0)
    if stretch.start >= stretch.stop:
        return _page(wanted, columns, Candles.from_rows([]), stretch)
    warmup = max((column.warmup for column in columns), default=0)
    early = max(stretch.start - warmup * step, 0)
    if stored is not None and stretch.stop <= to_ms(stored.last) + step:
        market = (wanted.exchange, wanted.symbol, wanted.timeframe)
        found = candle_store.load(*market, from_ms(early), from_ms(stretch.stop))
    else:
        found = _live(wanted, early, stretch.stop, step, at)
    return _page(wanted, columns, found, stretch)


def _stretch(wanted: CandleFilter, step: int, at: datetime, earliest: int) -> Stretch:
    """Only closed candles: the range ends with the last candle that has."""
    end = min(to_ms(wanted.until), to_ms(at)) if wanted.until else to_ms(at)
    end = max(end // step * step, 0)
    if wanted.since is None:
        return Stretch(max(end - wanted.limit * step, 0), end, more=False)
    start = max(-(-to_ms(wanted.since) // step) * step, earliest, 0)
    stop = min(start + wanted.limit * step, end)
    return Stretch(start, stop, more=start < stop < end)


def _live(wanted: CandleFilter, start: int, stop: int, step: int, at: datetime) -> Candles:
    market_data.market(wanted.exchange, wanted.symbol, at)
    offered = market_data.timeframes(wanted.exchange)
    if wanted.timeframe not in offered:
        raise UnknownTimeframe(f"Expected one of {', '.join(offered)}, was {wanted.timeframe!r}.")
    count = (stop - start) // step
    found = market_data.closed_candles(wanted.exchange, wanted.symbol, wanted.timeframe, count, from_ms(stop))
    return found.since(from_ms(start))


def _page(wanted: CandleFilter, columns: Sequence[Column], candles: Candles, stretch: Stretch) -> CandlePage:
    values = {name: series for column in columns for name, series in column.over(candles).items()}
    first = int(np.searchsorted(candles.opened_at, stretch.start))
    shown = candles[first:]
    texts = [
        [plain(from_float(value)) for value in series.tolist()]
        for series in (shown.open, shown.high, shown.low, shown.close, shown.volume)
    ]
    numbers = [[None if value != value else value for value in series[first:].tolist()] for series in values.values()]
    items = list(zip(shown.opened_at.tolist(), *texts, *numbers, strict=True))
    following = stretch.stop if stretch.more else None
    return CandlePage(wanted.exchange, wanted.symbol, wanted.timeframe, [*NAMES, *values], items, following)
