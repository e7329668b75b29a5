"""EMA cross: buys when the fast exponential mean crosses over the slow one, sells when it crosses under."""

from collections.abc import Mapping
from typing import Any

from exchanges.core.candles import Candles
from strategies.core.crossing import crosses_down, crosses_up, gap, known_twice, rounded
from strategies.core.indicators import ema, ema_warmup
from strategies.core.parameters import Parameter
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import awaited, crossed, price


@StrategyRegistry.register
class EMACrossStrategy(BaseStrategy):
    """Confidence: the distance between the two means in percent of the slow one, 1 % or more being 1.0:
    100 · |fast − slow| / slow."""

    name = "ema_cross"
    description = (
        "Buys when a fast exponential moving average of the close crosses over a slow one, and sells when it crosses "
        "back under: follows trends, late but without guessing."
    )
    formula = (
        "EMA[i] = EMA[i−1] + α · (close[i] − EMA[i−1]), α = 2/(period + 1), begun with the simple mean. "
        "BUY: fast[i−1] < slow[i−1] and fast[i] ≥ slow[i]. SELL: fast[i−1] > slow[i−1] and fast[i] ≤ slow[i]."
    )
    does_badly_when = (
        "The market goes sideways: the means cross back and forth and each crossing costs two fees. "
        "After a sharp turn it gives back much of the gain before the slow mean follows."
    )
    parameters = (
        Parameter("fast_period", "int", 20, 2, 199, help="Candles of the fast mean; fewer than the slow one's."),
        Parameter("slow_period", "int", 50, 3, 200, help="Candles of the slow mean."),
    )

    fast_period: int
    slow_period: int

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        fast, slow = values["fast_period"], values["slow_period"]
        return {} if fast < slow else {"fast_period": f"Expected less than slow_period ({slow}), was {fast}."}

    @property
    def minimum(self) -> int:
        return self.slow_period + 1

    @property
    def warmup(self) -> int:
        return ema_warmup(self.slow_period) + 1

    def signals(self, candles: Candles) -> Signals:
        fast, slow = ema(candles.close, self.fast_period), ema(candles.close, self.slow_period)
        above = gap(fast, slow, candles.close)
        entry, exit_ = crosses_up(above, 0.0), crosses_down(above, 0.0)
        confidence = confidences(
            entry, exit_, lambda at: 100 * above[at] / slow[at], lambda at: -100 * above[at] / slow[at]
        )
        return Signals(entry, exit_, known_twice(above), confidence, {"fast": rounded(fast), "slow": rounded(slow)})

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        fasts, slow = signals.indicators["fast"], price(signals.indicators["slow"][index])
        what, line = f"EMA({self.fast_period})", f"EMA({self.slow_period})"
        if (signals.exit if holding else signals.entry)[index]:
            before, now = price(fasts[index - 1]), price(fasts[index])
            return crossed(what, before, now, f"{line} ({slow})", upwards=not holding)
        state = f"{what} is {price(fasts[index])} and {line} {slow}."
        return awaited(state, "sell" if holding else "buy", what, line, upwards=not holding)
