import json
from decimal import Decimal

import pytest
from hypothesis import given, settings

from strategies.core.catalogue import CATALOGUE
from strategies.core.parameters import ParameterError
from strategies.core.rule_definition import PROTECTIONS, parse_definition
from strategies.core.rule_words import NAMES, operand_words, render, sentences
from strategies.core.rules import RuleError, RuleStrategy
from strategies.core.strategy import BaseStrategy
from strategies.tests.core.definitions import definitions

DEFINITION = {
    "entry": {
        "all": [
            {"left": {"indicator": "rsi"}, "operator": "crosses_above", "right": 30},
            {"any": [
                {"left": {"indicator": "close"}, "operator": "above",
                 "right": {"indicator": "bollinger", "output": "upper"}},
                {"left": {"indicator": "volume"}, "operator": "rising", "candles": 3},
            ]},
            {"any": [{"left": {"indicator": "close"}, "operator": "falling"}]},
        ]
    },
    "exit": {"any": [{"left": {"indicator": "close"}, "operator": "below", "right": 0.5}]},
    "stop_loss_pct": "5.0",
    "trailing_stop_pct": 2.5,
}  # fmt: skip


@settings(max_examples=120, deadline=None)
@given(definitions())
def test_rendered_definition_is_the_same_definition(given):
    definition = parse_definition(given)
    rendered = render(definition)
    assert parse_definition(json.loads(json.dumps(rendered))) == definition
    assert render(parse_definition(rendered)) == rendered
    told = sentences(definition)
    assert told[0].startswith(("Buys when the ", "Buys when (the ", "Buys when ((the ", "Buys when (((the "))
    assert all(sentence.endswith((".", ").")) for sentence in told)
    assert not any("{" in sentence for sentence in told)


def test_rendering_writes_every_default_out():
    rendered = render(parse_definition(DEFINITION))
    assert rendered["entry"]["all"][0] == {
        "left": {"indicator": "rsi", "params": {"period": 14, "method": "cutler"}},
        "operator": "crosses_above",
        "right": 30.0,
    }
    assert rendered["entry"]["all"][1]["any"][0]["right"] == {
        "indicator": "bollinger", "params": {"period": 20, "stddev": 2.0}, "output": "upper",
    }  # fmt: skip
    assert rendered["entry"]["all"][2]["any"][0]["candles"] == 1
    assert (rendered["stop_loss_pct"], rendered["trailing_stop_pct"]) == ("5", "2.5")
    assert "take_profit_pct" not in rendered


def test_sentences_say_when_it_buys_sells_and_protects():
    assert sentences(parse_definition(DEFINITION)) == [
        (
            "Buys when the RSI of 14 candles (cutler) crosses above 30 and (the close is above the upper Bollinger "
            "band (20, 2) or the volume is higher than 3 candles ago) and the close is lower than one candle ago."
        ),
        "Sells when the close is below 0.5.",
        "Sells 5 % under the entry price (stop-loss).",
        "Sells 2.5 % under the highest price since the entry (trailing stop).",
    ]
    assert sentences(parse_definition({**DEFINITION, "exit": None}))[1] == "There is no exit rule."


def test_every_indicator_has_words_that_name_its_parameters():
    assert NAMES.keys() == CATALOGUE.keys()
    for name, indicator in CATALOGUE.items():
        for output in indicator.outputs:
            given = {"left": {"indicator": name, "output": output}, "operator": "rising"}
            words = operand_words(
                parse_definition({"entry": {"all": [given]}, "stop_loss_pct": 1}).entry.members[0].left
            )
            assert words.startswith("the ")
            assert all(str(p.default).removesuffix(".0") in words for p in indicator.parameters)


# --- the strategy that carries a definition ----------------------------------------------------------------------


def test_parameters_keep_the_definition_with_every_default():
    params = RuleStrategy.validate({"definition": DEFINITION, "rule_set": 4, "version": 2})
    assert params == {"definition": render(parse_definition(DEFINITION)), "rule_set": 4, "version": 2}
    assert RuleStrategy.validate(json.loads(json.dumps(params))) == params


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        ({}, {"definition": "Expected a rule, was missing."}),
        ({"definition": None}, {"definition": "Expected a rule, was missing."}),
        ({"definition": []}, {"definition": "definition: Expected an object, was list."}),
        ({"definition": {"entry": {}}}, {"definition": "entry: Expected exactly one of all, any."}),
        (
            {"definition": DEFINITION, "version": -1},
            {"version": "Expected a whole number from 0 to 2147483647, was -1."},
        ),
    ],
)
def test_what_is_wrong_with_the_parameters_is_named(params, errors):
    with pytest.raises(ParameterError) as refused:
        RuleStrategy.validate(params)
    assert refused.value.errors == errors


def test_parameters_are_read_from_the_text_of_a_form():
    assert RuleStrategy.parse({"definition": json.dumps(DEFINITION)})["definition"]["stop_loss_pct"] == "5"
    for text in ("{", "[" * 100_000, "entry"):
        with pytest.raises(ParameterError, match="Expected an object, was str"):
            RuleStrategy.parse({"definition": text})


def test_protections_of_a_rule_are_limits_of_its_run():
    assert RuleStrategy(DEFINITION).protections == {"stop_loss_pct": "5", "trailing_stop_pct": "2.5"}
    assert BaseStrategy().protections == {}


def test_words_of_a_strategy_are_its_rule_or_its_description():
    assert RuleStrategy(DEFINITION).words == sentences(parse_definition(DEFINITION))
    assert BaseStrategy().words == [""]


def test_a_mountain_of_json_is_refused_before_it_is_climbed():
    with pytest.raises(RuleError, match="at most 32 conditions in all"):
        parse_definition({"entry": {"all": [{"all": [{"all": [DEFINITION["exit"]] * 32}] * 32}] * 32}})


def test_schema_lists_every_indicator_and_requires_the_definition():
    schema = RuleStrategy.json_schema()
    assert schema["required"] == ["definition"]
    definition = schema["properties"]["definition"]
    assert [operand["properties"]["indicator"]["const"] for operand in definition["$defs"]["operand"]["oneOf"]] == list(
        CATALOGUE
    )
    assert definition["properties"].keys() == {"entry", "exit", *(p.name for p in PROTECTIONS)}
    assert _references(schema) == {f"#/properties/definition/$defs/{name}" for name in definition["$defs"]}
    assert json.loads(json.dumps(schema)) == schema


def _references(schema):
    if isinstance(schema, list):
        return set().union(*map(_references, schema))
    if not isinstance(schema, dict):
        return set()
    return {schema["$ref"]} if "$ref" in schema else _references(list(schema.values()))


def test_protection_is_exact():
    assert RuleStrategy({**DEFINITION, "stop_loss_pct": "1.10"}).definition.stop_loss_pct == Decimal("1.1")
