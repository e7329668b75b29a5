"""Mean reversion: buys when the close returns into the Bollinger bands from below, sells at the middle."""

from exchanges.core.candles import Candles
from strategies.core.crossing import crosses_up, gap, known_twice, ratio, rounded
from strategies.core.indicators import bollinger
from strategies.core.parameters import Parameter
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import awaited, crossed, price


@StrategyRegistry.register
class MeanReversionStrategy(BaseStrategy):
    """Confidence: for a BUY the share of the way from the lower band to the middle that the close has gone,
    (close − lower)/(middle − lower); for a SELL from the middle to the upper band,
    (close − middle)/(upper − middle). Where both hold on one candle, the larger."""

    name = "mean_reversion"
    description = (
        "Buys when the close, having fallen out of the Bollinger bands, comes back over the lower one, and sells when "
        "it comes back over the middle: a bet that prices return to their mean."
    )
    formula = (
        "middle = mean of the last period closes; lower, upper = middle ∓ stddev · population standard deviation. "
        "BUY: close[i−1] < lower[i−1] and close[i] ≥ lower[i]. SELL: close[i−1] < middle[i−1] and close[i] ≥ middle[i]."
    )
    does_badly_when = (
        "A trend sets in: it buys every bounce of a long fall and sells at a mean that is itself falling. "
        "Gains are cut at the middle while losses are not cut at all, so set a stop."
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
    )

    period: int
    stddev: float

    @property
    def minimum(self) -> int:
        return self.period + 1

    @property
    def warmup(self) -> int:
        return self.minimum

    def signals(self, candles: Candles) -> Signals:
        close = candles.close
        lower, middle, upper = bollinger(close, self.period, self.stddev)
        entry = crosses_up(gap(close, lower, close), 0.0)
        exit_ = crosses_up(gap(close, middle, close), 0.0)
        confidence = confidences(
            entry,
            exit_,
            lambda at: ratio(close[at] - lower[at], middle[at] - lower[at]),
            lambda at: ratio(close[at] - middle[at], upper[at] - middle[at]),
        )
        bands = {
            "lower": rounded(lower),
            "middle": rounded(middle),
            "upper": rounded(upper),
            "close": rounded(close),
        }
        return Signals(entry, exit_, known_twice(lower), confidence, bands)

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        closes, band = signals.indicators["close"], "middle" if holding else "lower"
        value = price(signals.indicators[band][index])
        if (signals.exit if holding else signals.entry)[index]:
            before, now = price(closes[index - 1]), price(closes[index])
            return crossed("The close", before, now, f"the {band} band ({value})", upwards=True)
        state = f"The close is {price(closes[index])} and the {band} band {value}."
        return awaited(state, "sell" if holding else "buy", "the close", "the band", upwards=True)
