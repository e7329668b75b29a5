"""Downloads an exchange's candles into the store, page by page; a second run goes on where the first one ended."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from django.db import IntegrityError, transaction

from exchanges import candle_store, connect
from exchanges.candle_store import Saved
from exchanges.core import demo
from exchanges.core.candle_check import first_fault, in_order
from exchanges.core.candles import Candles, Millis, from_ms, timeframe_ms, to_ms
from exchanges.core.errors import Unavailable, UnknownSymbol
from exchanges.core.port import MarketSource

PAGE: Final = 1_000
MINUTE: Final = 60_000
Progress = Callable[[int, int], None]
Stretch = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Target:
    """The closed candles of one market that opened in [since, until) as of ``at``; ``again`` also those that are
    stored already, which are then replaced where they differ."""

    exchange: str
    symbol: str
    timeframe: str
    since: datetime
    until: datetime
    at: datetime
    again: bool = False

    @property
    def step(self) -> int:
        return timeframe_ms(self.timeframe)

    @property
    def start(self) -> int:
        return -(-to_ms(self.since) // self.step) * self.step

    @property
    def end(self) -> int:
        return max(self.start, min(to_ms(self.until), to_ms(self.at) // self.step * self.step))

    @property
    def candles(self) -> int:
        """How many would be recorded if none were missing."""
        return -(-(self.end - self.start) // self.step)


@dataclass(frozen=True, slots=True)
class Page:
    """One answer of the exchange, stored; everything opened before ``reached`` is done."""

    reached: datetime
    saved: Saved

    @property
    def rows(self) -> int:
        return self.saved.added + self.saved.replaced + self.saved.unchanged


@dataclass(frozen=True, slots=True)
class Downloaded:
    pages: int
    added: int
    replaced: int
    unchanged: int


def origin(exchange: str) -> str:
    """The source that the store names for what was downloaded."""
    return f"downloaded from {exchange}"


def keep(exchange: str, symbol: str, timeframe: str, candles: Candles, at: datetime) -> None:
    """Store computed demo candles where computing them again would take seconds; any other market's are stored."""
    step = timeframe_ms(timeframe)
    if exchange != demo.NAME or not MINUTE <= step <= demo.EXACT_UP_TO or not len(candles):
        return
    # Somebody who keeps the same month at this instant keeps the same digits.
    with suppress(IntegrityError), transaction.atomic():
        candle_store.save(exchange, symbol, timeframe, candles, origin(exchange), at)


def download(target: Target, on_progress: Progress = lambda done, total: None) -> Downloaded:
    """All pages; ``on_progress`` hears how many candles' time is done, of how many. Raises as `pages`."""
    found: list[Saved] = []
    for page in pages(target):
        if page.rows:
            found.append(page.saved)
        on_progress((to_ms(page.reached) - target.start) // target.step, max(target.candles, 1))
    return Downloaded(
        len(found), *(sum(getattr(saved, name) for saved in found) for name in ("added", "replaced", "unchanged"))
    )


def pages(target: Target) -> Iterator[Page]:
    """Store what is missing page by page as it comes, so that nothing is asked twice after an interruption.

    A page without rows is one that held nothing new. Raises ExchangeFault, UnknownExchange, UnknownSymbol and
    UnknownTimeframe.
    """
    source = connect.open_public(target.exchange, target.at)
    if target.symbol not in source.markets():
        raise UnknownSymbol(f"{target.exchange} lists no {target.symbol!r}.")
    key, source_name = (target.exchange, target.symbol, target.timeframe), origin(target.exchange)
    missing = _missing(target)
    for first, last in merged(missing, PAGE * target.step):
        for reached, candles in _answers(source, target, first, last):
            wanted = _inside(candles, missing)
            saved = candle_store.save(*key, wanted, source_name, target.at) if len(wanted) else Saved(0, 0, 0)
            yield Page(from_ms(reached), saved)


def _missing(target: Target) -> list[Stretch]:
    """What is not stored, ascending. A gap is asked for again: it may be one that a download left open."""
    start, end, step = target.start, target.end, target.step
    stored = None if target.again else candle_store.coverage(target.exchange, target.symbol, target.timeframe)
    if stored is None:
        return [(start, end)] if start < end else []
    gaps = [(to_ms(gap.start), to_ms(gap.start) + gap.missing * step) for gap in stored.gaps]
    holes = [(start, to_ms(stored.first)), *gaps, (to_ms(stored.last) + step, end)]
    clipped = ((max(start, low), min(high, end)) for low, high in holes)
    return [(low, high) for low, high in clipped if low < high]


def merged(stretches: Sequence[Stretch], room: int) -> list[Stretch]:
    """Ascending stretches of which one answer may hold several, asked for together."""
    found: list[Stretch] = []
    for low, high in stretches:
        if found and high - found[-1][0] <= room:
            found[-1] = (found[-1][0], high)
        else:
            found.append((low, high))
    return found


def _inside(candles: Candles, stretches: Sequence[Stretch]) -> Candles:
    """Of an answer what was missing: known candles stay as they are."""
    lows, highs = (np.array(edges, dtype=np.int64) for edges in zip(*stretches, strict=True))
    at = np.searchsorted(lows, candles.opened_at, side="right") - 1
    return _picked(candles, np.flatnonzero((at >= 0) & (candles.opened_at < highs[at])))


def _picked(candles: Candles, index: Millis) -> Candles:
    if len(index) == len(candles):
        return candles
    return Candles(
        candles.opened_at[index], candles.open[index], candles.high[index],
        candles.low[index], candles.close[index], candles.volume[index],
    )  # fmt: skip


def _answers(source: MarketSource, target: Target, start: int, end: int) -> Iterator[tuple[int, Candles]]:
    """(up to which instant in ms, the closed candles) of each answer."""
    step, cursor = target.step, start
    while cursor < end:
        limit = min(PAGE, (end - cursor) // step + 1)
        rows = in_order(source.fetch_candles(target.symbol, target.timeframe, from_ms(cursor), limit))
        rows = rows.since(from_ms(cursor))
        closed = rows.closed(target.at, target.timeframe)
        candles = closed[: int(closed.opened_at.searchsorted(end))]
        fault = first_fault(candles, target.timeframe)
        if fault is not None:
            raise Unavailable(f"The candles of {target.symbol} make no sense: {fault[1]}")
        # An empty page is a gap as long as the page: look behind it.
        cursor = int(rows.opened_at[-1]) + step if len(rows) else cursor + limit * step
        yield min(cursor, end), candles
