"""Celery's doorbells for drift reports: the days that are due, and each of them."""

from datetime import UTC, datetime

from celery import shared_task

from bots import drift

SOFT_LIMIT, LIMIT = 900, 960


def now() -> datetime:
    return datetime.now(UTC)


@shared_task(name="bots.tasks.research_drift", soft_time_limit=SOFT_LIMIT, time_limit=LIMIT)
def research_drift(report_id: int) -> None:
    drift.run(report_id, now)


@shared_task(name="bots.tasks.research_drift_due")
def research_drift_due() -> None:
    """Queues the days that are over and that nobody compared, and rings for all that wait or were left behind."""
    at = now()
    drift.plan(at)
    for report_id in drift.waiting(at):
        research_drift.apply_async(args=(report_id,), expires=240)
