"""The server's clock and its prices: the open of the candle that contains the clock, or what was set."""

import threading
import time
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np

from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.decimals import from_float


class ServerClock:
    """Real time until `set`; then it stands still, and moves by `advance` alone.

    Against a clock that stands still every later request is early: unless ``strict``, a minute of that is let pass,
    where Binance allows one second.
    """

    def __init__(self) -> None:
        self._fixed: int | None = None
        self._shift = 0
        self.strict = False

    @property
    def tolerance_ms(self) -> int:
        return 1_000 if self._fixed is None or self.strict else 60_000

    @property
    def ms(self) -> int:
        return self._fixed if self._fixed is not None else time.time_ns() // 1_000_000 + self._shift

    @property
    def now(self) -> datetime:
        return from_ms(self.ms)

    def set(self, at: datetime) -> None:
        self._fixed = to_ms(at)

    def advance(self, by: float | timedelta) -> None:
        millis = int((by.total_seconds() if isinstance(by, timedelta) else by) * 1000)
        if self._fixed is None:
            self._shift += millis
        else:
            self._fixed += millis

    def run(self) -> None:
        """Back to real time."""
        self._fixed, self._shift = None, 0


class Prices:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._candles: dict[str, dict[str, Candles]] = {}
        self._set: dict[str, Decimal] = {}

    def load(self, symbol_id: str, timeframe: str, candles: Candles) -> None:
        with self._lock:
            self._candles.setdefault(symbol_id, {})[timeframe] = candles

    def set(self, symbol_id: str, price: Decimal | None) -> None:
        """Holds whatever the candles say, until set to None."""
        with self._lock:
            if price is None:
                self._set.pop(symbol_id, None)
            else:
                self._set[symbol_id] = price

    def at(self, symbol_id: str, ms: int) -> Decimal:
        if symbol_id in self._set:
            return self._set[symbol_id]
        candles = self._finest(symbol_id)
        if candles is None or not len(candles[1]):
            return Decimal(100)
        timeframe, rows = candles
        index = int(np.searchsorted(rows.opened_at, ms, side="right")) - 1
        if index < 0:
            return from_float(rows.open[0])
        over = ms >= int(rows.opened_at[index]) + timeframe_ms(timeframe)
        return from_float(rows.close[index] if over else rows.open[index])

    def range(self, symbol_id: str, placed: int, since: int, until: int) -> tuple[Decimal, Decimal]:
        """(lowest, highest) price of the candles that closed after ``since``, and opened after the order was placed."""
        now = self.at(symbol_id, until)
        candles = self._finest(symbol_id)
        if symbol_id in self._set or candles is None:
            return now, now
        timeframe, rows = candles
        step = timeframe_ms(timeframe)
        first = int(np.searchsorted(rows.opened_at, max(placed, since - step + 1), side="left"))
        last = int(np.searchsorted(rows.opened_at, until - step, side="right"))
        if last <= first:
            return now, now
        low, high = from_float(rows.low[first:last].min()), from_float(rows.high[first:last].max())
        return min(low, now), max(high, now)

    def klines(self, symbol_id: str, timeframe: str, start: int | None, end: int, limit: int) -> Candles:
        """As Binance: the first ``limit`` from ``start``, or the last ``limit``; never one that has not opened."""
        rows = self._candles.get(symbol_id, {}).get(timeframe)
        if rows is None:
            return Candles.from_rows([])
        rows = rows[: int(np.searchsorted(rows.opened_at, end, side="right"))]
        if start is None:
            return rows[max(0, len(rows) - limit) :]
        first = int(np.searchsorted(rows.opened_at, start, side="left"))
        return rows[first : first + limit]

    def _finest(self, symbol_id: str) -> tuple[str, Candles] | None:
        known = self._candles.get(symbol_id)
        if not known:
            return None
        timeframe = min(known, key=timeframe_ms)
        return timeframe, known[timeframe]
