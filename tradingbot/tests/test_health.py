"""Health in one word for anybody, and part by part for the operators."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, connection
from django.test import RequestFactory

from tradingbot import health as subject
from tradingbot.health import State, health, parts, readiness
from tradingbot.liveness import BEAT, WORKER, record_heartbeat, take_lease

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Broken:
    def __getattr__(self, name):
        raise DatabaseError("connection to server at 10.1.2.3 failed: password")


@pytest.mark.django_db
def test_health_with_a_database_is_ok(client):
    answer = health(RequestFactory().get("/health"))
    assert (answer.status_code, answer.content) == (200, b'{"status": "ok"}')


def test_health_without_a_database_says_no_more_than_that(monkeypatch):
    monkeypatch.setattr(subject, "connection", Broken())
    answer = health(RequestFactory().get("/health"))
    assert (answer.status_code, answer.content) == (503, b'{"status": "unavailable"}')


def test_health_only_reads():
    assert health(RequestFactory().post("/health")).status_code == 405


@pytest.mark.django_db
def test_fresh_database_is_ok_and_the_rest_is_not_there_yet():
    assert {name: part.state for name, part in parts(AT).items()} == {
        "database": State.OK,
        "broker": State.DEGRADED,
        "worker": State.FAILED,
        "beat": State.FAILED,
        "market_data": State.UNKNOWN,
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("age", "state"), [(60, State.OK), (61, State.DEGRADED), (120, State.DEGRADED), (121, State.FAILED)]
)
def test_worker_is_judged_by_its_last_heartbeat(age, state):
    record_heartbeat(WORKER, at=AT - timedelta(seconds=age))
    assert readiness(AT)["worker"] == {
        "state": state,
        "detail": "The last heartbeat that came through the broker.",
        "age_seconds": age,
    }


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("later", "state"), [(9.9, State.OK), (10, State.DEGRADED), (70, State.DEGRADED), (71, State.FAILED)]
)
def test_beat_is_judged_by_its_lease(later, state):
    take_lease(BEAT, "one", at=AT, seconds=10)
    assert parts(AT + timedelta(seconds=later))["beat"].state is state


@pytest.mark.django_db
def test_broker_that_answers_is_ok(settings, redis_url):
    settings.REDIS_URL = redis_url
    assert parts(AT)["broker"].state is State.OK


@pytest.mark.django_db
@pytest.mark.parametrize(("overdue", "state"), [(-5, "ok"), (60, "ok"), (61, "degraded"), (301, "failed")])
def test_market_data_is_judged_by_the_most_overdue_run(overdue, state, active_run):
    active_run(next_check_at=AT - timedelta(seconds=overdue))
    part = readiness(AT)["market_data"]
    assert (part["state"], part["age_seconds"]) == (state, max(0, overdue))


@pytest.mark.django_db
def test_migration_that_is_not_applied_fails_the_database():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'tradingbot'")
    part = readiness(AT)["database"]
    assert part["state"] == "failed"
    assert "not applied" in part["detail"]


def test_no_part_raises_without_a_database(monkeypatch):
    def broken(*args, **kwargs):
        raise DatabaseError("away")

    for name in ("MigrationExecutor", "last_heartbeat", "lease_until"):
        monkeypatch.setattr(subject, name, broken)
    monkeypatch.setattr(subject.BotRun, "objects", Broken())
    states = {name: part.state for name, part in parts(AT).items()}
    assert states["database"] is State.FAILED
    assert {states["worker"], states["beat"], states["market_data"]} == {State.UNKNOWN}
