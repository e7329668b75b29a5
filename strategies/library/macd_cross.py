"""MACD cross: buys when the MACD line crosses over its signal line, sells when it crosses under."""

from collections.abc import Mapping
from typing import Any

from exchanges.core.candles import Candles
from strategies.core.crossing import crosses_down, crosses_up, gap, known_twice, rounded
from strategies.core.indicators import ema_warmup, macd
from strategies.core.parameters import Parameter
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import awaited, crossed, price


@StrategyRegistry.register
class MACDCrossStrategy(BaseStrategy):
    """Confidence: the distance between the line and its signal in thousandths of the close, one or more being 1.0:
    1000 · |line − signal| / close."""

    name = "macd_cross"
    description = (
        "Buys when the distance between a fast and a slow moving average grows faster than it lately did (the MACD "
        "line crosses over its signal line), and sells when it shrinks: follows changes of pace."
    )
    formula = (
        "line = EMA(close, fast_period) − EMA(close, slow_period), signal = EMA(line, signal_period), each EMA begun "
        "with its own simple mean. BUY: line[i−1] < signal[i−1] and line[i] ≥ signal[i]. "
        "SELL: line[i−1] > signal[i−1] and line[i] ≤ signal[i]."
    )
    does_badly_when = (
        "The market goes sideways or the timeframe is short: the lines cross every few candles, and the fees "
        "outgrow the gains. In a steady rise it sells as soon as the rise no longer accelerates."
    )
    parameters = (
        Parameter("fast_period", "int", 12, 2, 199, help="Candles of the fast mean; fewer than the slow one's."),
        Parameter("slow_period", "int", 26, 3, 200, help="Candles of the slow mean."),
        Parameter("signal_period", "int", 9, 2, 100, help="Candles of the mean of the line."),
    )

    fast_period: int
    slow_period: int
    signal_period: int

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        fast, slow = values["fast_period"], values["slow_period"]
        return {} if fast < slow else {"fast_period": f"Expected less than slow_period ({slow}), was {fast}."}

    @property
    def minimum(self) -> int:
        return self.slow_period + self.signal_period

    @property
    def warmup(self) -> int:
        return ema_warmup(self.slow_period) + ema_warmup(self.signal_period)

    def signals(self, candles: Candles) -> Signals:
        close = candles.close
        line, signal, _ = macd(close, self.fast_period, self.slow_period, self.signal_period)
        above = gap(line, signal, close)
        entry, exit_ = crosses_up(above, 0.0), crosses_down(above, 0.0)
        confidence = confidences(
            entry, exit_, lambda at: 1000 * above[at] / close[at], lambda at: -1000 * above[at] / close[at]
        )
        columns = {"macd": rounded(line), "signal": rounded(signal), "histogram": rounded(above)}
        return Signals(entry, exit_, known_twice(above), confidence, columns)

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        lines, signal = signals.indicators["macd"], price(signals.indicators["signal"][index])
        what = f"MACD({self.fast_period}, {self.slow_period})"
        if (signals.exit if holding else signals.entry)[index]:
            before, now = price(lines[index - 1]), price(lines[index])
            return crossed(what, before, now, f"its signal line ({signal})", upwards=not holding)
        state = f"{what} is {price(lines[index])} and its signal line {signal}."
        return awaited(state, "sell" if holding else "buy", "it", "the signal line", upwards=not holding)
