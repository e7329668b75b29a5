"""Sweeps: every parameter set over every stretch of candles, in the float kernel."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from bots.core.backtest import engine
from bots.core.backtest.terms import Terms
from bots.core.limits import Limits, parse_limits
from bots.core.performance import Stats, measure
from bots.core.sweep import exact
from bots.core.sweep.events import Events, events_of
from bots.core.sweep.kernel import Kernel, Path
from bots.core.sweep.plan import PREFIX, ParameterSet, SweepError, SweepPlan
from bots.core.sweep.scores import TOGETHER, Scores, joined, scores
from exchanges.core.candles import Candles
from strategies.core.errors import ParameterError
from strategies.core.parameters import Value
from strategies.core.strategy import BaseStrategy

#: How far the kernel's return may be from the exact ledger's, relative to what is left of the capital.
AGREEMENT = 1e-6
Bounds = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Sets:
    """``invalid`` combinations are left out: the strategy's own rules exclude them."""

    items: tuple[ParameterSet, ...]
    invalid: int


@dataclass(frozen=True, slots=True)
class Fold:
    """One step of a walk-forward: chosen on ``train``, judged on ``test``; candles by index, ends excluded."""

    train: Bounds
    test: Bounds


def sets_of(plan: SweepPlan, kind: type[BaseStrategy], params: Mapping[str, Value], limits: Limits) -> Sets:
    """All combinations of the grid, or as many as were asked for at random (by the seed, none twice).

    What is dearest to change varies most slowly: limits, then choices, then parameters in their declared order.
    """
    names = _slowest_first(plan.grid, kind)
    items, invalid = [], 0
    for values in _combinations([plan.grid[name] for name in names], plan):
        varied = dict(zip(names, values, strict=True))
        changed = {name.removeprefix(PREFIX): value for name, value in varied.items() if name.startswith(PREFIX)}
        own = {name: value for name, value in varied.items() if not name.startswith(PREFIX)}
        try:
            complete = kind.validate({**params, **own})
        except ParameterError:
            invalid += 1
            continue
        own_limits = _with_own(kind, complete, params, limits)
        items.append(ParameterSet(complete, replace(own_limits, **changed) if changed else own_limits, varied))  # type: ignore[arg-type]
    return Sets(tuple(items), invalid)


def _with_own(
    kind: type[BaseStrategy], complete: Mapping[str, Value], params: Mapping[str, Value], limits: Limits
) -> Limits:
    """A strategy whose parameters name stops and targets brings each set's own; what the request says still holds."""
    if kind.protections is BaseStrategy.protections:
        return limits
    usual, own = kind(**params).protections, kind(**complete).protections
    asked = {name: value for name, value in limits.as_json().items() if value != usual.get(name)}
    return parse_limits({**own, **asked})


def _slowest_first(grid: Iterable[str], kind: type[BaseStrategy]) -> list[str]:
    declared = {parameter.name: (parameter.kind != "choice", at) for at, parameter in enumerate(kind.parameters)}
    return sorted(grid, key=lambda name: (not name.startswith(PREFIX), declared.get(name, (False, 0)), name))


def _combinations(columns: Sequence[Sequence[Value]], plan: SweepPlan) -> Iterator[tuple[Value, ...]]:
    sizes = [len(column) for column in columns]
    total = int(np.prod(sizes, dtype=object))
    if plan.samples is None or plan.samples >= total:
        return itertools.product(*columns)
    drawn = np.random.default_rng(plan.seed).choice(total, plan.samples, replace=False)
    return (_combination(number, columns, sizes) for number in sorted(drawn.tolist()))


def _combination(number: int, columns: Sequence[Sequence[Value]], sizes: Sequence[int]) -> tuple[Value, ...]:
    """The combination at that place of `itertools.product`."""
    picked = []
    for column, size in zip(reversed(columns), reversed(sizes), strict=True):
        number, at = divmod(number, size)
        picked.append(column[at])
    return tuple(reversed(picked))


def folds_of(count: int, plan: SweepPlan) -> list[Fold]:
    """Windows of equal length, each ``in_sample`` training and the rest test; the tests lie end to end.

    Raises SweepError where a part of one would hold no candle.
    """
    if not plan.folds:
        return []
    window = count / (plan.in_sample + plan.folds * (1 - plan.in_sample))
    train, test = window * plan.in_sample, window * (1 - plan.in_sample)
    edges = [round(train + test * number) for number in range(plan.folds + 1)]
    starts = [round(test * number) for number in range(plan.folds)]
    folds = [Fold((start, edge), (edge, after)) for start, edge, after in zip(starts, edges, edges[1:], strict=False)]
    if any(first >= end for fold in folds for first, end in (fold.train, fold.test)):
        raise SweepError({"walk_forward": f"Expected fewer folds or more candles, was {count:,} for {plan.folds}."})
    return folds


def evaluate(
    kind: type[BaseStrategy],
    sets: Sequence[ParameterSet],
    candles: Candles,
    terms: Terms,
    windows: Sequence[Bounds],
    *,
    drawdown: bool = False,
    told: Callable[[], None] = lambda: None,
) -> list[Scores]:
    """Per window the scores of all sets, in their order; ``told`` is called once per set.

    Signals are computed once, on all candles.
    """
    if sets and kind(**sets[0].params).plan is not None:
        return exact.evaluate(kind, sets, candles, terms, windows, told)
    parts: list[list[Scores]] = [[] for _ in windows]
    for limits, group in itertools.groupby(sets, key=lambda one: one.limits):
        kernels = [Kernel(candles[start:stop], replace(terms, limits=limits)) for start, stop in windows]
        events = _counted(events_of(kind, candles, (one.params for one in group)), told)
        while batch := list(itertools.islice(events, TOGETHER)):
            for part, kernel, window in zip(parts, kernels, windows, strict=True):
                paths = [_within(kernel, found, window) for found in batch]
                part.append(scores(kernel, paths, drawdown=drawdown))
    return [joined(part) for part in parts]


def _counted(events: Iterator[Events], told: Callable[[], None]) -> Iterator[Events]:
    for found in events:
        told()
        yield found


def _within(kernel: Kernel, events: Events, window: Bounds) -> Path:
    """The path in a window: only signals that can be filled inside it."""
    start, stop = window
    entries, exits = events
    if start or stop - 1 <= max(entries[-1:].max(initial=0), exits[-1:].max(initial=0)):
        entries, exits = (
            column[np.searchsorted(column, start) : np.searchsorted(column, stop - 1)] - start for column in events
        )
    return kernel.path(entries, exits)


@dataclass(frozen=True, slots=True)
class Verified:
    """One set through the exact ledger, and whether the kernel had made the same trades and the same return."""

    stats: Stats
    agrees: bool


def verify(kind: type[BaseStrategy], one: ParameterSet, candles: Candles, terms: Terms, start: int = 0) -> Verified:
    """On the candles from ``start`` on; those before are warm-up."""
    asked = replace(terms, limits=one.limits)
    signals = engine.signals_from(kind(**one.params).signals(candles), start)
    candles = candles[start:]
    outcome = engine.run(candles, signals, asked)
    stats = measure(outcome, candles, asked).stats
    if signals.plan is not None:
        # The table has come through the exact ledger, too.
        return Verified(stats, agrees=True)
    kernel = Kernel(candles, asked)
    path = kernel.path_of(signals)
    fills = [(trade.entry, trade.exit) for trade in outcome.trades]
    if outcome.open is not None:
        fills.append((outcome.open.entry, len(candles)))
    same = list(zip(path.entry.tolist(), path.exit.tolist(), strict=True)) == fills
    left = 1 + float(scores(kernel, [path]).return_pct[0]) / 100
    return Verified(stats, same and abs(left - (1 + stats.return_pct / 100)) <= AGREEMENT * max(left, 1.0))
