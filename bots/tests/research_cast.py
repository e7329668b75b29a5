"""Stored candles and requests for the tests of backtests and sweeps, and a clock that goes on by itself."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from accounts.audit import Actor
from accounts.models import User
from exchanges import candle_store
from exchanges.core.candles import Candles
from strategies.tests.places import synthetic

AT = datetime(2026, 1, 1, tzinfo=UTC)
GIVEN: dict[str, Any] = {
    "strategy": "rsi_cross",
    "exchange": "binance",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "capital": "1000",
    "fee": "0.001",
}
GRID = {"rsi_period": [6, 10, 14], "oversold": [25, 30], "overbought": [65, 70]}


def stored(count: int = 2000) -> Candles:
    candles = synthetic(count)
    candle_store.save("binance", "BTC/USDT", "1h", candles, "a test", AT)
    return candles


def actor(user: User) -> Actor:
    return Actor("page", user)


def ticking(step: float = 0.25, start: datetime = AT) -> Callable[[], datetime]:
    """A clock that goes on by so many seconds whenever it is looked at."""
    now = [start]

    def clock() -> datetime:
        now[0] += timedelta(seconds=step)
        return now[0]

    return clock
