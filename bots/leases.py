"""At most one worker acts on a run: a lease by compare-and-swap, whose epoch every write checks."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db.models import F, Q

from bots.models import BotRun

LEASE = timedelta(seconds=30)


def take(run: BotRun, owner: str, at: datetime) -> int | None:
    """The new epoch, or None when another worker holds the run."""
    taken = BotRun.objects.filter(pk=run.pk, lease_epoch=run.lease_epoch).filter(
        Q(lease_until=None) | Q(lease_until__lte=at)
    )
    if not taken.update(lease_owner=owner, lease_until=at + LEASE, lease_epoch=F("lease_epoch") + 1):
        return None
    run.lease_epoch += 1
    return run.lease_epoch


def release(run: BotRun, epoch: int) -> None:
    BotRun.objects.filter(pk=run.pk, lease_epoch=epoch).update(lease_owner="", lease_until=None)


@contextmanager
def leased(run: BotRun, owner: str, at: datetime) -> Iterator[int | None]:
    """Yields the epoch, or None; a worker that dies leaves the lease to run out."""
    epoch = take(run, owner, at)
    try:
        yield epoch
    finally:
        if epoch is not None:
            release(run, epoch)
