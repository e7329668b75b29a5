"""Sweeps of strategies that the float kernel does not know."""

from dataclasses import replace
from decimal import Decimal as D

import numpy as np
import pytest

from bots.core.backtest import engine
from bots.core.backtest.request import with_protections
from bots.core.limits import Limits
from bots.core.performance import measure
from bots.core.sweep.evaluation import evaluate, sets_of, verify
from bots.core.sweep.plan import parse_plan
from bots.tests.core.candles_cast import terms
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import synthetic

load_shipped()
DCA = StrategyRegistry.get("dca")
BASE = DCA.validate({"every": "4h", "take_profit_pct": "1"})
LIMITS = with_protections(DCA(**BASE), Limits())


def sets(grid, limits=LIMITS):
    return sets_of(parse_plan({"grid": grid}, DCA), DCA, BASE, limits).items


def test_every_set_is_scored_as_its_own_backtest():
    made, tried = synthetic(1_500), sets({"stakes": [1, 4], "take_profit_pct": ["1", "2.5"], "drop_pct": ["0.5"]})
    assert len(tried) == 4
    windows, told = [(0, 1_500), (300, 900)], []
    found = evaluate(DCA, tried, made, terms(), windows, told=lambda: told.append(1))
    assert len(told) == 4
    for scores, (start, stop) in zip(found, windows, strict=True):
        for index, one in enumerate(tried):
            asked = terms(take_profit_pct=one.limits.take_profit_pct)
            signals = DCA(**one.params).signals(made)
            part = made[start:stop]
            stats = measure(engine.run(part, cut(signals, start, stop), asked), part, asked).stats
            assert scores.return_pct[index] == pytest.approx(stats.return_pct, abs=1e-9)
            assert scores.closed_trades[index] == stats.closed_trades
            assert scores.max_drawdown_pct[index] == pytest.approx(stats.max_drawdown_pct)
            assert scores.exposure_pct[index] == pytest.approx(stats.exposure_pct)


def cut(signals, start, stop):
    names = ("entry", "exit", "ready", "confidence")
    return replace(signals, indicators={}, **{name: getattr(signals, name)[start:stop] for name in names})


def test_a_swept_target_of_the_strategy_is_the_sets_own():
    assert [one.limits.take_profit_pct for one in sets({"take_profit_pct": ["1", "2.5"]})] == [D("1"), D("2.5")]


def test_a_target_that_the_request_names_stands_over_the_strategys():
    asked = with_protections(DCA(**BASE), Limits(take_profit_pct=D(7)))
    assert [one.limits.take_profit_pct for one in sets({"take_profit_pct": ["1", "2.5"]}, asked)] == [D(7), D(7)]
    swept = sets({"limits.take_profit_pct": ["4"], "stakes": [2]})
    assert [one.limits.take_profit_pct for one in swept] == [D(4)]


def test_the_best_sets_agree_with_the_exact_ledger_they_came_through():
    (one,) = sets({"stakes": [3]})
    verified = verify(DCA, one, synthetic(4_000), terms())
    assert verified.agrees
    assert verified.stats.closed_trades > 0


def test_a_set_that_never_trades_has_no_ratios():
    never = {"every": "1w", "mean_period": 2}
    tried = sets_of(parse_plan({"grid": {"stakes": [2]}}, DCA), DCA, DCA.validate(never), LIMITS).items
    (scores,) = evaluate(DCA, tried, synthetic(20), terms(), [(0, 20)])
    assert scores.closed_trades[0] == 0
    assert np.isnan([scores.win_rate_pct[0], scores.sharpe_daily_365[0], scores.skew_daily[0]]).all()
