from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError

from accounts.audit import CONSOLE
from accounts.models import AuditEntry
from strategies import operations
from strategies.core.strategy import StrategyRegistry
from strategies.models import Strategy

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

pytestmark = pytest.mark.django_db


def actions():
    return list(AuditEntry.objects.order_by("id").values_list("action", "subject"))


def test_sync_of_an_empty_table_adds_every_registered_strategy():
    synced = operations.sync(NOW, CONSOLE)
    assert list(synced.added) == StrategyRegistry.list_all()
    assert (synced.updated, synced.missing) == ((), ())
    row = Strategy.objects.get(name="rsi_cross")
    kind = StrategyRegistry.get("rsi_cross")
    assert (row.description, row.version, row.parameters) == (kind.description, kind.version, kind.json_schema())
    assert (row.module, row.enabled, row.synced_at) == ("strategies.library.rsi_cross:RSICrossStrategy", True, NOW)
    assert actions() == [("strategy.sync", "")]
    assert str(row) == "rsi_cross"


def test_sync_twice_changes_nothing_and_is_audited_once():
    operations.sync(NOW, CONSOLE)
    assert operations.sync(NOW + timedelta(1), CONSOLE) == operations.Synced((), (), ())
    assert not Strategy.objects.exclude(synced_at=NOW).exists()
    assert len(actions()) == 1


def test_sync_updates_what_differs_and_leaves_the_switch_alone():
    operations.sync(NOW, CONSOLE)
    Strategy.objects.filter(name="breakout").update(description="old", enabled=False, missing_since=NOW)
    assert operations.sync(NOW + timedelta(1), CONSOLE).updated == ("breakout",)
    row = Strategy.objects.get(name="breakout")
    assert row.description == StrategyRegistry.get("breakout").description
    assert (row.enabled, row.missing_since, row.synced_at) == (False, None, NOW + timedelta(1))


def test_sync_keeps_a_row_that_no_module_provides_and_says_since_when():
    operations.sync(NOW, CONSOLE)
    gone = Strategy.objects.create(name="gone", description="", version="1", module="x:Y", synced_at=NOW)
    assert operations.sync(NOW, CONSOLE).missing == ("gone",)
    assert operations.sync(NOW + timedelta(1), CONSOLE).missing == ("gone",)
    gone.refresh_from_db()
    assert gone.missing_since == NOW
    assert len(actions()) == 2


def test_set_enabled_is_audited_only_when_it_changes_something():
    operations.sync(NOW, CONSOLE)
    row = Strategy.objects.get(name="breakout")
    assert operations.set_enabled(row, False, NOW, CONSOLE) is True
    assert operations.set_enabled(row, False, NOW, CONSOLE) is False
    assert operations.set_enabled(row, True, NOW, CONSOLE) is True
    assert Strategy.objects.enabled().filter(pk=row.pk).exists()
    assert actions()[1:] == [("strategy.disable", "breakout"), ("strategy.enable", "breakout")]


def test_two_rows_of_one_name_are_refused_by_the_database():
    operations.sync(NOW, CONSOLE)
    with pytest.raises(IntegrityError):
        Strategy.objects.create(name="breakout", version="1", module="x:Y", synced_at=NOW)


def test_row_of_a_strategy_that_nobody_synced_is_made():
    assert operations.row_of("rsi_cross", NOW, CONSOLE).synced_at == NOW
    assert operations.row_of("rsi_cross", NOW + timedelta(1), CONSOLE).synced_at == NOW
    assert len(actions()) == 1
