"""RSI cross: buys when the RSI rises out of the oversold zone, sells when it falls out of the overbought zone."""

from collections.abc import Mapping
from typing import Any

from exchanges.core.candles import Candles
from strategies.core.crossing import crosses_down, crosses_up, known_twice, rounded
from strategies.core.indicators import rsi_cutler, rsi_wilder, wilder_warmup
from strategies.core.parameters import Parameter
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import awaited, crossed, level


@StrategyRegistry.register
class RSICrossStrategy(BaseStrategy):
    """Confidence: how much of the way from the crossed threshold to the other one the RSI has gone,
    (RSI − oversold)/(overbought − oversold) for a BUY, (overbought − RSI)/(overbought − oversold) for a SELL."""

    name = "rsi_cross"
    description = (
        "Buys when the Relative Strength Index comes back up out of the oversold zone, and sells when it comes back "
        "down out of the overbought zone: a bet that a fall or a rise was overdone."
    )
    formula = (
        "RSI = 100 · gains / (gains + losses) over the last rsi_period changes of the close: their simple means "
        "(cutler) or Wilder's smoothed ones (wilder, as on charts). No gain and no loss: 50. "
        "BUY: RSI[i−1] < oversold and RSI[i] ≥ oversold. SELL: RSI[i−1] > overbought and RSI[i] ≤ overbought."
    )
    does_badly_when = (
        "The market trends: in a long fall it buys every pause on the way down and waits for an overbought reading "
        "that does not come; in a long rise it sells early. Cutler's form trades about three times as often as "
        "Wilder's, and pays that many more fees."
    )
    parameters = (
        Parameter("rsi_period", "int", 14, 2, 200, help="Changes of the close that the RSI looks at."),
        Parameter(
            "oversold", "float", 30.0, 0, 100, help="A BUY crosses this up.", aliases=("oversold_threshold",)
        ),
        Parameter(
            "overbought", "float", 70.0, 0, 100, help="A SELL crosses this down.", aliases=("overbought_threshold",)
        ),
        Parameter(
            "rsi_method", "choice", "cutler", choices=("cutler", "wilder"),
            help="cutler: simple means; wilder: smoothed, as charts and TA-Lib show it.",
        ),
    )  # fmt: skip

    rsi_period: int
    oversold: float
    overbought: float
    rsi_method: str

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        if values["oversold"] < values["overbought"]:
            return {}
        bound, was = level(values["overbought"]), level(values["oversold"])
        return {"oversold": f"Expected less than overbought ({bound}), was {was}."}

    @property
    def minimum(self) -> int:
        return self.rsi_period + 2

    @property
    def warmup(self) -> int:
        return self.minimum if self.rsi_method == "cutler" else wilder_warmup(self.rsi_period)

    def signals(self, candles: Candles) -> Signals:
        compute = rsi_cutler if self.rsi_method == "cutler" else rsi_wilder
        rsi = compute(candles.close, self.rsi_period)
        rounded(rsi, out=rsi)
        entry, exit_ = crosses_up(rsi, self.oversold), crosses_down(rsi, self.overbought)
        way = self.overbought - self.oversold
        confidence = confidences(
            entry, exit_, lambda at: (rsi[at] - self.oversold) / way, lambda at: (self.overbought - rsi[at]) / way
        )
        return Signals(entry, exit_, known_twice(rsi), confidence, {"rsi": rsi})

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        rsi = signals.indicators["rsi"]
        label = f"RSI({self.rsi_period}, {self.rsi_method.capitalize()})"
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        threshold = level(self.overbought if holding else self.oversold)
        if (signals.exit if holding else signals.entry)[index]:
            return crossed(label, f"{rsi[index - 1]:.2f}", f"{rsi[index]:.2f}", threshold, upwards=not holding)
        wish = "sell" if holding else "buy"
        return awaited(f"{label} is {rsi[index]:.2f}.", wish, "it", threshold, upwards=not holding)
