"""Bollinger breakout: buys a close over the upper band out of a squeeze, sells back under the middle."""

import numpy as np

from exchanges.core.candles import Candles
from strategies.core.crossing import crosses_down, gap, known, ratio, rounded
from strategies.core.indicators import bollinger, donchian_high, donchian_low
from strategies.core.parameters import Parameter
from strategies.core.rolling import Flags, Floats
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import awaited, crossed, price


@StrategyRegistry.register
class BollingerBreakoutStrategy(BaseStrategy):
    """Confidence: how far the close is beyond the band, as a share of half the bands' width:
    (close − upper)/(upper − middle) for a BUY, (middle − close)/(middle − lower) for a SELL."""

    name = "bollinger_breakout"
    description = (
        "Waits until the Bollinger bands are unusually narrow (a squeeze), buys when the close then breaks out over "
        "the upper band, and sells when it falls back under the middle: a bet that calm is followed by movement."
    )
    formula = (
        "middle = mean of the last period closes; lower, upper = middle ∓ stddev · population standard deviation; "
        "width = 100 · (upper − lower)/middle. Squeeze: width[i−1] is within the lowest squeeze_pct percent of its "
        "range over squeeze_period candles. BUY: squeeze and close[i−1] ≤ upper[i−1] and close[i] > upper[i]. "
        "SELL: close[i−1] > middle[i−1] and close[i] ≤ middle[i]."
    )
    does_badly_when = (
        "Breakouts fail: in a quiet market many closes just over the band are noise, and the exit at the middle "
        "comes only after a loss. It never buys a trend that began without a squeeze."
    )
    parameters = (
        Parameter("period", "int", 20, 2, 500, help="Closes in the mean and the deviation."),
        Parameter(
            "stddev",
            "float",
            2.0,
            0.1,
            10,
            help="Deviations from the mean to a band; no close can be beyond √(period − 1) of them.",
        ),
        Parameter("squeeze_period", "int", 120, 2, 1000, help="Candles whose widths the present one is compared with."),
        Parameter(
            "squeeze_pct", "float", 25.0, 0, 100, help="How low in their range the width must be; 100: anywhere."
        ),
    )

    period: int
    stddev: float
    squeeze_period: int
    squeeze_pct: float

    @property
    def minimum(self) -> int:
        return self.period + self.squeeze_period

    @property
    def warmup(self) -> int:
        return self.minimum

    def _squeezed(self, width: Floats) -> Flags:
        """Whether the candle before this one was in a squeeze."""
        narrowest = donchian_low(width, self.squeeze_period, include_current=True)
        widest = donchian_high(width, self.squeeze_period, include_current=True)
        limit = narrowest + (widest - narrowest) * (self.squeeze_pct / 100)
        flags = np.zeros(len(width), dtype=np.bool_)
        np.less_equal(width[:-1], rounded(limit[:-1]), out=flags[1:])
        return flags

    def signals(self, candles: Candles) -> Signals:
        close = candles.close
        lower, middle, upper = bollinger(close, self.period, self.stddev)
        width = rounded(100 * (upper - lower) / middle)
        over = gap(close, upper, close)
        ready = np.arange(len(close)) + 1 >= self.minimum
        entry = self._squeezed(width) & ready
        entry[1:] &= (over[:-1] <= 0) & (over[1:] > 0)
        exit_ = crosses_down(gap(close, middle, close), 0.0) & ready
        confidence = confidences(
            entry,
            exit_,
            lambda at: ratio(over[at], upper[at] - middle[at]),
            lambda at: ratio(middle[at] - close[at], middle[at] - lower[at]),
        )
        columns = {"lower": lower, "middle": middle, "upper": upper, "width": width, "close": close}
        return Signals(
            entry, exit_, ready & known(lower), confidence, {name: rounded(part) for name, part in columns.items()}
        )

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        columns = signals.indicators
        before, now = price(columns["close"][index - 1]), price(columns["close"][index])
        middle, upper = price(columns["middle"][index]), price(columns["upper"][index])
        if holding and signals.exit[index]:
            return crossed("The close", before, now, f"the middle band ({middle})", upwards=False)
        if holding:
            state = f"The close is {now} and the middle band {middle}."
            return awaited(state, "sell", "the close", "the band", upwards=False)
        width = f"{columns['width'][index - 1]:.2f} %"
        if signals.entry[index]:
            return crossed("The close", before, now, f"the upper band ({upper})", upwards=True)[:-1] + (
                f" out of a squeeze (width {width})."
            )
        return (
            f"The close is {now}, the upper band {upper}, the bands' width on the candle before {width}. To buy, the "
            f"close must rise over the band while the width is in the lowest {self.squeeze_pct:g} % of its range over "
            f"{self.squeeze_period} candles."
        )
