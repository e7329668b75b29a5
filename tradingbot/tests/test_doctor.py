"""The doctor's findings, repairs and exit codes."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from tradingbot import diagnosis
from tradingbot.diagnosis import REPAIRS, diagnose
from tradingbot.health import State
from tradingbot.liveness import BEAT, WORKER, record_heartbeat, take_lease

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(diagnosis, "CLOCK_SECONDS", 0.01)


@pytest.fixture
def well(settings, redis_url):
    settings.REDIS_URL = redis_url
    at = timezone.now()
    record_heartbeat(WORKER, at=at)
    take_lease(BEAT, "one", at=at, seconds=60)


def doctor(*options: str) -> str:
    out = StringIO()
    call_command("doctor", *options, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_platform_that_is_well_passes(well):
    report = doctor()
    assert "ok       database" in report
    assert "→" not in report


def test_json_is_one_document(well):
    report = json.loads(doctor("--json"))
    assert report["ok"] is True
    assert {check["name"] for check in report["checks"]} >= {"keys", "database", "broker", "worker", "beat", "clock"}


def test_platform_that_is_ill_exits_with_four_and_says_how_to_repair():
    out = StringIO()
    with pytest.raises(CommandError, match="worker") as caught:
        call_command("doctor", stdout=out)
    assert caught.value.returncode == 4
    assert REPAIRS["worker"] in out.getvalue()
    assert REPAIRS["broker"] in out.getvalue()


@pytest.mark.parametrize(
    ("readings", "state"),
    [
        # The steady clock, the wall clock and the steady one again, twice.
        ([5.0, 1005.0, 5.0, 6.0, 1006.0, 6.0], State.OK),
        ([5.0, 1005.0, 5.0, 6.0, 1009.0, 6.0], State.FAILED),
        ([5.0, 1005.0, 5.0, 6.0, 1005.9, 6.0], State.FAILED),
        # A pause of the whole machine is no jump.
        ([5.0, 1005.0, 5.4, 6.0, 1006.4, 6.4], State.OK),
        ([5.0, 1005.0, 5.4, 6.0, 1009.4, 6.4], State.FAILED),
    ],
)
def test_clock_that_jumps_is_found(monkeypatch, readings, state):
    following = iter(readings).__next__
    monkeypatch.setattr(diagnosis, "time", SimpleNamespace(monotonic=following, time=following, sleep=lambda _: None))
    assert diagnosis._clock().state is state


def test_clock_that_runs_evenly_is_ok():
    assert diagnosis._clock().state is State.OK


@pytest.mark.parametrize(
    ("seconds", "state"), [(0.9, State.OK), (-1.5, State.DEGRADED), (2.5, State.FAILED), (-60, State.FAILED)]
)
def test_skew_is_judged_by_its_size(seconds, state):
    ours = datetime(2026, 1, 1, tzinfo=UTC)
    assert diagnosis._skew(ours + timedelta(seconds=seconds), ours).state is state


def test_exchange_clock_is_asked_only_on_request(well):
    at = timezone.now()
    assert not [finding for finding in diagnose(at) if "demo" in finding.name]
    (finding,) = [finding for finding in diagnose(at, "demo") if "demo" in finding.name]
    assert finding.well


def test_key_that_is_missing_from_the_ring_is_named(well, exchange_key):
    exchange_key(key_id="deadbeef")
    (finding,) = [finding for finding in diagnose(timezone.now()) if finding.name == "keys"]
    assert "deadbeef" in finding.part.detail
    assert "key_rotate" in finding.repair
