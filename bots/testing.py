"""A cast and a stage for tests of runs: users, strategies, and a recorded market that plays at any instant."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar

import numpy as np

from accounts.audit import CONSOLE
from accounts.models import User
from bots import lifecycle
from bots.models import BotRun
from exchanges import connect, market_data
from exchanges.adapters.replay import ReplaySource
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.errors import Unavailable
from exchanges.core.market import Market
from exchanges.core.port import MarketSource
from strategies import operations as strategies
from strategies.core.signals import Signals
from strategies.core.strategy import BaseStrategy, StrategyRegistry

START = datetime(2024, 1, 15, tzinfo=UTC)
MARKET = Market(
    "BTC/USDT", "BTC", "USDT", Decimal("0.00001"), Decimal("0.01"), Decimal("0.00001"), Decimal(9000), Decimal(5)
)


class ScriptedStrategy(BaseStrategy):
    """Does what the candles' volumes say: 1 enter, 2 leave, 3 both, anything else nothing."""

    name = "scripted"
    description = "For tests: the volume column is the script."
    parameters = ()
    warmup_candles: ClassVar[int] = 1

    @property
    def warmup(self) -> int:
        return self.warmup_candles

    def signals(self, candles: Candles) -> Signals:
        volume = candles.volume
        entry, leave = (volume == 1) | (volume == 3), (volume == 2) | (volume == 3)
        ready = volume >= 0
        return Signals(entry, leave, ready, np.where(entry | leave, 0.5, 0.0), {"volume": volume.copy()})

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        return f"The script says {signals.indicators['volume'][index]:.0f}."


def scripted_candles(
    script: Sequence[float], prices: Sequence[float] | None = None, *, timeframe: str = "1m", start: datetime = START
) -> Candles:
    """One candle per entry of the script, flat at its price (100 unless given)."""
    count, step = len(script), timeframe_ms(timeframe)
    price = np.array(prices if prices is not None else [100.0] * count, dtype=np.float64)
    times = to_ms(start) + step * np.arange(count, dtype=np.int64)
    return Candles(times, price.copy(), price.copy(), price.copy(), price.copy(), np.array(script, dtype=np.float64))


class Stage:
    """A recorded market behind the name ``demo``; ``down`` makes it unreachable."""

    def __init__(self, candles: Candles, market: Market = MARKET, timeframe: str = "1m") -> None:
        self.candles = candles
        self.market = market
        self.timeframe = timeframe
        self.down = False
        self.asked = 0

    def open_public(self, exchange: str, at: datetime) -> MarketSource:
        self.asked += 1
        if self.down:
            raise Unavailable("The exchange does not answer.")
        return ReplaySource(exchange, self.market, self.candles, self.timeframe, at)

    def closed_candles(self, exchange: str, symbol: str, timeframe: str, count: int, at: datetime) -> Candles:
        source = self.open_public(exchange, at)
        first = at - timedelta(milliseconds=timeframe_ms(timeframe) * (count + 1000))
        return source.fetch_candles(symbol, timeframe, first, len(self.candles)).closed(at, timeframe)[-count:]

    def closes(self, index: int) -> datetime:
        """The instant at which a candle of the recording closes."""
        return from_ms(int(self.candles.opened_at[index]) + timeframe_ms(self.timeframe))


@contextmanager
def staged(stage: Stage, patch: Callable[[Any, str, Any], None]) -> Iterator[Stage]:
    """Put the stage behind every door to market data; ``patch`` is pytest's monkeypatch.setattr."""
    patch(connect, "open_public", stage.open_public)
    patch(market_data, "closed_candles", stage.closed_candles)
    patch(market_data, "_listings", {})
    yield stage


def make_user(email: str = "alice@example.com") -> User:
    return User.objects.create_user(email)


def learn_strategies() -> None:
    """Every shipped strategy, and the scripted one."""
    if "scripted" not in StrategyRegistry.list_all():
        StrategyRegistry.register(ScriptedStrategy)
    strategies.sync(START, CONSOLE)


def start_run(user: User, **wanted: Any) -> BotRun:
    """A paper run of the scripted strategy with 1,000 USDT, unless told otherwise."""
    plain: dict[str, Any] = {
        "strategy": "scripted",
        "symbol": "BTC/USDT",
        "timeframe": "1m",
        "exchange": "demo",
        "capital": Decimal(1000),
    }
    return lifecycle.start(lifecycle.StartRequest(user=user, **{**plain, **wanted}), START, CONSOLE)
