"""Recent closed candles of a market in Django's cache, so that a tick asks the exchange only for the new one.

One blob per market holds the closed candles from an instant on. Only what follows it is asked for; the newest candle
is asked for once more, until a later one shows that it was final. An answer that makes no sense is never used.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from django.conf import settings
from django.core.cache import cache

from exchanges.core.candle_check import first_fault, in_order, joined
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.errors import Unavailable, UnknownTimeframe
from exchanges.core.port import MarketSource

KEPT: Final = 3_000
KEEP_SECONDS: Final = 7 * 86_400
HEAD: Final = struct.Struct("<qqq")
COLUMNS: Final = ("opened_at", "open", "high", "low", "close", "volume")
LOOKS_BACK: Final = 4


@dataclass(frozen=True, slots=True)
class Stretch:
    """Every closed candle that opened in [start, end) ms and was final when it was asked for."""

    start: int
    end: int
    candles: Candles

    @classmethod
    def empty(cls, at: int) -> "Stretch":
        return cls(at, at, Candles.from_rows([]))

    def last(self, count: int) -> "Stretch":
        if len(self.candles) <= count:
            return self
        kept = self.candles[-count:]
        return Stretch(int(kept.opened_at[0]), self.end, kept)

    def to_bytes(self) -> bytes:
        columns = [np.ascontiguousarray(getattr(self.candles, name)).tobytes() for name in COLUMNS]
        return b"".join([HEAD.pack(self.start, self.end, len(self.candles)), *columns])

    @classmethod
    def from_bytes(cls, blob: bytes) -> "Stretch":
        start, end, count = HEAD.unpack_from(blob)
        times = np.frombuffer(blob, np.int64, count, HEAD.size)
        values = np.frombuffer(blob, np.float64, 5 * count, HEAD.size + 8 * count).reshape(5, count)
        return cls(start, end, Candles(times, *values))


def closed_candles(source: MarketSource, symbol: str, timeframe: str, count: int, at: datetime) -> Candles:
    """The last ``count`` candles closed at ``at``; fewer only where the market's history is shorter.

    Raises ExchangeFault when the exchange cannot be asked or answers nonsense, and what the source raises for an
    unknown symbol or timeframe.
    """
    step = timeframe_ms(timeframe)
    end = to_ms(at) // step * step
    key = _key(source.name, symbol, timeframe)
    cached = _cached(key)
    ask = _Question(source, symbol, timeframe, step)
    if cached is not None and cached.start < end <= cached.end + KEPT * step:
        known, is_newest = cached, True
    else:
        known, is_newest = Stretch.empty(end - count * step), cached is None or cached.end < end
    known, provisional = ask.newer(known, end)
    known = ask.older(known, count, end, len(provisional))
    if is_newest:
        cache.set(key, known.last(max(count, KEPT)).to_bytes(), KEEP_SECONDS)
    seen = joined([known.candles, provisional])
    return seen[: int(np.searchsorted(seen.opened_at, end))][-count:]


@dataclass(frozen=True, slots=True)
class _Question:
    """One market of one source; times in ms."""

    source: MarketSource
    symbol: str
    timeframe: str
    step: int

    def newer(self, known: Stretch, end: int) -> tuple[Stretch, Candles]:
        """The stretch grown up to ``end``, and the newest candle when nothing shows yet that it is final."""
        if end <= known.end:
            return known, known.candles[:0]
        fresh, later = self._ask(known.end, end)
        if later:
            return Stretch(known.start, end, joined([known.candles, fresh])), fresh[:0]
        final, provisional = fresh[:-1], fresh[-1:]
        until = int(provisional.opened_at[0]) if len(provisional) else known.end
        return Stretch(known.start, until, joined([known.candles, final])), provisional

    def older(self, known: Stretch, count: int, end: int, provisional: int) -> Stretch:
        """The stretch grown into the past until it holds enough, looking ever further behind a gap."""
        for look in range(LOOKS_BACK):
            missing = count - provisional - int(np.searchsorted(known.candles.opened_at, end))
            if missing <= 0 or known.start <= 0:
                return known
            start = max(known.start - (missing << (look + 1)) * self.step, 0)
            fresh, _ = self._ask(start, known.start)
            known = Stretch(start, known.end, joined([fresh, known.candles]))
        enough = count - provisional <= int(np.searchsorted(known.candles.opened_at, end))
        # Nothing older exists: remember that, so as not to ask on every tick.
        return known if enough else Stretch(0, known.end, known.candles)

    def _ask(self, start: int, end: int) -> tuple[Candles, bool]:
        """What opened in [start, end), and whether the answer went on beyond it."""
        try:
            rows = self.source.fetch_candles(
                self.symbol, self.timeframe, from_ms(start), (end - start) // self.step + 1
            )
        except UnknownTimeframe:
            raise
        except (TypeError, ValueError):
            raise Unavailable(f"Expected candles of {self.symbol}, was something else.") from None
        rows = in_order(rows)
        later = bool(len(rows)) and int(rows.opened_at[-1]) >= end
        first, last = (int(np.searchsorted(rows.opened_at, bound)) for bound in (start, end))
        fault = first_fault(rows[first:last], self.timeframe)
        if fault is not None:
            raise Unavailable(f"The candles of {self.symbol} make no sense: {fault[1]}")
        return rows[first:last], later


def _cached(key: str) -> Stretch | None:
    blob = cache.get(key)
    return None if blob is None else Stretch.from_bytes(blob)


def _key(exchange: str, symbol: str, timeframe: str) -> str:
    """Also of where the exchange is reached: a private gateway's candles are not the exchange's own."""
    where = json.dumps(settings.EXCHANGE_OVERRIDES.get(exchange, {}), sort_keys=True, default=str)
    mark = hashlib.sha256(f"{symbol} {where}".encode()).hexdigest()[:16]
    return f"candles:1:{exchange}:{timeframe}:{mark}"
