"""The recorded hour candles in which RSI crosses both ways, moved up so that they end with the present hour."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from exchanges.core.candles import Candles, from_ms, timeframe_ms
from exchanges.tests.loopback import LoopbackExchange
from exchanges.tests.loopback.__main__ import read_csv
from strategies.core.signals import Signals
from strategies.library.rsi_cross import RSICrossStrategy
from tradingbot.tests.places import DATA_DIR

RECORDED = DATA_DIR / "btcusdt_1h_binance_2024-01_2024-04.csv"
HOUR = timeframe_ms("1h")
#: 2024-01-17 11:00 to 2024-01-20 13:00 UTC: two crosses up, two down, with enough history before.
FIRST, LAST = 395, 469


@dataclass(frozen=True, slots=True)
class Stretch:
    """``ticks`` are the indices of the candles to tick on; a candle beyond the last one gives the last fill a price."""

    candles: Candles
    ticks: range

    def closes(self, index: int) -> datetime:
        return from_ms(int(self.candles.opened_at[index]) + HOUR)

    def crosses(self) -> list[tuple[str, datetime]]:
        """(side, close of the candle) of every signal that a run starting flat at the first tick acts on."""
        signals = self.signals()
        found: list[tuple[str, datetime]] = []
        for index in self.ticks:
            side = "sell" if len(found) % 2 else "buy"
            if (signals.exit if side == "sell" else signals.entry)[index]:
                found.append((side, self.closes(index)))
        return found

    def signals(self) -> Signals:
        return RSICrossStrategy().signals(self.candles)


def recorded() -> Stretch:
    """Without the recording a synthetic market stands in, which crosses both ways, too."""
    candles = read_csv(RECORDED)[FIRST - 60 : LAST + 2] if RECORDED.is_file() else waves()
    return Stretch(moved_to_now(candles), range(60, len(candles) - 1))


def waves(count: int = 121) -> Candles:
    """A price that swings around a slow rise, so that RSI goes from one end to the other and back."""
    steps = np.arange(count)
    price = np.round(42_000 + 8.0 * steps + 900 * np.sin(steps / 5.0) + 60 * np.sin(steps * 1.7), 2)
    opens = np.concatenate([[price[0]], price[:-1]])
    high, low = np.maximum(opens, price) + 10, np.minimum(opens, price) - 10
    return Candles(steps.astype(np.int64) * HOUR, opens, high, low, price, np.full(count, 12.5))


def moved_to_now(candles: Candles) -> Candles:
    """Whole hours later, so that the last candle is the one that is forming."""
    present = int(datetime.now(UTC).timestamp() * 1000) // HOUR * HOUR
    by = present - int(candles.opened_at[-1])
    return Candles(candles.opened_at + by, candles.open, candles.high, candles.low, candles.close, candles.volume)


def play(exchange: LoopbackExchange, stretch: Stretch) -> None:
    """Give the exchange the stretch's prices."""
    exchange.set_price("BTC/USDT", None)
    exchange.load_candles("BTC/USDT", "1h", stretch.candles)
