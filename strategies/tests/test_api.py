"""Strategies over the API."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.audit import CONSOLE
from accounts.tests import cast
from strategies import operations
from strategies.core.strategy import StrategyRegistry
from strategies.models import Strategy
from tradingbot.tests.api_client import ApiClient


@pytest.fixture
def api(db) -> ApiClient:
    operations.sync(cast.NOW, CONSOLE)
    return ApiClient(cast.user("alice@example.com"), "read")


def test_every_registered_strategy_is_listed_with_its_schema(api):
    shown = api.get("/strategies/list").json()
    assert shown["next"] is None
    by_name = {item["name"]: item for item in shown["items"]}
    assert list(by_name) == StrategyRegistry.list_all()
    rsi = by_name["rsi_cross"]
    assert rsi.keys() >= {"name", "description", "enabled", "version", "parameters"}
    assert rsi["enabled"] is True
    assert rsi["parameters"]["properties"]["rsi_period"]["default"] == 14
    assert rsi["parameters"]["additionalProperties"] is False


def test_a_strategy_that_is_switched_off_says_so(api):
    Strategy.objects.filter(name="rsi_cross").update(enabled=False)
    by_name = {item["name"]: item for item in api.get("/strategies/list").json()["items"]}
    assert by_name["rsi_cross"]["enabled"] is False


def test_the_list_takes_one_statement_of_its_own(api):
    api.get("/strategies/list")
    with CaptureQueriesContext(connection) as captured:
        api.get("/strategies/list")
    assert len(captured) == 2
