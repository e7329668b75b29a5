from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strategies.core import catalogue
from strategies.core.catalogue import CATALOGUE
from strategies.core.parameters import ParameterError
from strategies.core.rules import RuleError, RuleStrategy, parse_definition
from strategies.library.ema_cross import EMACrossStrategy
from strategies.library.rsi_cross import RSICrossStrategy
from strategies.library.vwap_cross import VWAPCrossStrategy
from strategies.tests.places import synthetic

RSI = {"indicator": "rsi"}
CLOSE = {"indicator": "close"}
VWAP = {"indicator": "vwap_session"}
BUY = {"left": RSI, "operator": "crosses_above", "right": 30}
SELL = {"left": RSI, "operator": "crosses_below", "right": 70}
RISING = {"left": {"indicator": "volume"}, "operator": "rising", "candles": 3}
OVER_MEAN = {"left": CLOSE, "operator": "above", "right": {"indicator": "sma", "params": {"period": 50}}}


def rule(*members, word="all", **rest):
    return {"entry": {word: list(members)}, "exit": {"any": [SELL]}, **rest}


def error_of(definition):
    with pytest.raises(RuleError) as refused:
        parse_definition(definition)
    return refused.value.path, refused.value.message


# --- what a rule says ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("definition", "twin"),
    [
        (rule(BUY), RSICrossStrategy()),
        (
            {
                "entry": {"all": [{**BUY, "left": {"indicator": "rsi", "params": {"method": "wilder"}}}]},
                "exit": {"all": [{**SELL, "left": {"indicator": "rsi", "params": {"method": "wilder"}}}]},
            },
            RSICrossStrategy(rsi_method="wilder"),
        ),
        (
            {
                "entry": {"all": [{"left": {"indicator": "ema"}, "operator": "crosses_above",
                                   "right": {"indicator": "ema", "params": {"period": 50}}}]},
                "exit": {"all": [{"left": {"indicator": "ema"}, "operator": "crosses_below",
                                  "right": {"indicator": "ema", "params": {"period": 50}}}]},
            },
            EMACrossStrategy(),
        ),
        (
            {
                "entry": {"all": [{"left": CLOSE, "operator": "crosses_above", "right": VWAP}]},
                "exit": {"all": [{"left": CLOSE, "operator": "crosses_below", "right": VWAP}]},
            },
            VWAPCrossStrategy(),
        ),
    ],
)  # fmt: skip
def test_rule_that_repeats_a_shipped_strategy_gives_its_signals(definition, twin):
    candles = synthetic(3_000)
    ours, theirs = RuleStrategy(definition).signals(candles), twin.signals(candles)
    assert theirs.entry.any()
    assert ours.entry.tolist() == theirs.entry.tolist()
    assert ours.exit.tolist() == theirs.exit.tolist()


def test_operators_hold_where_their_words_say():
    def entries(condition):
        return RuleStrategy(rule(condition)).signals(candles).entry[60:]

    candles = synthetic(500)
    close, volume, mean = candles.close, candles.volume, catalogue.column(candles, "sma", {"period": 20})
    sma = {"indicator": "sma"}
    at = np.arange(60, 500)
    assert entries({"left": CLOSE, "operator": "above", "right": sma}).tolist() == (close > mean)[60:].tolist()
    assert entries({"left": CLOSE, "operator": "below", "right": sma}).tolist() == (close < mean)[60:].tolist()
    assert entries(RISING).tolist() == (volume[at] > volume[at - 3]).tolist()
    falling = {"left": CLOSE, "operator": "falling"}
    assert entries(falling).tolist() == (close[at] < close[at - 1]).tolist()
    down = {"left": CLOSE, "operator": "crosses_below", "right": sma}
    assert entries(down).tolist() == ((close[at - 1] > mean[at - 1]) & (close[at] <= mean[at])).tolist()


def test_groups_join_by_all_and_by_any():
    candles = synthetic(500)
    low = {"left": RSI, "operator": "below", "right": 45}
    parts = [RuleStrategy(rule(part)).signals(candles).entry[60:] for part in (low, OVER_MEAN, RISING)]
    both = RuleStrategy(rule(low, OVER_MEAN)).signals(candles).entry[60:]
    either = RuleStrategy(rule(low, OVER_MEAN, word="any")).signals(candles).entry[60:]
    nested = RuleStrategy(rule({"any": [low, OVER_MEAN]}, RISING)).signals(candles).entry[60:]
    assert both.tolist() == (parts[0] & parts[1]).tolist()
    assert either.tolist() == (parts[0] | parts[1]).tolist()
    assert nested.tolist() == ((parts[0] | parts[1]) & parts[2]).tolist()
    assert 0 < nested.sum() < either.sum()


def test_confidence_is_the_share_of_conditions_that_hold():
    signals = RuleStrategy(rule(OVER_MEAN, RISING, word="any")).signals(synthetic(500))
    one, two = signals.conditions["close above sma(50)"], signals.conditions["volume rising over 3"]
    expected = np.where(signals.entry, (one + two.astype(float)) / 2, 0.0)
    held = signals.entry & ~signals.exit
    assert signals.confidence[held].tolist() == expected[held].tolist()
    assert set(signals.confidence[held]) == {0.5, 1.0}


def test_equal_but_for_noise_is_neither_above_nor_below():
    definition = rule({"left": CLOSE, "operator": "above", "right": {"indicator": "sma", "params": {"period": 3}}})
    candles = synthetic(400, start=0.1, volatility=0.0, digits=1)
    assert not RuleStrategy(definition).signals(candles).entry.any()


def test_reason_names_what_is_met_and_what_is_not():
    strategy = RuleStrategy(rule(OVER_MEAN, RISING))
    signals = strategy.signals(synthetic(500))
    bought = int(np.flatnonzero(signals.entry)[0])
    assert strategy.reason(signals, bought, False).startswith("The entry rule holds. Met: close above sma(50) (close ")
    waiting = strategy.reason(signals, bought, True)
    assert waiting.startswith(
        "The exit rule does not hold. Not met: rsi(14, cutler) crosses below 70 (rsi(14, cutler) "
    )
    assert strategy.reason(signals, 3, False).startswith("Warming up: 4 of the 50 closed candles")


def test_rule_without_exit_leaves_selling_to_the_protections():
    strategy = RuleStrategy(
        {"entry": {"all": [BUY]}, "stop_loss_pct": "2.5", "take_profit_pct": 5, "trailing_stop_pct": 1.5}
    )
    assert strategy.definition.stop_loss_pct == Decimal("2.5")
    assert strategy.definition.take_profit_pct == Decimal(5)
    assert strategy.definition.trailing_stop_pct == Decimal("1.5")
    signals = strategy.signals(synthetic(200))
    assert not signals.exit.any()
    assert strategy.reason(signals, -1, True) == (
        "There is no exit rule: the stop, the target or the trailing stop sells."
    )


def test_rule_executes_like_any_strategy():
    verdict = RuleStrategy(rule(BUY)).execute({"ohlcv": synthetic(60).rows()}, {"holding": False})
    assert verdict["signal"] == "HOLD"
    assert "Not met: rsi(14, cutler) crosses above 30" in verdict["reason"]


def test_equal_rules_are_one_strategy():
    assert RuleStrategy(rule(BUY)) == RuleStrategy(rule({**BUY, "right": 30.0}))
    assert hash(RuleStrategy(rule(BUY))) == hash(RuleStrategy(rule({**BUY, "right": 30.0})))
    assert RuleStrategy(rule(BUY)) != RuleStrategy(rule(RISING))
    assert RuleStrategy(rule(BUY)) != "rules"
    assert RuleStrategy(rule(BUY), rule_set=4, version=2) == RuleStrategy(rule(BUY))
    assert repr(RuleStrategy(rule(BUY), rule_set=4)).endswith(", rule_set=4, version=0)")


def test_lengths_are_those_of_the_most_demanding_condition():
    strategy = RuleStrategy(rule(BUY, OVER_MEAN))
    assert (strategy.minimum, strategy.warmup) == (50, 50)
    assert RuleStrategy(rule(BUY)).minimum == RSICrossStrategy().minimum
    session = rule({"left": CLOSE, "operator": "above", "right": {"indicator": "vwap_session"}})
    assert RuleStrategy(session).warmup == 1_440
    assert RuleStrategy(session).warmup_on(1_000) == 86_500
    assert RuleStrategy(rule(BUY)).warmup_on(1_000) == 16


# --- the laws --------------------------------------------------------------------------------------------------


def operands_of(name):
    indicator = CATALOGUE[name]
    return st.sampled_from([{"indicator": name, "output": output} for output in indicator.outputs])


@st.composite
def conditions(draw):
    left = draw(st.sampled_from(sorted(CATALOGUE)).flatmap(operands_of))
    operator = draw(st.sampled_from(["above", "below", "crosses_above", "crosses_below", "rising", "falling"]))
    if operator in ("rising", "falling"):
        return {"left": left, "operator": operator, "candles": draw(st.integers(1, 5))}
    unit = CATALOGUE[left["indicator"]].unit
    comparable = [name for name in sorted(CATALOGUE) if CATALOGUE[name].unit == unit]
    level = st.sampled_from({"price": [30_000, 0], "percent": [30, 50, 0], "volume": [100]}[unit])
    right = draw(st.one_of(level, st.sampled_from(comparable).flatmap(operands_of)))
    return {"left": left, "operator": operator, "right": right}


def groups(members):
    words, several = st.sampled_from(["all", "any"]), st.lists(members, min_size=1, max_size=3)
    return st.builds(lambda word, inner: {word: inner}, words, several)


GROUPS = st.one_of(conditions(), groups(conditions()), groups(groups(conditions())))
MARKET = synthetic(3_000)


@settings(max_examples=60, deadline=None)
@given(st.lists(conditions(), min_size=1, max_size=4), st.lists(GROUPS, min_size=1, max_size=2), st.integers(0, 2_999))
def test_any_rule_gives_the_same_answer_on_any_window(entry, exit_, index):
    strategy = RuleStrategy({"entry": {"any": entry}, "exit": {"any": exit_}})
    whole = strategy.signals(MARKET)
    for begin in (0, max(0, index + 1 - strategy.warmup)):
        part = strategy.signals(MARKET[begin : index + 1])
        assert (part.entry[-1], part.exit[-1]) == (whole.entry[index], whole.exit[index])
        assert part.ready[-1] == whole.ready[index]
    assert strategy.minimum <= strategy.warmup
    assert strategy.reason(whole, index, True).endswith((".", "candles that a first opinion needs."))


# --- what is refused -------------------------------------------------------------------------------------------


def nested(depth):
    return {"all": [nested(depth - 1)]} if depth else BUY


def left(**facts):
    return rule({"left": facts, "operator": "above", "right": 1})


@pytest.mark.parametrize(
    ("definition", "path", "message"),
    [
        ([], "definition", "Expected an object, was list."),
        ({}, "definition.entry", "Expected a value, was missing."),
        (rule(BUY, size=3), "definition.size", "Expected one of entry, exit, "),
        ({"entry": {"all": [BUY]}}, "exit", "Expected an exit rule, a stop, a target or a trailing stop, was none."),
        (rule(), "entry.all", "Expected a list of 1 to 32 conditions or groups."),
        ({"entry": {"all": BUY}}, "entry.all", "Expected a list of 1 to 32 conditions or groups."),
        ({"entry": {"all": [BUY], "any": [BUY]}}, "entry", "Expected exactly one of all, any."),
        ({"entry": {}}, "entry", "Expected exactly one of all, any."),
        ({"entry": {"not": [BUY]}}, "entry.not", "Expected one of all, any, was an unknown key."),
        (rule(nested(4)), "entry.all[0].all[0].all[0].all[0]", "Expected groups at most 4 deep."),
        (rule(*[BUY] * 32), "definition", "Expected at most 32 conditions in all."),
        (rule(BUY, "rsi > 30"), "entry.all[1]", "Expected an object, was str."),
        (rule({**BUY, "operator": "=="}), "entry.all[0].operator", "Expected one of above, below, "),
        (rule({**BUY, "operator": ["above"]}), "entry.all[0].operator", "Expected one of above, below, "),
        (rule({**BUY, "right": "30"}), "entry.all[0].right", "Expected a number from "),
        (rule({**BUY, "right": True}), "entry.all[0].right", "Expected a number from "),
        (rule({"left": RSI, "operator": "above"}), "entry.all[0].right", "Expected a number or an indicator"),
        (rule({**RISING, "right": 1}), "entry.all[0].right", "Expected nothing beside rising, was 1."),
        (rule({**BUY, "candles": 2}), "entry.all[0].candles", "Expected nothing beside crosses_above, was 2."),
        (rule({**RISING, "candles": 101}), "entry.all[0].candles", "Expected a whole number from 1 to 100, was 101."),
        (rule({**BUY, "right": CLOSE}), "entry.all[0].right", "Expected a percent to compare rsi(14, cutler) with"),
        (left(indicator="__import__"), "entry.all[0].left.indicator", "Expected one of open, high, "),
        (left(indicator=["rsi"]), "entry.all[0].left.indicator", "Expected one of open, high, "),
        (left(indicator="rsi", params={"length": 3}), "entry.all[0].left.params.length", "Expected one of period, "),
        (left(indicator="rsi", params={"period": 1}), "entry.all[0].left.params.period", "Expected a whole number"),
        (left(indicator="rsi", params=[]), "entry.all[0].left.params", "Expected an object, was list."),
        (left(indicator="macd", params={"fast": 30}), "entry.all[0].left.params.fast", "Expected less than slow (26)"),
        (left(indicator="macd", output="x"), "entry.all[0].left.output", "Expected one of line, signal, histogram"),
        (rule(BUY, stop_loss_pct="0"), "stop_loss_pct", "Expected a decimal number from 0.01 to 99, was '0'."),
        (rule(BUY, trailing_stop_pct=True), "trailing_stop_pct", "Expected a decimal number from 0.01 to 99"),
    ],
)
def test_what_is_wrong_is_named_by_its_path(definition, path, message):
    found = error_of(definition)
    assert found[0] == path
    assert found[1].startswith(message)


def test_rule_error_reads_path_first():
    assert str(RuleError("entry.all[0]", "Expected more.")) == "entry.all[0]: Expected more."


def test_groups_may_be_four_deep():
    assert parse_definition(rule(nested(3))).entry.every


# --- the catalogue ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_indicator_has_its_first_value_where_it_says(name):
    indicator, candles = CATALOGUE[name], synthetic(800)
    params = indicator.validate({})
    for output in indicator.outputs:
        values = catalogue.column(candles, name, {}, output)
        assert len(values) == 800
        assert np.isfinite(values[indicator.minimum(params) - 1 :]).all()
        assert len(catalogue.column(candles[:1], name, {}, output)) == 1
    assert all(parameter.help for parameter in indicator.parameters)


def test_column_refuses_unknown_names_and_parameters():
    with pytest.raises(KeyError):
        catalogue.column(synthetic(30), "nope", {})
    with pytest.raises(ParameterError):
        catalogue.column(synthetic(30), "rsi", {"period": 0})
