"""Breakout: buys a close over the highest high of the candles before, sells one under their lowest low."""

from exchanges.core.candles import Candles
from strategies.core.crossing import known, ratio, rounded
from strategies.core.indicators import donchian_high, donchian_low
from strategies.core.parameters import Parameter
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import price


@StrategyRegistry.register
class BreakoutStrategy(BaseStrategy):
    """Confidence: how far the close is beyond the broken edge, as a share of the channel between the entry high and
    the exit low: (close − high)/(high − low) for a BUY, (low − close)/(high − low) for a SELL."""

    name = "breakout"
    description = (
        "Buys when the close exceeds every high of the last entry_period candles, and sells when it falls under every "
        "low of the last exit_period candles: a bet that a market which leaves its range goes on."
    )
    formula = (
        "BUY: close[i] > max(high[i−entry_period … i−1]). SELL: close[i] < min(low[i−exit_period … i−1]). "
        "The current candle is not part of either channel, and there is no signal before both are known."
    )
    does_badly_when = (
        "The market goes sideways: it buys the top of the range and sells the bottom, again and again. "
        "Few trades earn what the many small losses cost, so a year without a trend is a losing year."
    )
    parameters = (
        Parameter("entry_period", "int", 20, 1, 500, help="Candles whose highest high a BUY must exceed."),
        Parameter("exit_period", "int", 10, 1, 500, help="Candles whose lowest low a SELL must undercut."),
    )
    closes_suffice = False

    entry_period: int
    exit_period: int

    @property
    def minimum(self) -> int:
        return max(self.entry_period, self.exit_period) + 1

    @property
    def warmup(self) -> int:
        return self.minimum

    def signals(self, candles: Candles) -> Signals:
        close = candles.close
        high = donchian_high(candles.high, self.entry_period)
        low = donchian_low(candles.low, self.exit_period)
        ready = known(high, low)
        # No arithmetic on either side: these comparisons are exact as they stand.
        entry, exit_ = (close > high) & ready, (close < low) & ready
        confidence = confidences(
            entry,
            exit_,
            lambda at: ratio(close[at] - high[at], high[at] - low[at]),
            lambda at: ratio(low[at] - close[at], high[at] - low[at]),
        )
        return Signals(
            entry, exit_, ready, confidence, {"high": rounded(high), "low": rounded(low), "close": rounded(close)}
        )

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        columns = signals.indicators
        close, side = price(columns["close"][index]), "under" if holding else "over"
        extreme, period = ("lowest low", self.exit_period) if holding else ("highest high", self.entry_period)
        value = price(columns["low" if holding else "high"][index])
        edge = f"{side} the {extreme} of the {period} candles before ({value})"
        if (signals.exit if holding else signals.entry)[index]:
            return f"The close {close} is {edge}."
        return f"The close is {close}. To {'sell' if holding else 'buy'} it must be {edge}."
