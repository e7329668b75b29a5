"""VWAP cross: buys when the close rises over the volume-weighted mean price, sells when it falls under it."""

from exchanges.core.candles import Candles
from strategies.core.crossing import crosses_down, crosses_up, gap, known_twice, rounded
from strategies.core.indicators import DAY_MS, typical_price, vwap_rolling, vwap_session_utc
from strategies.core.parameters import Parameter
from strategies.core.rolling import Floats
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import awaited, crossed, price

MINUTE_MS = 60_000


@StrategyRegistry.register
class VWAPCrossStrategy(BaseStrategy):
    """Confidence: the distance of the close from the VWAP in percent of the VWAP, 1 % or more being 1.0:
    100 · |close − vwap| / vwap."""

    name = "vwap_cross"
    description = (
        "Buys when the close crosses over the volume-weighted average price, and sells when it crosses under it: "
        "a bet that the market goes on to the side on which more than the average is being paid."
    )
    formula = (
        "VWAP = Σ(typical price · volume) / Σ(volume), typical price (high + low + close) / 3, over the candles since "
        "00:00 UTC (session_utc) or the last period candles (rolling). "
        "BUY: close[i−1] < vwap[i−1] and close[i] ≥ vwap[i]. SELL: close[i−1] > vwap[i−1] and close[i] ≤ vwap[i]."
    )
    does_badly_when = (
        "The price hangs around the average, as it does most of the time: every touch is a trade and every trade a "
        "fee. On hourly candles with a 0.1 % fee the fees alone consume the account."
    )
    parameters = (
        Parameter(
            "anchor", "choice", "session_utc", choices=("session_utc", "rolling"),
            help="Where the mean begins: at 00:00 UTC, or period candles ago.",
        ),
        Parameter("period", "int", 24, 1, 1440, help="Candles in the rolling mean; unused with session_utc."),
    )  # fmt: skip
    closes_suffice = False

    anchor: str
    period: int

    @property
    def minimum(self) -> int:
        return 2 if self.anchor == "session_utc" else self.period + 1

    @property
    def warmup(self) -> int:
        """With session_utc enough for one minute and slower; see `warmup_on` for seconds."""
        return self.warmup_on(MINUTE_MS)

    def warmup_on(self, timeframe_ms: int) -> int:
        # The candle before may close a whole day, whose mean the crossing is measured against.
        return max(DAY_MS // timeframe_ms, 1) + 1 if self.anchor == "session_utc" else self.minimum

    def _vwap(self, candles: Candles) -> Floats:
        typical = typical_price(candles.high, candles.low, candles.close)
        if self.anchor == "session_utc":
            return vwap_session_utc(candles.opened_at, typical, candles.volume)
        return vwap_rolling(typical, candles.volume, self.period)

    def signals(self, candles: Candles) -> Signals:
        close, vwap = candles.close, self._vwap(candles)
        above = gap(close, vwap, close)
        entry, exit_ = crosses_up(above, 0.0), crosses_down(above, 0.0)
        confidence = confidences(
            entry, exit_, lambda at: 100 * above[at] / vwap[at], lambda at: -100 * above[at] / vwap[at]
        )
        return Signals(entry, exit_, known_twice(vwap), confidence, {"vwap": rounded(vwap), "close": rounded(close)})

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        closes, vwap = signals.indicators["close"], price(signals.indicators["vwap"][index])
        if not signals.ready[index]:
            return self.warming_up(index + 1) if index + 1 < self.minimum else "No volume yet to weigh prices with."
        if (signals.exit if holding else signals.entry)[index]:
            before, now = price(closes[index - 1]), price(closes[index])
            return crossed("The close", before, now, f"the VWAP ({vwap})", upwards=not holding)
        state = f"The close is {price(closes[index])} and the VWAP {vwap}."
        return awaited(state, "sell" if holding else "buy", "the close", "the VWAP", upwards=not holding)
