"""Grid: rests a buy at every line under the price, and a sell one line higher for whatever was bought."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

import numpy as np

from exchanges.core.candles import Candles
from strategies.core.crossing import rounded
from strategies.core.parameters import Parameter
from strategies.core.plan import Grid
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.core.wording import level, price

HUNDRED = Decimal(100)


def lines_between(lower: Decimal, upper: Decimal, count: int, spacing: str) -> tuple[Decimal, ...]:
    """``count`` prices from the lower to the upper bound, at equal distances or equal ratios."""
    if spacing == "arithmetic":
        return tuple(lower + (upper - lower) * number / (count - 1) for number in range(count))
    ratio = upper / lower
    inner = (lower * ratio ** (Decimal(number) / (count - 1)) for number in range(1, count - 1))
    return (lower, *inner, upper)


@StrategyRegistry.register
class GridStrategy(BaseStrategy):
    """Confidence: for an entry how near the close is to the middle of the range,
    1 − |close − middle| / ((upper − lower)/2); for the stop 1.0."""

    name = "grid"
    description = (
        "A grid of limit orders between two prices: a buy rests at every line under the price, and what was bought at "
        "a line is offered at the next line up, again and again. It earns on a market that goes back and forth."
    )
    formula = (
        "Lines: levels prices from lower to upper, arithmetic (equal distances) or geometric (equal ratios). Each pair "
        "of neighbors has capital/(levels − 1). On every closed candle: BUY, resting, at each line under the price "
        "that holds nothing; SELL, resting, at the next line up for each line that does. Stop, with stop_pct > 0: "
        "close ≤ lower · (1 − stop_pct/100) cancels every order and sells everything."
    )
    does_badly_when = (
        "The price leaves the range: under it every line is bought and the loss is as long as the fall; over it all "
        "is sold and the rise goes without you. Lines closer together than the fees lose on every round trip."
    )
    parameters = (
        Parameter("lower", "decimal", None, Decimal("1e-12"), Decimal("1e12"), help="The lowest line, in quote."),
        Parameter("upper", "decimal", None, Decimal("1e-12"), Decimal("1e12"), help="The highest line, in quote."),
        Parameter("levels", "int", 10, 2, 100, help="How many lines, both bounds among them."),
        Parameter(
            "spacing", "choice", "geometric", choices=("geometric", "arithmetic"),
            help="geometric: equal ratios, each round trip earns the same percent; arithmetic: equal distances.",
        ),
        Parameter(
            "stop_pct", "decimal", Decimal("0"), Decimal(0), Decimal(99),
            help="Percent under the lowest line at which a close sells everything; 0: never.",
        ),
    )  # fmt: skip

    example = MappingProxyType({"lower": Decimal(60_000), "upper": Decimal(70_000)})

    lower: Decimal
    upper: Decimal
    levels: int
    spacing: str
    stop_pct: Decimal

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Mapping[str, str]:
        lower, upper = values["lower"], values["upper"]
        return {} if lower < upper else {"upper": f"Expected more than lower ({lower}), was {upper}."}

    @property
    def warmup(self) -> int:
        return 1

    @property
    def plan(self) -> Grid:
        return Grid(lines_between(self.lower, self.upper, self.levels, self.spacing))

    @property
    def stop(self) -> float:
        """The close at which everything is sold; below any price where there is no stop."""
        return float(self.lower * (1 - self.stop_pct / HUNDRED)) if self.stop_pct else -np.inf

    def signals(self, candles: Candles) -> Signals:
        close, lower, upper = candles.close, float(self.lower), float(self.upper)
        entry, exit_ = (close >= lower) & (close <= upper), close <= self.stop
        middle, half = (lower + upper) / 2, (upper - lower) / 2
        confidence = confidences(
            entry, exit_, lambda at: 1 - np.abs(close[at] - middle) / half, lambda at: np.ones(len(at))
        )
        ready = np.ones(len(close), np.bool_)
        return Signals(entry, exit_, ready, confidence, {"close": rounded(close)}, plan=self.plan)

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        close = signals.indicators["close"][index]
        lower, upper = level(float(self.lower)), level(float(self.upper))
        if holding and signals.exit[index]:
            return f"The close {price(close)} is at or under the stop, {price(self.stop)}."
        where = "inside" if signals.entry[index] else "over" if close > float(self.upper) else "under"
        return f"The close {price(close)} is {where} the range from {lower} to {upper}."
