"""How much of a result was the order of its trades, and how much their luck: seeded resampling."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from strategies.core.signals import Floats

PERCENTILES: Final = (5, 25, 50, 75, 95)
#: Trades × runs held at a time.
TOGETHER: Final = 2_000_000


@dataclass(frozen=True, slots=True)
class MonteCarlo:
    """Percentiles of ``runs`` resamplings, in percent, all in from trade to trade.

    ``shuffled_drawdown_pct``: the same trades in another order (the return does not depend on it). ``drawn_return_pct``
    and ``drawn_drawdown_pct``: as many trades drawn with replacement. Drawdowns are over trades' ends, not candles.
    """

    runs: int
    seed: int
    trades: int
    shuffled_drawdown_pct: dict[int, float]
    drawn_return_pct: dict[int, float]
    drawn_drawdown_pct: dict[int, float]
    probability_of_loss: float


def monte_carlo(trade_returns_pct: Floats, runs: int = 1000, seed: int = 1) -> MonteCarlo | None:
    """None without trades. Equal arguments, equal answer."""
    count = len(trade_returns_pct)
    if not count:
        return None
    growth = np.maximum(1 + trade_returns_pct / 100, 0.0)
    random = np.random.default_rng(seed)
    shuffled, drawn, finals = [], [], []
    step = max(1, TOGETHER // count)
    for start in range(0, runs, step):
        rows = min(step, runs - start)
        shuffled.append(_drawdowns(random.permuted(np.tile(growth, (rows, 1)), axis=1)))
        picked = growth[random.integers(0, count, (rows, count))]
        drawn.append(_drawdowns(picked))
        finals.append(100 * (np.prod(picked, axis=1) - 1))
    returns = np.concatenate(finals)
    return MonteCarlo(
        runs,
        seed,
        count,
        _percentiles(np.concatenate(shuffled)),
        _percentiles(returns),
        _percentiles(np.concatenate(drawn)),
        float((returns < 0).mean()),
    )


def _drawdowns(growth: Floats) -> Floats:
    equity = np.cumprod(growth, axis=1)
    peaks = np.maximum(np.maximum.accumulate(equity, axis=1), 1.0)
    deepest: Floats = 100 * (1 - equity / peaks).max(axis=1)
    return deepest


def _percentiles(values: Floats) -> dict[int, float]:
    return dict(zip(PERCENTILES, np.percentile(values, PERCENTILES).tolist(), strict=True))
