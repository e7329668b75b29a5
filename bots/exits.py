"""What must go on without beat and broker: stops, exits and reconciliation, found in the database alone."""

from dataclasses import dataclass, field
from datetime import datetime

from bots import acting, leases, reconcile, settling, watch
from bots.models import Mode


@dataclass(slots=True)
class ExitScan:
    """What one pass found: orders placed to sell, runs stopped, orders settled, and the faults."""

    at: datetime
    orders: list[int] = field(default_factory=list)
    stopped: list[int] = field(default_factory=list)
    settled: int = 0
    faults: list[str] = field(default_factory=list)


def begin(at: datetime) -> int:
    """What a worker does before anything else: take back the runs that dead processes of this machine still hold.

    Nothing is ordered on a live account before its exchange has shown what it knows.
    """
    reconcile.compare_first()
    return leases.release_dead(at)


def doubt(at: datetime) -> int:
    """Once at a worker's start: orders that somebody was sending are in doubt at once, and asked about.

    Should the sender live after all, the compare-and-swap keeps it harmless. Returns how many came to their end.
    """
    return settling.settle_all(at, acting.worker_name(), boot=True).ended


def scan(at: datetime, *, reconcile: bool = False) -> ExitScan:
    """Settle what is open and watch what is held, as beat's tasks do; leases make it harmless beside them.

    Entries are none of its business: nothing is ticked.
    """
    actor = acting.worker_name()
    settled = settling.settle_all(at, actor)
    watched = watch.watch_positions(at)
    found = ExitScan(at, watched.orders, watched.stopped, settled.ended, [*settled.faults, *watched.faults])
    if reconcile:
        found.faults += settling.reconcile_all(at, actor, mode=Mode.LIVE).faults
    return found
