"""One sweep from its plan to its ranked table, in pieces that any worker can do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from bots.core.backtest.engine import Window, window
from bots.core.backtest.report import data_facts
from bots.core.backtest.request import Asked, BacktestRequest, asked_for
from bots.core.backtest.terms import ENGINE_VERSION, Terms, market_facts
from bots.core.performance import day_ends
from bots.core.sweep.evaluation import Bounds, Sets, evaluate, folds_of, sets_of, verify
from bots.core.sweep.plan import PREFIX, PROTECTIONS, SweepError, SweepPlan, parse_plan
from bots.core.sweep.ranking import WalkForward, caveats_of, deflated_sharpe, ranked, table, walked
from bots.core.sweep.scores import Scores
from exchanges.core.candles import Candles, from_ms, timeframe_ms
from exchanges.core.market import Market
from strategies.core.plan import Grid
from strategies.core.strategy import BaseStrategy


@dataclass(frozen=True, slots=True)
class Quest:
    """A checked sweep: what to try, and every set of it."""

    asked: Asked
    plan: SweepPlan
    sets: Sets

    @property
    def request(self) -> BacktestRequest:
        return self.asked.request

    @property
    def kind(self) -> type[BaseStrategy]:
        return type(self.asked.strategy)

    def slowest(self) -> BaseStrategy:
        """The set with the longest warm-up, which every set gets."""
        step = timeframe_ms(self.request.timeframe)
        return max((self.kind(**one.params) for one in self.sets.items), key=lambda one: one.warmup_on(step))

    def warmup(self) -> int:
        return self.slowest().warmup_on(timeframe_ms(self.request.timeframe))


def quest_of(given: Mapping[str, Any]) -> Quest:
    """From the API's fields; raises UnknownStrategy, RequestError and SweepError."""
    asked = asked_for(given)
    kind = type(asked.strategy)
    plan = parse_plan(given, kind)
    if isinstance(asked.strategy.plan, Grid) and (swept := [name for name in plan.grid if name.startswith(PREFIX)]):
        raise SweepError({f"grid.{name}": "Expected no such limit: a grid has a stop of its own." for name in swept})
    wrong = asked.request.limits.as_json().keys() - set(PROTECTIONS)
    if wrong:
        named = {f"limits.{name}": f"A sweep takes only {', '.join(PROTECTIONS)}." for name in wrong}
        raise SweepError(named)
    sets = sets_of(plan, kind, asked.request.params, asked.request.limits)
    if not sets.items:
        raise SweepError({"grid": "Expected at least one combination that the strategy allows."})
    return Quest(asked, plan, sets)


class Field:
    """The candles of a quest, where they begin to count, and the windows in which every set is scored."""

    def __init__(self, quest: Quest, candles: Candles, market: Market | None) -> None:
        request = quest.request
        self.quest, self.market = quest, market
        self.seen: Window = window(candles, quest.slowest(), request.timeframe, request.since, request.until)
        self.start = len(self.seen.read) - len(self.seen.candles)
        self.terms: Terms = request.terms(market)
        self.folds = folds_of(len(self.seen.candles), quest.plan)

    @cached_property
    def windows(self) -> list[Bounds]:
        """The whole, then training and test of every fold; in candles that were read."""
        bounds = [(0, len(self.seen.candles)), *(bounds for fold in self.folds for bounds in (fold.train, fold.test))]
        return [(first + self.start, end + self.start) for first, end in bounds]

    def evaluated(self, first: int, end: int, told: Callable[[], None]) -> list[Scores]:
        quest = self.quest
        return evaluate(
            quest.kind,
            quest.sets.items[first:end],
            self.seen.read,
            self.terms,
            self.windows,
            drawdown=quest.plan.needs_drawdown(),
            told=told,
        )


def concluded(field: Field, scores: Sequence[Scores]) -> dict[str, Any]:
    """The result of all sets: the ranked table, its first rows through the exact ledger, and what to doubt."""
    quest, plan, whole = field.quest, field.quest.plan, scores[0]
    order = ranked(whole, plan)
    walk = walked(field.folds, scores[1::2], scores[2::2], plan) if field.folds else None
    days = len(day_ends(field.seen.candles.opened_at))
    deflated = deflated_sharpe(whole, int(order[0]), days) if len(order) else None
    rows = table(quest.sets.items, whole, order)
    for row, index in zip(rows[: plan.top], order.tolist(), strict=False):
        verified = verify(quest.kind, quest.sets.items[index], field.seen.read, field.terms, field.start)
        row |= {"exact": asdict(verified.stats), "agrees": verified.agrees}
    return {
        "objective": plan.objective,
        "sets": len(quest.sets.items),
        "invalid_sets": quest.sets.invalid,
        "qualifying_sets": len(order),
        "rows": rows,
        "walk_forward": None if walk is None else _walk_document(walk, quest, field),
        "deflated_sharpe_probability": deflated,
        "caveats": [asdict(caveat) for caveat in caveats_of(whole, order, deflated, walk)],
        "data": asdict(data_facts(field.seen, quest.request.timeframe)),
        "market": market_facts(field.market),
        "engine": ENGINE_VERSION,
    }


def _walk_document(walk: WalkForward, quest: Quest, field: Field) -> dict[str, Any]:
    times = field.seen.candles.opened_at

    def span(bounds: Bounds) -> dict[str, Any]:
        return {"first": from_ms(int(times[bounds[0]])), "last": from_ms(int(times[bounds[1] - 1]))}

    return {
        "folds": [
            {
                "train": span(result.fold.train),
                "test": span(result.fold.test),
                "params": None if result.chosen is None else dict(quest.sets.items[result.chosen].varied),
                "in_sample": result.in_sample,
                "out_of_sample": result.out_of_sample,
                "out_of_sample_return_pct": result.out_of_sample_return_pct,
            }
            for result in walk.folds
        ],
        "in_sample": walk.in_sample,
        "out_of_sample": walk.out_of_sample,
        "decay": walk.decay,
        "return_pct": walk.return_pct,
    }
