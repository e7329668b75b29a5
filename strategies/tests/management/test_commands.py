import json

import pytest
from django.core.management import call_command

from strategies import queries
from strategies.core.strategy import StrategyRegistry
from strategies.models import Strategy

pytestmark = pytest.mark.django_db


def test_sync_says_what_it_did(capsys):
    call_command("strategy_sync", at="2026-03-01T12:00:00Z")
    assert capsys.readouterr().out.splitlines() == [
        f"Added: {', '.join(StrategyRegistry.list_all())}",
        "Updated: none",
        "Missing: none",
    ]
    assert {row.synced_at.isoformat() for row in Strategy.objects.all()} == {"2026-03-01T12:00:00+00:00"}


def test_sync_as_json_is_one_document(capsys):
    call_command("strategy_sync", json=True)
    call_command("strategy_sync", json=True)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert first["added"] == StrategyRegistry.list_all()
    assert second == {"added": [], "updated": [], "missing": []}


def test_list_has_a_line_for_each_strategy(capsys):
    call_command("strategy_sync")
    Strategy.objects.filter(name="breakout").update(enabled=False)
    capsys.readouterr()
    call_command("strategy_list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == StrategyRegistry.list_all()
    assert [line.split()[1] for line in lines if line.startswith("off")] == ["breakout"]
    assert "rsi_period=14, oversold=30.0, overbought=70.0, rsi_method=cutler" in "\n".join(lines)


def test_list_as_json_has_the_fields_of_the_api(capsys):
    call_command("strategy_list", json=True)
    document = json.loads(capsys.readouterr().out)
    by_name = {strategy["name"]: strategy for strategy in document["items"]}
    assert by_name["rsi_cross"]["parameters"] == queries.strategy_view("rsi_cross").parameters
    assert set(by_name["rsi_cross"]) >= {"name", "description", "enabled", "version", "parameters"}
