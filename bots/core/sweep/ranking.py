"""Which of many parameter sets is best, and how much of that is luck."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from bots.core.performance import DAYS_A_YEAR
from bots.core.sweep.evaluation import Fold
from bots.core.sweep.plan import OBJECTIVES, ParameterSet, SweepPlan
from bots.core.sweep.scores import Scores

#: Euler and Mascheroni's constant.
GAMMA: Final = 0.5772156649015329
#: Below this probability the best Sharpe ratio may as well be the luck of having tried many.
CONVINCING: Final = 0.95
FEW_TRADES: Final = 30
WORTHLESS_SHARE: Final = 0.5
NORMAL: Final = NormalDist()
Order = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Caveat:
    """``code`` is stable; ``text`` is a plain sentence."""

    code: str
    text: str


@dataclass(frozen=True, slots=True)
class FoldResult:
    """What was chosen on the training candles, and what it then did on the next ones; None: no set qualified."""

    fold: Fold
    chosen: int | None
    in_sample: float | None
    out_of_sample: float | None
    out_of_sample_return_pct: float | None


@dataclass(frozen=True, slots=True)
class WalkForward:
    """``decay`` is the share of the objective that was lost out of sample; of one that is best when small, the share
    of its later value that was added. Returns chain over the folds."""

    folds: tuple[FoldResult, ...]
    in_sample: float | None
    out_of_sample: float | None
    decay: float | None
    return_pct: float | None


def ranked(scores: Scores, plan: SweepPlan) -> Order:
    """The sets that meet every constraint and have the objective, best first; ties in the sets' order."""
    values = getattr(scores, plan.objective)
    allowed = np.isfinite(values)
    for constraint in plan.constraints:
        allowed &= constraint.holds(getattr(scores, constraint.metric))
    kept = np.flatnonzero(allowed)
    order: Order = kept[np.argsort(-OBJECTIVES[plan.objective] * values[kept], kind="stable")]
    return order


def walked(folds: Sequence[Fold], trained: Sequence[Scores], tested: Sequence[Scores], plan: SweepPlan) -> WalkForward:
    results = tuple(_fold(fold, train, test, plan) for fold, train, test in zip(folds, trained, tested, strict=True))
    # Of the same folds on both sides: one without a later value says nothing of what was lost.
    judged = [one for one in results if one.out_of_sample is not None]
    inside, outside = _mean([one.in_sample for one in judged]), _mean([one.out_of_sample for one in judged])
    decay = None if inside is None or outside is None else _decay(inside, outside, OBJECTIVES[plan.objective])
    chained = math.prod(1 + (result.out_of_sample_return_pct or 0.0) / 100 for result in results)
    return WalkForward(results, inside, outside, decay, 100 * (chained - 1) if results else None)


def _decay(inside: float, outside: float, direction: int) -> float | None:
    better, worse = (inside, outside) if direction > 0 else (outside, inside)
    return 1 - worse / better if better > 0 else None


def _fold(fold: Fold, train: Scores, test: Scores, plan: SweepPlan) -> FoldResult:
    order = ranked(train, plan)
    if not len(order):
        return FoldResult(fold, None, None, None, None)
    best = int(order[0])
    outside = float(getattr(test, plan.objective)[best])
    return FoldResult(
        fold,
        best,
        float(getattr(train, plan.objective)[best]),
        outside if math.isfinite(outside) else None,
        float(test.return_pct[best]),
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def deflated_sharpe(scores: Scores, best: int, days: int) -> float | None:
    """The probability that the best set's Sharpe ratio is above what the best of so many worthless sets would show.

    Bailey and López de Prado, "The Deflated Sharpe Ratio" (2014). The sets are taken as independent, which they are
    not: the true figure is somewhat higher. None where it is undefined.
    """
    per_day = scores.sharpe_daily_365 / DAYS_A_YEAR**0.5
    tried = per_day[np.isfinite(per_day)]
    sharpe = float(per_day[best])
    skew, kurtosis = float(scores.skew_daily[best]), float(scores.kurtosis_daily[best])
    if len(tried) < 2 or days < 2 or not all(map(math.isfinite, (sharpe, skew, kurtosis))):
        return None
    expected = float(tried.std(ddof=1)) * expected_maximum(len(tried))
    variance = 1 - skew * sharpe + (kurtosis - 1) / 4 * sharpe**2
    if variance <= 0:
        return None
    return NORMAL.cdf((sharpe - expected) * math.sqrt(days - 1) / math.sqrt(variance))


def expected_maximum(count: int) -> float:
    """Of that many independent standard normal draws, approximately."""
    first, second = 1 - 1 / count, 1 - 1 / (count * math.e)
    return (1 - GAMMA) * NORMAL.inv_cdf(first) + GAMMA * NORMAL.inv_cdf(second)


def caveats_of(scores: Scores, order: Order, deflated: float | None, walk: WalkForward | None) -> list[Caveat]:
    """What a person should know before believing the first row."""
    if not len(order):
        return [Caveat("NOTHING_QUALIFIES", "No parameter set meets the constraints.")]
    found = []
    trades = int(scores.closed_trades[order[0]])
    if trades < FEW_TRADES:
        found.append(Caveat("FEW_TRADES", f"The best set made {trades} trades; fewer than {FEW_TRADES} prove little."))
    if deflated is not None and deflated < CONVINCING:
        text = f"The best of {len(scores):,} tries: a probability of {deflated:.0%} that its Sharpe ratio is not luck."
        found.append(Caveat("DEFLATED_SHARPE", text))
    if walk is not None and walk.in_sample is not None:
        found += _decay_warnings(walk)
    return found


def _decay_warnings(walk: WalkForward) -> list[Caveat]:
    if walk.out_of_sample is None or walk.decay is None or walk.decay <= WORTHLESS_SHARE:
        return []
    text = (
        f"What was best in the past was not afterwards: {walk.in_sample:.2f} in the samples it was chosen on, "
        f"{walk.out_of_sample:.2f} on the candles that followed."
    )
    return [Caveat("OUT_OF_SAMPLE_DECAY", text)]


def table(sets: Sequence[ParameterSet], scores: Scores, order: Order) -> list[dict[str, Any]]:
    """Ranked rows: the varied parameters and the figures."""
    return [
        {"rank": rank, "params": dict(sets[index].varied), "stats": scores.row(index)}
        for rank, index in enumerate(order.tolist(), 1)
    ]
