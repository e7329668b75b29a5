"""Dollar-cost averaging: buys in equal stakes by the clock, cheaper each time, and takes a profit on the average."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np

from exchanges.core.candles import Candles, Millis
from strategies.core.crossing import gap, rounded
from strategies.core.indicators import DAY_MS, sma
from strategies.core.parameters import Parameter
from strategies.core.plan import Scaling
from strategies.core.rolling import Flags, Floats
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import level, price

HOUR_MS = 3_600_000
PERIODS = {
    "1h": HOUR_MS,
    "4h": 4 * HOUR_MS,
    "8h": 8 * HOUR_MS,
    "12h": 12 * HOUR_MS,
    "1d": DAY_MS,
    "1w": 7 * DAY_MS,
}
#: 1970-01-01 was a Thursday; weeks begin on Monday.
FIRST_MONDAY = 4 * DAY_MS


def begins(opened_at: Millis, every: str) -> Flags:
    """Whether a candle is the first of its period in UTC; False for the first of all, which nobody can tell of."""
    number = (opened_at - (FIRST_MONDAY if every == "1w" else 0)) // PERIODS[every]
    first: Flags = np.zeros(len(opened_at), np.bool_)
    first[1:] = number[1:] != number[:-1]
    return first


@StrategyRegistry.register
class DCAStrategy(BaseStrategy):
    """Confidence: 1.0 where only the clock decides; with mean_period how far the close is under the mean in percent
    of it, 1 % or more being 1.0: 100 · (mean − close)/mean."""

    name = "dca"
    description = (
        "Dollar-cost averaging: by the clock it buys one stake of the capital after another, each at a price that is "
        "lower than the last by some percent, and sells all of it at a profit over the average price that it paid."
    )
    formula = (
        "BUY: the candle is the first of its hour, day or week (every, UTC), close[i] < mean of the last mean_period "
        "closes where that is not 0, fewer than stakes are held, and the price ≤ last entry · (1 − drop_pct/100). "
        "Stake = capital/stakes. SELL: price ≥ average entry · (1 + take_profit_pct/100), or, with stop_loss_pct > 0, "
        "price ≤ average entry · (1 − stop_loss_pct/100)."
    )
    does_badly_when = (
        "A fall does not end: it goes on buying until every stake is spent and then sits on the loss, for years if "
        "need be; the many small profits before do not pay for it. In a steady rise it earns on one stake of many."
    )
    parameters = (
        Parameter("every", "choice", "1d", choices=tuple(PERIODS), help="At most one stake in so long, by UTC."),
        Parameter("stakes", "int", 10, 1, 100, help="Equal parts of the capital, one per entry."),
        Parameter(
            "drop_pct", "decimal", Decimal("1"), Decimal(0), Decimal(50),
            help="Percent under the last entry at which the next stake may be bought.",
        ),
        Parameter(
            "take_profit_pct", "decimal", Decimal("3"), Decimal("0.1"), Decimal(1000),
            help="Percent over the average entry at which all is sold.",
        ),
        Parameter(
            "stop_loss_pct", "decimal", Decimal("0"), Decimal(0), Decimal(99),
            help="Percent under the average entry at which all is sold; 0: never.",
        ),
        Parameter(
            "mean_period", "int", 0, 0, 500, help="Buys only under the mean of so many closes; 0: whatever the price."
        ),
    )  # fmt: skip
    closes_suffice = False

    every: str
    stakes: int
    drop_pct: Decimal
    take_profit_pct: Decimal
    stop_loss_pct: Decimal
    mean_period: int

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        return {"mean_period": "Expected 0 or at least 2, was 1."} if values["mean_period"] == 1 else {}

    @property
    def minimum(self) -> int:
        return max(self.mean_period, 2)

    @property
    def warmup(self) -> int:
        return self.minimum

    @property
    def plan(self) -> Scaling:
        return Scaling(self.stakes, self.drop_pct)

    @property
    def protections(self) -> Mapping[str, str]:
        stop = {"stop_loss_pct": format(self.stop_loss_pct, "f")} if self.stop_loss_pct else {}
        return {"take_profit_pct": format(self.take_profit_pct, "f"), **stop}

    def _mean(self, candles: Candles) -> Floats:
        return sma(candles.close, self.mean_period) if self.mean_period else np.full(len(candles), np.nan)

    def signals(self, candles: Candles) -> Signals:
        close, mean = candles.close, self._mean(candles)
        ready = np.arange(len(close)) + 1 >= self.minimum
        entry = begins(candles.opened_at, self.every) & ready
        if self.mean_period:
            entry &= gap(close, mean, close) < 0
        exit_ = np.zeros(len(close), np.bool_)
        confidence = confidences(entry, exit_, lambda at: self._strength(close[at], mean[at]), lambda at: close[at])
        shown = {"close": rounded(close), **({"mean": rounded(mean)} if self.mean_period else {})}
        return Signals(entry, exit_, ready, confidence, shown, plan=self.plan)

    def _strength(self, close: Floats, mean: Floats) -> Floats:
        return 100 * (mean - close) / mean if self.mean_period else np.ones(len(close))

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        close = price(signals.indicators["close"][index])
        if signals.entry[index]:
            return f"It is time for a stake ({self.every}) at {close}{self._under(signals, index)}."
        wish = f"To buy it must be the first of its {self.every}{self._under(signals, index, wished=True)}."
        target = f"All is sold {level(float(self.take_profit_pct))} % over the average entry. " if holding else ""
        return f"The close is {close}. {target}{wish}"

    def _under(self, signals: Signals, index: int, *, wished: bool = False) -> str:
        if not self.mean_period:
            return ""
        mean = f"the mean of {self.mean_period} closes ({price(signals.indicators['mean'][index])})"
        return f" and under {mean}" if wished else f", under {mean}"
