"""What a strategy would have done on candles at hand: of the demo market, or stored ones."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from exchanges import candle_store
from exchanges.core import demo
from exchanges.core.candles import Candles, timeframe_ms, to_ms
from strategies.core.preview import Preview, preview
from strategies.core.strategy import BaseStrategy

SHOWN = 240
#: A strategy that remembers longer than this is shown as its memory of this many candles has it.
MOST_WARMUP = 6_000
#: The demo market is a pure function of the time: a fixed moment can be kept, and at this one every strategy trades.
DEMO_UNTIL = datetime(2025, 12, 11, tzinfo=UTC)
DEMO_TIMEFRAMES = ("15m", "1h", "4h")
#: Candles are computed and kept by so many, for windows of nearly the same length.
BLOCK = 250


class UnknownSource(LookupError):
    """There are no such candles here; choose one of `sources`."""


@dataclass(frozen=True, slots=True)
class Source:
    exchange: str
    symbol: str
    timeframe: str

    @property
    def key(self) -> str:
        return f"{self.exchange} {self.symbol} {self.timeframe}"

    @property
    def synthetic(self) -> bool:
        return self.exchange == demo.NAME


FIRST = Source(demo.NAME, "BTC/USDT", "15m")


def sources() -> list[Source]:
    """The demo market's, then every market of which candles are stored."""
    made = [Source(demo.NAME, symbol, timeframe) for symbol in demo.INSTRUMENTS for timeframe in DEMO_TIMEFRAMES]
    stored = [Source(known.exchange, known.symbol, known.timeframe) for known in candle_store.datasets()]
    return list(dict.fromkeys((FIRST, *made, *stored)))


def source_of(key: str) -> Source:
    """By its key, the first one for an empty key; raises UnknownSource."""
    if not key:
        return FIRST
    try:
        return next(source for source in sources() if source.key == key)
    except StopIteration:
        raise UnknownSource(f"Expected candles that are here, was {key[:80]!r}.") from None


def preview_of(strategy: BaseStrategy, source: Source, shown: int = SHOWN) -> Preview:
    """The last ``shown`` candles of the source, with the strategy's warm-up before them."""
    warmup = min(strategy.warmup_on(timeframe_ms(source.timeframe)), MOST_WARMUP)
    return preview(strategy, _candles(source, warmup + shown), shown)


def _candles(source: Source, count: int) -> Candles:
    if source.synthetic and source.timeframe in DEMO_TIMEFRAMES:
        return _demo(source.symbol, source.timeframe, -(-count // BLOCK) * BLOCK)[-count:]
    known = candle_store.coverage(source.exchange, source.symbol, source.timeframe)
    if known is None:
        raise UnknownSource(f"No candles of {source.key} are stored any more.")
    # With gaps the same count reaches further back.
    reach = timedelta(milliseconds=timeframe_ms(source.timeframe)) * (count + known.missing)
    return candle_store.load(source.exchange, source.symbol, source.timeframe, known.last - reach)[-count:]


@lru_cache(maxsize=24)
def _demo(symbol: str, timeframe: str, count: int) -> Candles:
    return demo.candles(symbol, timeframe, to_ms(DEMO_UNTIL) - count * timeframe_ms(timeframe), count)
