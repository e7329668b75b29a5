import math
from itertools import pairwise

import pytest

from bots.core.backtest.request import asked_for
from bots.core.backtest.study import checks_of, report_of
from bots.core.backtest.terms import market_facts, market_of
from bots.core.sweep.plan import SweepError
from bots.core.sweep.study import Field, concluded, quest_of
from bots.tests.core.cast import BTC
from strategies.library.registry import load_shipped
from strategies.tests.places import synthetic

GIVEN = {
    "strategy": "ema_cross",
    "exchange": "x",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "capital": "1000",
    "fee": "0.001",
}


@pytest.fixture(autouse=True)
def shipped() -> None:
    load_shipped()


def test_every_set_is_as_warm_as_the_slowest():
    name = next(p.name for p in asked_for(GIVEN).strategy.parameters if p.kind == "int")
    quest = quest_of({**GIVEN, "since": "2024-02-20T00:00:00Z", "grid": {name: [3, 5, 8]}})
    candles = synthetic(2000)
    field = Field(quest, candles, None)
    assert quest.warmup() == max(quest.kind(**one.params).warmup_on(3_600_000) for one in quest.sets.items)
    assert field.start == min(quest.warmup(), 50 * 24)
    assert field.windows == [(field.start, len(field.seen.read))]
    document = concluded(field, field.evaluated(0, 3, lambda: None))
    assert (document["sets"], document["walk_forward"]) == (3, None)
    assert all(row["agrees"] for row in document["rows"])
    assert document["data"]["candles"] == 2000 - 50 * 24


def test_walk_forward_tells_every_fold_s_stretches_and_choice():
    asked = {**GIVEN, "strategy": "rsi_cross", "grid": {"oversold": [20, 30]}, "walk_forward": {"folds": 3}}
    quest = quest_of({**asked, "min_trades": 0})
    field = Field(quest, synthetic(3000), None)
    walk = concluded(field, field.evaluated(0, 2, lambda: None))["walk_forward"]
    assert len(walk["folds"]) == 3
    for fold in walk["folds"]:
        assert fold["train"]["first"] < fold["train"]["last"] < fold["test"]["first"] < fold["test"]["last"]
        assert fold["params"] in ({"oversold": 20}, {"oversold": 30})
    tests = [fold["test"] for fold in walk["folds"]]
    assert all(one["last"] < other["first"] for one, other in pairwise(tests))
    chained = math.prod(1 + fold["out_of_sample_return_pct"] / 100 for fold in walk["folds"])
    assert walk["return_pct"] == pytest.approx(100 * (chained - 1))


def test_grid_without_any_allowed_set_is_refused():
    with pytest.raises(SweepError, match="at least one combination"):
        quest_of({**GIVEN, "strategy": "rsi_cross", "grid": {"oversold": [60], "overbought": [50]}})
    with pytest.raises(SweepError) as caught:
        quest_of({**GIVEN, "limits": {"cooldown_seconds": 5}, "grid": {"limits.stop_loss_pct": [5]}})
    assert caught.value.errors.keys() == {"limits.cooldown_seconds"}


def test_known_market_s_steps_shape_the_report():
    asked, candles = asked_for(GIVEN), synthetic(800)
    fine, coarse = report_of(asked, candles), report_of(asked, candles, BTC)
    assert {trade.amount % BTC.amount_step for trade in coarse.trades} == {0}
    assert fine.trades[0].amount > coarse.trades[0].amount
    assert checks_of(asked, candles, BTC).passed


def test_market_s_rules_survive_their_facts():
    again = market_of(market_facts(BTC), "BTC/USDT")
    assert again is not None
    assert market_facts(again) == market_facts(BTC)
    assert market_facts(None) is None
    assert market_of(None, "BTC/USDT") is None


def test_a_grid_is_swept_without_a_stop_beside_its_own():
    grid = {"strategy": "grid", "params": {"lower": 100, "upper": 200}, "grid": {"limits.stop_loss_pct": [5, 8]}}
    with pytest.raises(SweepError) as caught:
        quest_of({**GIVEN, **grid})
    assert caught.value.errors.keys() == {"grid.limits.stop_loss_pct"}
