"""The periodic tasks: declared here, kept in django-celery-beat's table, editable in the administration."""

from dataclasses import dataclass

from django.db import transaction
from django_celery_beat.models import IntervalSchedule, PeriodicTask

MARK = "Built in: "


@dataclass(frozen=True, slots=True)
class Periodic:
    """One task every so many seconds; a message older than `expires` is dropped, the next one does its work."""

    name: str
    task: str
    every: int
    expires: int
    # 0 is served first, 9 last: exits before entries, entries before data, data before reports.
    priority: int

    def __str__(self) -> str:
        return f"{MARK}{self.task} every {self.every} s, expires after {self.expires} s, priority {self.priority}"


SCHEDULE = (
    # Expiries are seconds, not fractions: clocks of two machines may differ by a second.
    Periodic("Tick the markets that are due", "bots.tasks.tick_due_markets", every=1, expires=3, priority=3),
    Periodic("Watch positions between candles", "bots.tasks.watch_positions", every=5, expires=5, priority=0),
    Periodic("Settle orders that are not final", "bots.tasks.settle_orders", every=5, expires=5, priority=0),
    Periodic("Compare accounts with exchanges", "bots.tasks.reconcile_accounts", every=60, expires=30, priority=3),
    Periodic("Ask what live keys may do", "bots.tasks.recheck_keys", every=900, expires=300, priority=6),
    Periodic("Assess risk", "bots.tasks.assess_risk", every=30, expires=15, priority=3),
    Periodic("Ring for research that waits", "bots.tasks.research_due", every=2, expires=2, priority=9),
    Periodic("Compare days with their replays", "bots.tasks.research_drift_due", every=300, expires=240, priority=9),
    Periodic("Prune the decision journal", "bots.tasks.prune_journal", every=3600, expires=1800, priority=9),
    Periodic("Heartbeat", "tradingbot.tasks.heartbeat", every=10, expires=10, priority=6),
)


@transaction.atomic
def sync_schedule() -> None:
    """Write what is declared. A row follows its declaration when that changes; until then an
    operator's edits stand, and whether it is enabled is always the operator's."""
    for periodic in SCHEDULE:
        row = PeriodicTask.objects.filter(name=periodic.name).first() or PeriodicTask(name=periodic.name)
        if row.description != str(periodic):
            _declare(row, periodic)
    names = [periodic.name for periodic in SCHEDULE]
    for row in PeriodicTask.objects.filter(description__startswith=MARK).exclude(name__in=names):
        row.delete()


def _declare(row: PeriodicTask, periodic: Periodic) -> None:
    row.interval, _ = IntervalSchedule.objects.get_or_create(every=periodic.every, period=IntervalSchedule.SECONDS)
    row.task = periodic.task
    row.expire_seconds = periodic.expires
    row.priority = periodic.priority
    row.description = str(periodic)
    # save(), not update(): a running beat notices only the former.
    row.save()
