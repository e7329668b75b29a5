import math
from dataclasses import replace
from decimal import Decimal as D

import numpy as np
import pytest

from bots.core.backtest.terms import Terms
from bots.core.limits import Limits
from bots.core.sweep.evaluation import evaluate, folds_of, sets_of, verify
from bots.core.sweep.events import events_of
from bots.core.sweep.kernel import Kernel
from bots.core.sweep.plan import SweepError, SweepPlan, parse_plan
from bots.core.sweep.ranking import caveats_of, deflated_sharpe, expected_maximum, ranked, table, walked
from bots.core.sweep.scores import COLUMNS, Scores, scores
from bots.tests.core.candles_cast import PLAIN, terms
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import recorded, synthetic

GRID = {"rsi_period": {"min": 6, "max": 14, "step": 4}, "oversold": [25, 30], "overbought": [60, 65, 70]}


def rsi() -> type[BaseStrategy]:
    load_shipped()
    return StrategyRegistry.get("rsi_cross")


def plan(**given: object) -> SweepPlan:
    return parse_plan({"grid": GRID, **given}, rsi())


def columns(**given: list[float]) -> Scores:
    count = len(next(iter(given.values())))
    return Scores(*(np.array(given.get(name, [math.nan] * count), dtype=float) for name in COLUMNS))


def test_grid_is_every_combination_once_with_the_dearest_slowest():
    found = sets_of(plan(grid={**GRID, "limits.stop_loss_pct": [2, "5.5"]}), rsi(), {"rsi_method": "wilder"}, Limits())
    assert (len(found.items), found.invalid) == (36, 0)
    assert [one.limits.stop_loss_pct for one in found.items] == [D(2)] * 18 + [D("5.5")] * 18
    assert [one.params["rsi_period"] for one in found.items[:18]] == [6] * 6 + [10] * 6 + [14] * 6
    assert {one.params["rsi_method"] for one in found.items} == {"wilder"}
    assert len({tuple(one.varied.items()) for one in found.items}) == 36


def test_combinations_the_strategy_excludes_are_counted_out():
    found = sets_of(plan(grid={"oversold": [20, 50], "overbought": [40, 60]}), rsi(), {}, Limits())
    assert [one.varied for one in found.items] == [
        {"oversold": 20.0, "overbought": 40.0}, {"oversold": 20.0, "overbought": 60.0},
        {"oversold": 50.0, "overbought": 60.0},
    ]  # fmt: skip
    assert found.invalid == 1


def test_random_search_draws_distinct_sets_by_its_seed():
    drawn = [sets_of(plan(samples=7, seed=seed), rsi(), {}, Limits()).items for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({tuple(one.varied.items()) for one in drawn[0]}) == 7
    everything = sets_of(plan(), rsi(), {}, Limits()).items
    assert set(map(str, drawn[0])) < set(map(str, everything))
    assert sets_of(plan(samples=99), rsi(), {}, Limits()).items == everything


def test_decimal_steps_do_not_drift():
    found = parse_plan(
        {"grid": {"stddev": {"min": 0.1, "max": 0.5, "step": 0.1}}}, StrategyRegistry.get("mean_reversion")
    )
    assert found.grid == {"stddev": (0.1, 0.2, 0.3, 0.4, 0.5)}


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"grid": {}}, "grid"),
        ({"grid": []}, "grid"),
        ({"grid": {"nope": [1]}}, "grid.nope"),
        ({"grid": {"rsi_period": []}}, "grid.rsi_period"),
        ({"grid": {"rsi_period": [1]}}, "grid.rsi_period"),
        ({"grid": {"rsi_period": "14"}}, "grid.rsi_period"),
        ({"grid": {"rsi_period": {"min": 5, "max": 4, "step": 1}}}, "grid.rsi_period"),
        ({"grid": {"rsi_period": {"min": 5, "max": 9, "step": 0}}}, "grid.rsi_period"),
        ({"grid": {"rsi_period": {"min": 5, "max": 9}}}, "grid.rsi_period"),
        ({"grid": {"rsi_period": {"min": "x", "max": 9, "step": 1}}}, "grid.rsi_period"),
        ({"grid": {"oversold": {"min": 0, "max": 50, "step": "0.001"}}}, "grid.oversold"),
        ({"grid": {"oversold": [20], "oversold_threshold": [30]}}, "grid.oversold_threshold"),
        ({"grid": {"limits.stop_loss_pct": [0]}}, "grid.limits.stop_loss_pct"),
        ({"grid": {"limits.cooldown_seconds": [9]}}, "grid.limits.cooldown_seconds"),
        ({"grid": {"oversold": {"min": 0, "max": 50, "step": "0.01"}, "rsi_period": [3, 4, 5, 6, 7]}}, "grid"),
        ({"objective": "fame"}, "objective"),
        ({"constraints": {"fame": {"min": 1}}}, "constraints.fame"),
        ({"constraints": {"closed_trades": {"least": 1}}}, "constraints.closed_trades"),
        ({"constraints": {"closed_trades": {"min": None}}}, "constraints.closed_trades"),
        ({"constraints": {"closed_trades": {"min": "x"}}}, "constraints.closed_trades"),
        ({"constraints": {"return_pct": {"min": 10**400}}}, "constraints.return_pct"),
        ({"constraints": {"closed_trades": {"min": 5, "max": 2}}}, "constraints.closed_trades"),
        ({"constraints": 7}, "constraints"),
        ({"samples": 0}, "samples"),
        ({"samples": 1.5}, "samples"),
        ({"seed": -1}, "seed"),
        ({"walk_forward": {"folds": 0}}, "walk_forward"),
        ({"walk_forward": {"folds": 2, "in_sample": 0.99}}, "walk_forward.in_sample"),
        ({"walk_forward": {"folds": 2, "in_sample": 0}}, "walk_forward.in_sample"),
        ({"walk_forward": {"folds": math.inf}}, "walk_forward"),
        ({"walk_forward": {"n": 2}}, "walk_forward"),
        ({"top": 1000}, "top"),
    ],
)
def test_wrong_plan_is_refused_by_its_field(given, field):
    with pytest.raises(SweepError) as caught:
        plan(**given)
    assert caught.value.errors.keys() == {field}
    assert caught.value.errors[field].startswith("Expected ")


def test_plan_survives_its_json():
    made = plan(
        objective="return_pct", constraints={"closed_trades": {"min": 5}, "max_drawdown_pct": {"max": 40.5}},
        walk_forward={"folds": 3}, samples=9, seed=4, top=5,
    )  # fmt: skip
    assert parse_plan(made.as_json(), rsi()) == made
    assert made.needs_drawdown()


@pytest.mark.parametrize("method", ["cutler", "wilder"])
def test_shared_rsi_gives_the_strategy_s_own_signals(method):
    made = synthetic(3000)
    found = sets_of(plan(grid={**GRID, "rsi_period": [2, 14, 14, 30]}), rsi(), {"rsi_method": method}, Limits())
    shared = events_of(rsi(), made, (one.params for one in found.items))
    for one, (entries, exits) in zip(found.items, shared, strict=True):
        signals = rsi()(**one.params).signals(made)
        assert entries.tolist() == np.flatnonzero((signals.entry & signals.ready)[:-1]).tolist()
        assert exits.tolist() == np.flatnonzero((signals.exit & signals.ready)[:-1]).tolist()


def test_other_strategies_are_asked_one_by_one():
    load_shipped()
    made, kind = synthetic(500), StrategyRegistry.get("breakout")
    ((entries, _),) = events_of(kind, made, [kind.validate({"entry_period": 5})])
    assert entries.tolist() == np.flatnonzero(kind(5).signals(made).entry[:-1]).tolist()


def test_evaluation_scores_each_set_in_its_place_and_window():
    made, asked = synthetic(4000), terms()
    found = sets_of(plan(grid={**GRID, "limits.stop_loss_pct": [2, 5]}), rsi(), {}, Limits()).items
    told: list[bool] = []
    whole, late = evaluate(rsi(), found, made, asked, [(0, 4000), (1000, 2500)], told=lambda: told.append(True))
    assert len(told) == len(found) == len(whole)
    for at in (0, 17, 35):
        one = found[at]
        signals = rsi()(**one.params).signals(made)
        kernel = Kernel(made, replace(asked, limits=one.limits))
        assert figures(whole, at) == pytest.approx(figures(scores(kernel, [kernel.path_of(signals)]), 0), rel=1e-6)
        part = Kernel(made[1000:2500], replace(asked, limits=one.limits))
        entries, exits = (np.flatnonzero(flags[1000:2499]) for flags in (signals.entry, signals.exit))
        assert figures(late, at) == pytest.approx(figures(scores(part, [part.path(entries, exits)]), 0), rel=1e-6)


def figures(scored: Scores, at: int) -> list[float]:
    return [-1.0 if value is None else value for value in scored.row(at).values()]


@pytest.mark.parametrize("name", ["rsi_cross", "mean_reversion"])
def test_best_sets_are_equal_through_the_exact_ledger(name):
    load_shipped()
    made, kind = recorded("btcusdt_1h_binance_2020-01_2023-12.csv"), StrategyRegistry.get(name)
    grid = {"rsi_cross": GRID, "mean_reversion": {"period": [10, 20, 40], "limits.stop_loss_pct": [3, 8]}}[name]
    asked = Terms(D(1000), PLAIN)
    made_plan = parse_plan({"grid": grid, "objective": "return_pct"}, kind)
    found = sets_of(made_plan, kind, {}, Limits()).items
    (scored,) = evaluate(kind, found, made, asked, [(0, len(made))])
    order = ranked(scored, made_plan)[:20]
    assert len(order) > 5
    for index in order.tolist():
        verified = verify(kind, found[index], made, asked)
        assert verified.agrees
        assert verified.stats.return_pct == pytest.approx(scored.return_pct[index], abs=1e-3)
        assert verified.stats.closed_trades == scored.closed_trades[index]


def test_folds_test_end_to_end_and_train_before():
    folds = folds_of(1000, plan(walk_forward={"folds": 3, "in_sample": 0.6}))
    assert [fold.test for fold in folds] == [(333, 556), (556, 778), (778, 1000)]
    assert [fold.train for fold in folds] == [(0, 333), (222, 556), (444, 778)]
    assert folds_of(1000, plan()) == []


@pytest.mark.parametrize(("count", "folds"), [(1, 1), (3, 4), (20, 50)])
def test_walk_forward_over_too_few_candles_is_refused(count, folds):
    with pytest.raises(SweepError) as caught:
        folds_of(count, plan(walk_forward={"folds": folds}))
    assert caught.value.errors == {"walk_forward": f"Expected fewer folds or more candles, was {count} for {folds}."}


def test_ranking_leaves_out_what_does_not_qualify():
    scored = columns(
        return_pct=[5, 9, math.nan, 9, 7], closed_trades=[50, 50, 50, 10, 50], max_drawdown_pct=[9, 1, 1, 1, 5]
    )
    asked = plan(objective="return_pct", constraints={"closed_trades": {"min": 30}, "max_drawdown_pct": {"max": 8}})
    assert ranked(scored, asked).tolist() == [1, 4]
    assert ranked(scored, plan(objective="max_drawdown_pct")).tolist() == [1, 2, 3, 4, 0]
    rows = table(sets_of(plan(), rsi(), {}, Limits()).items, scored, ranked(scored, asked))
    assert [(row["rank"], row["stats"]["return_pct"]) for row in rows] == [(1, 9.0), (2, 7.0)]


def test_walk_forward_judges_on_what_was_not_seen():
    asked = plan(objective="return_pct", walk_forward={"folds": 2})
    folds = folds_of(100, asked)
    trained = [columns(return_pct=[10, 20]), columns(return_pct=[30, 5])]
    tested = [columns(return_pct=[50, -10]), columns(return_pct=[10, 50])]
    walk = walked(folds, trained, tested, asked)
    assert [(fold.chosen, fold.out_of_sample) for fold in walk.folds] == [(1, -10.0), (0, 10.0)]
    assert (walk.in_sample, walk.out_of_sample, walk.decay) == (25.0, 0.0, 1.0)
    assert walk.return_pct == pytest.approx(-1.0)
    silent = [columns(return_pct=[50, math.nan]), tested[1]]
    half = walked(folds, trained, silent, asked)
    assert (half.in_sample, half.out_of_sample, half.decay) == (30.0, 10.0, pytest.approx(2 / 3))
    nothing = walked(folds, [columns(return_pct=[math.nan])] * 2, tested, asked)
    assert (nothing.in_sample, nothing.decay, nothing.return_pct) == (None, None, 0.0)
    assert walked([], [], [], asked).return_pct is None


@pytest.mark.parametrize(
    ("outside", "decay", "codes"), [(40, 0.75, ["OUT_OF_SAMPLE_DECAY"]), (4, -1.5, []), (0, None, [])]
)
def test_drawdown_that_grows_out_of_sample_is_the_decay(outside, decay, codes):
    asked = plan(objective="max_drawdown_pct", walk_forward={"folds": 1})
    tested = columns(return_pct=[1], max_drawdown_pct=[outside])
    walk = walked(folds_of(100, asked), [columns(max_drawdown_pct=[10])], [tested], asked)
    assert walk.decay == decay
    assert [c.code for c in caveats_of(columns(closed_trades=[50]), np.array([0]), None, walk)] == codes


def test_expected_maximum_agrees_with_simulation():
    draws = np.random.default_rng(5).standard_normal((4000, 100)).max(axis=1).mean()
    assert expected_maximum(100) == pytest.approx(draws, abs=0.05)


def noise(sets: int, lift: float, days: int = 1000) -> Scores:
    daily = np.random.default_rng(11).normal(0, 0.01, (sets, days))
    daily[0] += lift
    sharpe = daily.mean(axis=1) / daily.std(axis=1, ddof=1) * math.sqrt(365)
    return columns(
        sharpe_daily_365=sharpe.tolist(),
        skew_daily=[0.0] * sets,
        kurtosis_daily=[3.0] * sets,
        closed_trades=[99] * sets,
    )


def test_deflated_sharpe_tells_luck_from_skill():
    lucky = noise(500, 0.0)
    best = int(np.nanargmax(lucky.sharpe_daily_365))
    assert deflated_sharpe(lucky, best, 1000) < 0.9
    assert deflated_sharpe(noise(500, 0.004), 0, 1000) > 0.99
    assert deflated_sharpe(noise(1, 0.0), 0, 1000) is None
    assert deflated_sharpe(columns(sharpe_daily_365=[math.nan, 1.0]), 0, 1000) is None


def test_deflated_sharpe_equals_the_published_example():
    # Bailey and López de Prado (2014), section "A numerical example": an annual Sharpe ratio of 2.5 over 1,250 days
    # of 250 a year, skew −3, kurtosis 10, the best of 100 tries with variance 1/2: probability 0.9004.
    best, variance, scale = 2.5, 0.5, math.sqrt(365 / 250)
    other = math.sqrt((99 * variance - best**2 + best**2 / 100) / 98)
    sharpe = [best, 0.0, *([other, -other] * 49)]
    scored = columns(
        sharpe_daily_365=[value * scale for value in sharpe], skew_daily=[-3.0] * 100, kurtosis_daily=[10.0] * 100
    )
    assert math.sqrt(variance / 250) * expected_maximum(100) == pytest.approx(0.1132, abs=1e-4)
    assert deflated_sharpe(scored, 0, 1250) == pytest.approx(0.9004, abs=5e-4)


def test_caveats_are_said():
    assert [c.code for c in caveats_of(columns(closed_trades=[1]), np.array([], dtype=int), None, None)] == [
        "NOTHING_QUALIFIES"
    ]
    asked = plan(objective="return_pct", walk_forward={"folds": 1})
    walk = walked(folds_of(100, asked), [columns(return_pct=[10])], [columns(return_pct=[1])], asked)
    codes = [c.code for c in caveats_of(columns(closed_trades=[5]), np.array([0]), 0.2, walk)]
    assert codes == ["FEW_TRADES", "DEFLATED_SHARPE", "OUT_OF_SAMPLE_DECAY"]
    assert caveats_of(columns(closed_trades=[50]), np.array([0]), 0.99, None) == []


def test_search_over_more_than_can_be_numbered_is_refused_even_with_samples():
    wide = {
        "rsi_period": {"min": 2, "max": 200, "step": 1},
        "oversold": list(range(1, 50)),
        "overbought": list(range(51, 100)),
    }
    wide["limits.stop_loss_pct"] = list(range(1, 50))
    with pytest.raises(SweepError) as caught:
        plan(grid=wide, samples=10)
    assert "combinations" in caught.value.errors["grid"]


def test_deflated_sharpe_of_an_impossible_variance_is_undefined():
    skewed = replace(noise(2, 0.0), skew_daily=np.array([1e9, 1e9]), sharpe_daily_365=np.array([40.0, 1.0]))
    assert deflated_sharpe(skewed, 0, 1000) is None
