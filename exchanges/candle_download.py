"""Downloads an exchange's candles into the store, page by page; a second run goes on where the first one ended."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from exchanges import candle_store, connect
from exchanges.candle_store import Saved
from exchanges.core.candle_check import first_fault, in_order
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.errors import Unavailable, UnknownSymbol
from exchanges.core.port import MarketSource

PAGE: Final = 1_000
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Downloaded:
    pages: int
    added: int
    replaced: int
    unchanged: int


def download(
    exchange: str, symbol: str, timeframe: str, since: datetime, until: datetime, at: datetime, *,
    again: bool = False, on_progress: Progress = lambda done, total: None,
) -> Downloaded:  # fmt: skip
    """Store the closed candles opened in [since, until) that are not stored yet, or with ``again`` all of them.

    Every page is stored as it comes, so that nothing is asked twice after an interruption. ``on_progress`` hears how
    many candles' time is done, of how many. Raises ExchangeFault, UnknownExchange, UnknownSymbol, UnknownTimeframe.
    """
    step = timeframe_ms(timeframe)
    source = connect.open_public(exchange, at)
    if symbol not in source.markets():
        raise UnknownSymbol(f"{exchange} lists no {symbol!r}.")
    end = min(to_ms(until), to_ms(at) // step * step)
    start = -(-to_ms(since) // step) * step
    pages: list[Saved] = []
    for first, last in _open_stretches(exchange, symbol, timeframe, start, end, again=again):
        for cursor, candles in _pages(source, symbol, timeframe, first, last, at):
            pages.append(candle_store.save(exchange, symbol, timeframe, candles, f"downloaded from {exchange}", at))
            on_progress((cursor - start) // step, max((end - start) // step, 1))
    return Downloaded(
        len(pages), *(sum(getattr(page, name) for page in pages) for name in ("added", "replaced", "unchanged"))
    )


def _open_stretches(
    exchange: str, symbol: str, timeframe: str, start: int, end: int, *, again: bool
) -> list[tuple[int, int]]:
    """What lies before and after the stored candles; gaps between them were asked for when they were stored."""
    stored = None if again else candle_store.coverage(exchange, symbol, timeframe)
    if stored is None:
        return [(start, end)]
    first, after = to_ms(stored.first), to_ms(stored.last) + timeframe_ms(timeframe)
    return [(low, high) for low, high in ((start, min(end, first)), (max(start, after), end)) if low < high]


def _pages(
    source: MarketSource, symbol: str, timeframe: str, start: int, end: int, at: datetime
) -> Iterator[tuple[int, Candles]]:
    """(up to which instant in ms, the candles) of each answer that held any."""
    step, cursor = timeframe_ms(timeframe), start
    while cursor < end:
        limit = min(PAGE, (end - cursor) // step + 1)
        rows = in_order(source.fetch_candles(symbol, timeframe, from_ms(cursor), limit)).since(from_ms(cursor))
        closed = rows.closed(at, timeframe)
        candles = closed[: int(closed.opened_at.searchsorted(end))]
        fault = first_fault(candles, timeframe)
        if fault is not None:
            raise Unavailable(f"The candles of {symbol} make no sense: {fault[1]}")
        # An empty page is a gap as long as the page: look behind it.
        cursor = int(rows.opened_at[-1]) + step if len(rows) else cursor + limit * step
        if len(candles):
            yield min(cursor, end), candles
