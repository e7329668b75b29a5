"""Supertrend: buys when the trend line flips under the price, sells when it flips over it."""

import numpy as np

from exchanges.core.candles import Candles
from strategies.core.crossing import known_twice, ratio, rounded
from strategies.core.indicators import supertrend, wilder_warmup
from strategies.core.parameters import Parameter
from strategies.core.ratchet import MEMORY
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import level, price


@StrategyRegistry.register
class SupertrendStrategy(BaseStrategy):
    """Confidence: how far the close is beyond the line it broke, in percent of that line, 1 % or more being 1.0:
    100 · |close − broken line| / broken line."""

    name = "supertrend"
    description = (
        "Follows the price with a stop at some average true ranges, which only tightens. Buys when the close breaks "
        "the stop above it, and sells when it breaks the stop below it."
    )
    formula = (
        "upper, lower = (high + low)/2 ± factor · ATR(atr_period). The upper stop falls with the band until a close "
        "is over it, the lower stop rises with the band until a close is under it. BUY: the close rises over the "
        f"upper stop. SELL: the close falls under the lower stop. What is older than {MEMORY} to {2 * MEMORY} candles "
        "is forgotten."
    )
    does_badly_when = (
        "The market swings sideways by about the width of the stops: each swing is bought near its top and sold near "
        "its bottom. After a steep rise the stop is far away, and much of the gain is given back."
    )
    parameters = (
        Parameter("atr_period", "int", 10, 2, 200, help="Candles in the average true range."),
        Parameter("factor", "float", 3.0, 0.1, 20, help="Average true ranges from the middle to a stop."),
    )
    closes_suffice = False

    atr_period: int
    factor: float

    @property
    def minimum(self) -> int:
        return self.atr_period + 2

    @property
    def warmup(self) -> int:
        return 2 * MEMORY + wilder_warmup(self.atr_period)

    def signals(self, candles: Candles) -> Signals:
        close = candles.close
        line, rising, flipped = supertrend(
            candles.opened_at, (candles.high, candles.low, close), self.atr_period, self.factor
        )
        entry, exit_ = flipped & rising, flipped & ~rising
        confidence = confidences(
            entry,
            exit_,
            lambda at: ratio(100 * (close[at] - line[at - 1]), line[at - 1]),
            lambda at: ratio(100 * (line[at - 1] - close[at]), line[at - 1]),
        )
        columns = {"supertrend": line, "direction": np.where(rising, 1.0, -1.0), "close": close}
        return Signals(
            entry, exit_, known_twice(line), confidence, {name: rounded(part) for name, part in columns.items()}
        )

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        columns = signals.indicators
        close, line = price(columns["close"][index]), price(columns["supertrend"][index])
        label = f"Supertrend({self.atr_period}, {level(self.factor)})"
        rising = columns["direction"][index] > 0
        if (signals.exit if holding else signals.entry)[index]:
            broken = price(columns["supertrend"][index - 1])
            return f"The close {close} broke {label} at {broken} {'upwards' if rising else 'downwards'}."
        state = f"The close is {close} and {label} {'rises below' if rising else 'falls above'} it at {line}."
        wish, side = ("sell", "under") if holding else ("buy", "over")
        if rising == holding:
            return f"{state} To {wish} the close must be {side} that."
        return f"{state} To {wish} it must first turn, and then the close must be {side} it."
