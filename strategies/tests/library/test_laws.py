"""The same answer on any window, for every registered strategy."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.core.candles import Candles
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.execute_only import execute_only
from strategies.tests.places import RECORDED, recorded, synthetic

load_shipped()
NAMES = StrategyRegistry.list_all()
CLOSE, MEAN = {"indicator": "close"}, {"indicator": "sma"}
# What has no default has to be said: here a rule whose mean is 20 closes long.
REQUIRED = {
    "rules": {
        "definition": {
            "entry": {"all": [{"left": CLOSE, "operator": "crosses_above", "right": MEAN}]},
            "exit": {"all": [{"left": CLOSE, "operator": "crosses_below", "right": MEAN}]},
        }
    },
    "grid": {"lower": "0.00001", "upper": "1000000"},
}
VARIANTS = [(name, REQUIRED.get(name, {})) for name in NAMES] + [
    ("rsi_cross", {"rsi_method": "wilder"}),
    ("rsi_cross", {"rsi_method": "wilder", "rsi_period": 5, "oversold": 40, "overbought": 60}),
    ("rsi_cross", {"rsi_period": 2, "oversold": 50, "overbought": 50.5}),
    ("mean_reversion", {"period": 7, "stddev": 0.5}),
    ("breakout", {"entry_period": 3, "exit_period": 12}),
    ("vwap_cross", {"anchor": "rolling"}),
    ("bollinger_breakout", {"period": 5, "stddev": 1, "squeeze_period": 20, "squeeze_pct": 100}),
    ("supertrend", {"atr_period": 5, "factor": 1.5}),
    ("donchian_turtle", {"stop_n": 0}),
    ("dca", {"every": "1w"}),
    ("grid", {"lower": "0.5", "upper": "100000", "levels": 40, "spacing": "arithmetic", "stop_pct": "3"}),
    ("dca", {"every": "4h", "mean_period": 30}),
]
#: These enter by the clock or rest at lines, and their exits are prices that the position itself sets.
BY_PRICE = {"dca", "grid"}
IDS = [f"{name} {json.dumps(params)}" if params else name for name, params in VARIANTS]
COLUMNS = ("entry", "exit", "ready")


def built(variant):
    name, params = variant
    return StrategyRegistry.get(name)(**params)


def assert_same(strategy, whole, part, index, where):
    """The last element of ``part`` is the element ``index`` of ``whole``."""
    for column in COLUMNS:
        assert getattr(part, column)[-1] == getattr(whole, column)[index], (strategy, column, where)
    assert part.confidence[-1] == pytest.approx(whole.confidence[index], abs=2e-6), (strategy, where)
    for name, column in part.indicators.items():
        assert column[-1] == pytest.approx(whole.indicators[name][index], abs=2e-8, rel=1e-12, nan_ok=True), (
            name,
            where,
        )


def places_of(whole, count, seed):
    """Where something happens, where nothing does, the first candles and the last one."""
    random = np.random.default_rng(seed)
    events = np.flatnonzero(whole.entry | whole.exit)
    chosen = random.choice(events, min(25, len(events)), replace=False) if len(events) else []
    return sorted({int(i) for i in (*chosen, *random.integers(0, count, 20), 0, 1, count - 1)})


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
@pytest.mark.parametrize("file", RECORDED)
def test_future_candles_change_nothing_and_the_warmup_suffices(variant, file):
    strategy, candles = built(variant), recorded(file)
    whole = strategy.signals(candles)
    for index in places_of(whole, len(candles), seed=len(file)):
        assert_same(strategy, whole, strategy.signals(candles[: index + 1]), index, ("from the start to", index))
        begin = max(0, index + 1 - strategy.warmup)
        assert_same(strategy, whole, strategy.signals(candles[begin : index + 1]), index, ("warm-up before", index))


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_candles_before_the_warmup_change_nothing(variant):
    strategy, candles = built(variant), synthetic(4_000)
    whole = strategy.signals(candles)
    for index in places_of(whole, 4_000, seed=3):
        for more in (0, 1, 17, 300):
            begin = max(0, index + 1 - strategy.warmup - more)
            assert_same(strategy, whole, strategy.signals(candles[begin : index + 1]), index, (more, index))


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_every_strategy_trades_both_ways_on_a_random_walk(variant):
    signals = built(variant).signals(synthetic(4_000))
    assert signals.entry.any()
    assert signals.exit.any() or variant[0] in BY_PRICE


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_signals_are_well_formed(variant):
    strategy, candles = built(variant), synthetic(1_500)
    signals = strategy.signals(candles)
    acting = signals.entry | signals.exit
    assert len(signals) == len(candles)
    assert not acting[~signals.ready].any()
    assert (signals.confidence[~acting] == 0).all()
    assert ((signals.confidence >= 0) & (signals.confidence <= 1)).all()
    assert not signals.ready[: strategy.minimum - 1].any()
    assert signals.ready[strategy.minimum - 1 + 24 :].all()
    assert strategy.minimum <= strategy.warmup
    for name, column in signals.indicators.items():
        np.testing.assert_array_equal(column, np.round(column, 8), err_msg=name)


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
@pytest.mark.parametrize("count", [0, 1, 2, 3, 25])
def test_few_candles_are_warming_up(variant, count):
    strategy, candles = built(variant), synthetic(count)
    signals = strategy.signals(candles)
    assert len(signals) == count
    if 0 < count < strategy.minimum:
        assert strategy.reason(signals, -1, False) == strategy.warming_up(count)
    if count < strategy.minimum:
        assert not signals.ready.any()
        assert strategy.execute({"candles": candles}, {})["reason"].startswith(f"Warming up: {count} of the ")


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_a_still_market_is_left_alone(variant):
    count = 2_000
    still = np.full(count, 0.00001234)
    candles = Candles(np.arange(count, dtype=np.int64) * 60_000, still, still, still, still, np.ones(count))
    signals = built(variant).signals(candles)
    assert not (signals.entry | signals.exit).any() or variant[0] in BY_PRICE


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
def test_execute_says_what_the_columns_say(variant):
    strategy, candles = built(variant), synthetic(2_200)
    whole = strategy.signals(candles)
    for index in [i for i in places_of(whole, 2_200, seed=5) if i >= strategy.minimum]:
        window = candles[max(0, index + 1 - strategy.warmup) : index + 1]
        for holding in (False, True):
            verdict = strategy.execute({"ohlcv": window.rows()}, {"holding": holding})
            assert verdict["signal"] == whole.action(index, holding=holding)
            held = (whole.exit if holding else whole.entry)[index]
            assert verdict["confidence"] == pytest.approx(whole.confidence[index] if held else 0.0, abs=2e-6)
            assert verdict["reason"] == strategy.reason(whole, index, holding)
            assert verdict["reason"].endswith(".")
            assert "nan" not in verdict["reason"]


@pytest.mark.parametrize("name", NAMES)
def test_execute_only_twin_gives_the_same_columns(name):
    inner = StrategyRegistry.get(name)(**REQUIRED.get(name, {}))
    candles = synthetic(inner.minimum + 120)
    fast, slow = inner.signals(candles), execute_only(inner).signals(candles)
    for column in COLUMNS:
        assert getattr(slow, column).tolist() == getattr(fast, column).tolist(), column


@pytest.mark.parametrize("name", NAMES)
def test_every_strategy_explains_itself(name):
    kind = StrategyRegistry.get(name)
    assert kind.name == name
    assert "Confidence:" in (kind.__doc__ or "")
    assert min(len(kind.description), len(kind.formula), len(kind.does_badly_when)) > 80
    assert all(parameter.help for parameter in kind.parameters)
    given = REQUIRED.get(name, {})
    assert kind.validate(given) == dict(kind(**given).params)


WALKS = st.lists(
    st.tuples(st.integers(-60, 60), st.integers(0, 40), st.integers(0, 40), st.integers(0, 50)),
    min_size=1,
    max_size=150,
)


def walked(steps, first, tick):
    close = np.maximum.accumulate([1]) * first + np.cumsum([step[0] for step in steps])
    close = np.maximum(close, 50)
    opens = np.concatenate([close[:1], close[:-1]])
    high = np.maximum(opens, close) + [step[1] for step in steps]
    low = np.minimum(opens, close) - [step[2] for step in steps]
    low = np.maximum(low, 1)
    prices = [np.round(column * tick, 8) for column in (opens, high, low, close)]
    times = np.arange(len(steps), dtype=np.int64) * 3_600_000
    return Candles(times, *prices, np.array([float(step[3]) for step in steps]))


@pytest.mark.parametrize("variant", VARIANTS, ids=IDS)
@settings(max_examples=25, deadline=None)
@given(
    steps=WALKS, first=st.integers(100, 10**7), tick=st.sampled_from([1e-8, 1e-5, 0.01, 1.0]), cut=st.integers(0, 149)
)
def test_any_market_gives_the_same_answer_on_any_window(variant, steps, first, tick, cut):
    strategy, candles = built(variant), walked(steps, first, tick)
    whole, index = strategy.signals(candles), min(cut, len(steps) - 1)
    assert_same(strategy, whole, strategy.signals(candles[: index + 1]), index, index)
    begin = max(0, index + 1 - strategy.warmup)
    assert_same(strategy, whole, strategy.signals(candles[begin : index + 1]), index, begin)
