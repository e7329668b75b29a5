"""Any number of beats may run; one leads, and the next takes over when it is gone."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import DatabaseError
from django_celery_beat.models import PeriodicTask

from tradingbot import beat
from tradingbot.celery import app
from tradingbot.liveness import BEAT, lease_until

AT = datetime(2026, 1, 1, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def clock():
    with time_machine.travel(AT, tick=False) as traveller:
        yield traveller


class Beat(beat.LeasedScheduler):
    """A scheduler that notes what it would send."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        # It would write to the database while the interpreter leaves.
        self._finalize.cancel()

    def apply_async(self, entry, producer=None, advance=True, **kwargs):
        self.sent = [*getattr(self, "sent", []), entry.task]

    producer = None


def run(scheduler: Beat, clock, seconds: int) -> list[str]:
    scheduler.sent = []
    for _ in range(seconds):
        clock.shift(1)
        scheduler._renewed = float("-inf")
        for _ in range(20):
            if scheduler.tick() > 0:
                break
    return scheduler.sent


def test_only_beat_leads_and_sends(clock):
    scheduler = Beat(app=app)
    sent = run(scheduler, clock, 20)
    assert scheduler.leads
    assert sent.count("tradingbot.tasks.heartbeat") in {1, 2}
    assert 18 <= sent.count("bots.tasks.tick_due_markets") <= 20


def test_second_beat_sends_nothing_while_the_first_leads(clock):
    first, second = Beat(app=app), Beat(app=app)
    first.tick()
    assert run(second, clock, 5) == []
    assert second.leads is False
    assert second.tick() == pytest.approx(beat.LeasedScheduler.lease_seconds / 3)


def test_second_beat_takes_over_once_the_lease_is_over(clock):
    first, second = Beat(app=app), Beat(app=app)
    first.tick()
    clock.shift(beat.LeasedScheduler.lease_seconds + 0.1)
    assert "bots.tasks.tick_due_markets" in run(second, clock, 3)
    assert run(first, clock, 3) == []
    assert first.leads is False


def test_beat_that_closes_hands_over_at_once(clock):
    first, second = Beat(app=app), Beat(app=app)
    first.tick()
    first.close()
    second.tick()
    assert second.leads


def test_lease_is_renewed_before_it_runs_out(clock):
    scheduler = Beat(app=app)
    scheduler.tick()
    run(scheduler, clock, 15)
    assert lease_until(BEAT) == AT + timedelta(seconds=25)


def test_lease_is_not_written_at_every_tick(clock, django_assert_num_queries):
    scheduler = Beat(app=app)
    while scheduler.tick() == 0:
        pass
    # Did the schedule change? Nothing else is asked until the lease wants renewal.
    with django_assert_num_queries(1):
        scheduler.tick()


def test_beat_without_a_database_does_not_lead(clock, monkeypatch):
    scheduler = Beat(app=app)

    def broken(*args, **kwargs):
        raise DatabaseError("away")

    monkeypatch.setattr(beat, "take_lease", broken)
    assert run(scheduler, clock, 2) == []
    assert scheduler.leads is False


def test_no_default_entries_are_installed(clock):
    Beat(app=app)
    assert not PeriodicTask.objects.filter(task="celery.backend_cleanup").exists()
