"""At most one worker acts on a run: a lease by compare-and-swap, whose epoch every write checks."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.db.models import F, Q

from bots.models import BotRun

LEASE = timedelta(seconds=30)
#: So much of a machine's name stands in a lease that the process's number always does, too.
MACHINE_CHARS = 52


def owner_name() -> str:
    """Machine and process: who holds a lease, and whether it can still be alive."""
    return f"{_machine()}:{os.getpid()}"


def _machine() -> str:
    return socket.gethostname()[:MACHINE_CHARS]


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


def release_dead(at: datetime) -> int:
    """End the leases of this machine's processes that are gone, before this process takes any; how many there were.

    Another machine's process may live, so its lease runs out by itself, and so does one whose number a new process
    has taken. Should an owner live unseen (in a container of the same name), the new epoch keeps it from writing.
    """
    released = 0
    held = BotRun.objects.filter(lease_until__gt=at, lease_owner__startswith=f"{_machine()}:")
    for pk, epoch, owner in held.values_list("pk", "lease_epoch", "lease_owner"):
        if not _lives(owner.rpartition(":")[2]):
            dead = BotRun.objects.filter(pk=pk, lease_epoch=epoch, lease_owner=owner)
            released += dead.update(lease_owner="", lease_until=None, lease_epoch=F("lease_epoch") + 1)
    return released


def _lives(pid: str) -> bool:
    """Whether another process than this new one has the number: in a container each start may get the same."""
    if not pid.isdigit():
        return True
    if int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
