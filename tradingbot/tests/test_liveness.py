"""Leases pass from hand to hand only when they are over, and heartbeats keep one row each."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from tradingbot.liveness import (
    end_lease,
    last_heartbeat,
    lease_until,
    record_heartbeat,
    release_lease,
    take_lease,
)
from tradingbot.models import Heartbeat, Lease

AT = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.django_db
def test_lease_held_is_refused_to_another():
    assert take_lease("beat", "one", at=AT, seconds=10)
    assert not take_lease("beat", "two", at=AT + timedelta(seconds=9.9), seconds=10)
    assert lease_until("beat") == AT + timedelta(seconds=10)


@pytest.mark.django_db
def test_lease_is_renewed_by_its_holder():
    take_lease("beat", "one", at=AT, seconds=10)
    assert take_lease("beat", "one", at=AT + timedelta(seconds=5), seconds=10)
    assert lease_until("beat") == AT + timedelta(seconds=15)


@pytest.mark.django_db
def test_lease_that_is_over_goes_to_the_next_and_not_back():
    take_lease("beat", "one", at=AT, seconds=10)
    later = AT + timedelta(seconds=10)
    assert take_lease("beat", "two", at=later, seconds=10)
    assert not take_lease("beat", "one", at=later, seconds=10)


@pytest.mark.django_db
def test_lease_released_is_free_at_once():
    take_lease("beat", "one", at=AT, seconds=10)
    release_lease("beat", "one", at=AT)
    assert take_lease("beat", "two", at=AT, seconds=10)


@pytest.mark.django_db
def test_lease_of_a_holder_that_is_gone_is_ended():
    take_lease("beat", "one", at=AT, seconds=10)
    end_lease("beat", at=AT)
    assert take_lease("beat", "two", at=AT, seconds=10)


@pytest.mark.django_db
def test_lease_is_not_released_by_a_stranger():
    take_lease("beat", "one", at=AT, seconds=10)
    release_lease("beat", "two", at=AT)
    assert not take_lease("beat", "two", at=AT, seconds=10)


@pytest.mark.django_db
def test_lease_of_another_name_is_another_lease():
    assert take_lease("beat", "one", at=AT, seconds=10)
    assert take_lease("other", "two", at=AT, seconds=10)


@pytest.mark.django_db(transaction=True)
def test_lease_wanted_by_many_at_once_goes_to_one():
    barrier, results = threading.Barrier(6), []

    def want(holder: str) -> None:
        barrier.wait()
        results.append(take_lease("beat", holder, at=AT, seconds=10))
        connection.close()

    threads = [threading.Thread(target=want, args=(str(number),)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False] * 5 + [True]
    assert Lease.objects.count() == 1


@pytest.mark.django_db
def test_heartbeat_keeps_its_latest_instant_only():
    assert last_heartbeat("worker") is None
    record_heartbeat("worker", at=AT)
    record_heartbeat("worker", at=AT + timedelta(seconds=10))
    assert last_heartbeat("worker") == AT + timedelta(seconds=10)
    assert Heartbeat.objects.count() == 1


@pytest.mark.django_db
def test_rows_name_themselves():
    take_lease("beat", "one", at=AT, seconds=10)
    record_heartbeat("worker", at=AT)
    assert str(Lease.objects.get()) == "beat of one"
    assert str(Heartbeat.objects.get()) == "worker at 2026-01-01 00:00:00"
