"""Leases and heartbeats: compare-and-swap writes that hold on SQLite and PostgreSQL alike."""

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.db.models import Q

from tradingbot.models import Heartbeat, Lease

BEAT = "beat"
WORKER = "worker"


def take_lease(name: str, holder: str, *, at: datetime, seconds: float) -> bool:
    """Take or renew; True if `holder` has the lease for `seconds` from `at`."""
    until = at + timedelta(seconds=seconds)
    free = Q(holder=holder) | Q(until__lte=at)
    if Lease.objects.filter(free, name=name).update(holder=holder, until=until):
        return True
    if Lease.objects.filter(name=name).exists():
        return False
    try:
        with transaction.atomic():
            Lease.objects.create(name=name, holder=holder, until=until)
    except IntegrityError:
        return False
    return True


def release_lease(name: str, holder: str, *, at: datetime) -> None:
    """Let the next holder take it at once; nothing happens unless `holder` has it."""
    Lease.objects.filter(name=name, holder=holder, until__gt=at).update(until=at)


def end_lease(name: str, *, at: datetime) -> None:
    """Whoever has it: for one who knows that the holder is gone."""
    Lease.objects.filter(name=name, until__gt=at).update(until=at)


def lease_until(name: str) -> datetime | None:
    return Lease.objects.filter(name=name).values_list("until", flat=True).first()


def record_heartbeat(name: str, *, at: datetime) -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"at": at})


def last_heartbeat(name: str) -> datetime | None:
    return Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()
