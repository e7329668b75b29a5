from datetime import UTC, datetime

import pytest

from accounts.audit import CONSOLE
from strategies import operations, queries
from strategies.core.parameters import ParameterError
from strategies.core.strategy import StrategyRegistry
from strategies.library.rsi_cross import RSICrossStrategy
from strategies.models import Strategy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def disable(name):
    operations.sync(NOW, CONSOLE)
    operations.set_enabled(Strategy.objects.get(name=name), False, NOW, CONSOLE)


def test_list_has_every_strategy_with_its_switch(django_assert_num_queries):
    disable("breakout")
    with django_assert_num_queries(1):
        views = queries.list_strategies()
    assert [view.name for view in views] == StrategyRegistry.list_all()
    assert [view.name for view in views if not view.enabled] == ["breakout"]


def test_view_is_what_the_class_says():
    view = queries.strategy_view("rsi_cross")
    assert (view.name, view.enabled, view.version) == ("rsi_cross", True, "1")
    assert view.parameters["properties"]["rsi_period"]["default"] == 14
    assert view.formula == RSICrossStrategy.formula
    assert view.does_badly_when == RSICrossStrategy.does_badly_when


def test_view_of_an_unknown_name_is_an_error_that_lists_the_names():
    with pytest.raises(queries.UnknownStrategy, match="rsi_cross"):
        queries.strategy_view("nope")


def test_build_gives_a_strategy_with_its_parameters():
    assert queries.build("rsi_cross", {"rsi_period": 7}) == RSICrossStrategy(rsi_period=7)


def test_build_names_every_wrong_parameter():
    with pytest.raises(ParameterError) as refused:
        queries.build("rsi_cross", {"rsi_period": "7", "self": 1})
    assert set(refused.value.errors) == {"rsi_period", "self"}


def test_build_of_a_disabled_strategy_is_refused_and_what_exists_goes_on(django_assert_num_queries):
    disable("rsi_cross")
    with pytest.raises(queries.StrategyDisabled, match="rsi_cross is switched off"):
        queries.build("rsi_cross", {})
    with django_assert_num_queries(0):
        assert queries.rebuild("rsi_cross", {}) == RSICrossStrategy()


def test_build_of_an_unknown_strategy_is_an_error():
    with pytest.raises(queries.UnknownStrategy, match="nope"):
        queries.build("nope", {})
