import sys
from importlib.metadata import EntryPoint

import pytest

from strategies import checks
from strategies.core.strategy import StrategyRegistry
from strategies.library import registry

SHIPPED = {
    "bollinger_breakout", "breakout", "dca", "donchian_turtle", "ema_cross", "grid", "macd_cross",
    "mean_reversion", "rsi_cross", "supertrend", "vwap_cross",
}  # fmt: skip
MODULE = """
from strategies.core.strategy import BaseStrategy, StrategyRegistry

class Third(BaseStrategy):
    name = "{name}"
    def execute(self, ticker_data, context):
        return {{"signal": "HOLD", "confidence": 0.0, "reason": "always"}}

{last}
"""


@pytest.fixture
def third_party(tmp_path, monkeypatch):
    """Writes a module that a third party could have written; forgets its strategy afterwards."""
    monkeypatch.syspath_prepend(tmp_path)
    before = dict(StrategyRegistry._known)

    def write(module, name="third", last="StrategyRegistry.register(Third)"):
        (tmp_path / f"{module}.py").write_text(MODULE.format(name=name, last=last))
        return module

    yield write
    StrategyRegistry._known.clear()
    StrategyRegistry._known.update(before)
    for module in [name for name in sys.modules if name.startswith("third_party_")]:
        del sys.modules[module]


def points(monkeypatch, *values):
    found = [EntryPoint(value.split(":")[0], value, registry.GROUP) for value in values]
    monkeypatch.setattr(registry, "entry_points", lambda group: found if group == registry.GROUP else [])


def test_load_knows_the_shipped_strategies_however_often():
    assert registry.load() == registry.load() == {}
    assert set(StrategyRegistry.list_all()) >= SHIPPED


def test_load_imports_the_modules_that_the_operator_named(third_party):
    assert registry.load([third_party("third_party_a")]) == {}
    assert StrategyRegistry.get("third").__module__ == "third_party_a"


def test_load_registers_the_entry_points_of_installed_packages(third_party, monkeypatch):
    points(monkeypatch, f"{third_party('third_party_b', last='')}:Third", third_party("third_party_c", "fourth"))
    assert registry.load() == {}
    assert {"third", "fourth"} <= set(StrategyRegistry.list_all())


def test_load_reports_what_fails_and_goes_on(third_party, monkeypatch):
    points(monkeypatch, f"{third_party('third_party_d', 'fifth', last='')}:Nobody")
    problems = registry.load(
        ["no.such.module", third_party("third_party_e", last="1 / 0"), third_party("third_party_f")]
    )
    assert set(problems) == {"tradingbot.strategies:third_party_d", "no.such.module", "third_party_e"}
    assert problems["third_party_e"] == "ZeroDivisionError: division by zero"
    assert "third" in StrategyRegistry.list_all()


def test_system_check_turns_problems_into_errors(monkeypatch):
    monkeypatch.setattr(checks, "problems", {"a.b": "ImportError: no"})
    (error,) = checks.strategy_modules_load(None)
    assert error.id == "strategies.E001"
    assert error.msg == "a.b: Expected a module that registers strategies, was ImportError: no."
    monkeypatch.setattr(checks, "problems", {})
    assert checks.strategy_modules_load(None) == []
