"""docs/strategies.md says what the code does."""

import json
import re

import pytest

from strategies.core.catalogue import CATALOGUE
from strategies.core.rules import RuleStrategy
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import synthetic
from tradingbot.tests.places import PROJECT

load_shipped()
TEXT = (PROJECT / "docs" / "strategies.md").read_text()


def block(language):
    return re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)[1]


SHIPPED = [
    name
    for name in StrategyRegistry.list_all()
    if StrategyRegistry.get(name).__module__.startswith("strategies.library.")
]


@pytest.mark.parametrize("name", SHIPPED)
def test_strategy_is_documented_with_formula_and_parameters(name):
    kind = StrategyRegistry.get(name)
    section = TEXT.split(f"### `{name}`")[1].split("\n### ")[0].split("\n## ")[0]
    assert kind.description in section
    assert kind.formula in section
    assert kind.does_badly_when[1:] in section
    for parameter in kind.parameters:
        (row,) = [line for line in section.splitlines() if line.startswith(f"| `{parameter.name}`")]
        default = f"{parameter.default:g}" if isinstance(parameter.default, float) else str(parameter.default)
        default = "required" if parameter.default is None else default
        assert f"| {default} |" in row
        assert parameter.help in row
        assert all(f"`{alias}`" in row for alias in parameter.aliases)
    strategy = kind(**kind.example)
    assert f"First opinion after {strategy.minimum} closed candles" in section
    assert f"after {strategy.warmup} (defaults)" in section


def test_documented_rule_is_a_rule():
    assert RuleStrategy(json.loads(block("json"))).signals(synthetic(300)).ready.any()
    assert all(f"`{name}`" in TEXT for name in CATALOGUE)


def test_parameters_of_a_rule_are_documented():
    for parameter in RuleStrategy.parameters:
        (row,) = [line for line in TEXT.splitlines() if line.startswith(f"| `{parameter.name}`")]
        assert parameter.help in row
        if parameter.default is None:
            assert "required" in row
        else:
            assert f"| {parameter.minimum} … {parameter.maximum} |" in row


def test_documented_strategy_of_ones_own_works():
    known = dict(StrategyRegistry._known)
    try:
        exec(block("python"), {})  # the text of our own documentation
        signals = StrategyRegistry.get("three_up")(count=2).signals(synthetic(200))
    finally:
        StrategyRegistry._known.clear()
        StrategyRegistry._known.update(known)
    close = synthetic(200).close
    expected = (close[2:] > close[1:-1]) & (close[1:-1] > close[:-2])
    assert signals.entry[2:].tolist() == expected.tolist()
    assert signals.exit[1:].tolist() == (close[1:] <= close[:-1]).tolist()
