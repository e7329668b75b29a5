"""Donchian turtle: buys a long-channel breakout, sells on a shorter channel or a fall of some N."""

import numpy as np

from exchanges.core.candles import Candles
from strategies.core.crossing import gap, known, ratio, rounded
from strategies.core.indicators import atr, donchian_high, donchian_low, wilder_warmup
from strategies.core.parameters import Parameter
from strategies.core.rolling import Floats
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import level, price


@StrategyRegistry.register
class DonchianTurtleStrategy(BaseStrategy):
    """Confidence: how far the close is beyond the broken edge in N, one N or more being 1.0:
    (close − high)/N for a BUY, (edge − close)/N for a SELL, where the edge is the higher of channel low and stop."""

    name = "donchian_turtle"
    description = (
        "The Turtles' second system, long only: buys a close over the highest high of eleven weeks, and sells on a "
        "close under the lowest low of four weeks, or some N (average true ranges) under the highest recent close."
    )
    formula = (
        "N = ATR(atr_period) by Wilder. BUY: close[i] > max(high[i−entry_period … i−1]). "
        "SELL: close[i] < min(low[i−exit_period … i−1]), or, with stop_n > 0, "
        "close[i] < max(close[i−exit_period … i−1]) − stop_n · N[i−1]."
    )
    does_badly_when = (
        "No long trend comes: most breakouts fail, and months of small losses precede the one trend that pays for "
        "them. Made for daily candles; on short timeframes the fees win."
    )
    parameters = (
        Parameter("entry_period", "int", 55, 2, 500, help="Candles whose highest high a BUY must exceed."),
        Parameter("exit_period", "int", 20, 2, 500, help="Candles whose lowest low a SELL must undercut."),
        Parameter("atr_period", "int", 20, 2, 200, help="Candles in N, the average true range."),
        Parameter("stop_n", "float", 3.0, 0, 20, help="N under the highest recent close to sell at; 0: no such exit."),
    )
    closes_suffice = False

    entry_period: int
    exit_period: int
    atr_period: int
    stop_n: float

    @property
    def minimum(self) -> int:
        return max(self.entry_period, self.exit_period, self.atr_period + 1) + 1

    @property
    def warmup(self) -> int:
        return max(self.minimum, wilder_warmup(self.atr_period) + 1)

    def _stop(self, candles: Candles, n: Floats) -> Floats:
        if not self.stop_n:
            return np.full(len(n), -np.inf)
        return donchian_high(candles.close, self.exit_period) - self.stop_n * n

    def signals(self, candles: Candles) -> Signals:
        close = candles.close
        n = np.full(len(close), np.nan)
        n[1:] = atr(candles.high, candles.low, close, self.atr_period)[:-1]
        high = donchian_high(candles.high, self.entry_period)
        low = donchian_low(candles.low, self.exit_period)
        stop = self._stop(candles, n)
        ready = known(high, low, n)
        entry = (close > high) & ready
        exit_ = ((close < low) | (gap(close, stop, close) < 0)) & ready
        edge = np.fmax(low, stop)
        confidence = confidences(
            entry,
            exit_,
            lambda at: ratio(close[at] - high[at], n[at]),
            lambda at: ratio(edge[at] - close[at], n[at]),
        )
        columns = {"high": high, "low": low, "stop": np.where(np.isinf(stop), np.nan, stop), "n": n, "close": close}
        return Signals(entry, exit_, ready, confidence, {name: rounded(part) for name, part in columns.items()})

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        columns = signals.indicators
        close = price(columns["close"][index])
        if not holding:
            edge = f"over the highest high of the {self.entry_period} candles before ({price(columns['high'][index])})"
            if signals.entry[index]:
                return f"The close {close} is {edge}."
            return f"The close is {close}. To buy it must be {edge}."
        edge = f"under the lowest low of the {self.exit_period} candles before ({price(columns['low'][index])})"
        if self.stop_n:
            stop = price(columns["stop"][index])
            edge += f" or under {stop}, which is {level(self.stop_n)} N below their highest close"
        if signals.exit[index]:
            return f"The close {close} is {edge}."
        return f"The close is {close}. To sell it must be {edge}."
