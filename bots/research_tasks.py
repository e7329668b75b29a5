"""Celery's doorbells for research: long work in its own queue, behind everything that trades."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from celery import shared_task
from kombu.exceptions import OperationalError

from bots import backtests, downloads, sweeps

#: Messages per sweep: as many workers may take part at once.
HANDS = 4
SOFT_LIMIT, LIMIT = 900, 960


def now() -> datetime:
    return datetime.now(UTC)


@shared_task(name="bots.tasks.research_backtest", soft_time_limit=SOFT_LIMIT, time_limit=LIMIT)
def research_backtest(backtest_id: int) -> None:
    backtests.run(backtest_id, now)


@shared_task(name="bots.tasks.research_sweep", soft_time_limit=SOFT_LIMIT, time_limit=LIMIT)
def research_sweep(sweep_id: int) -> None:
    sweeps.work(sweep_id, now)


@shared_task(name="bots.tasks.research_download", soft_time_limit=SOFT_LIMIT, time_limit=LIMIT)
def research_download(download_id: int) -> None:
    downloads.work(download_id, now)


def ring(task: Any, pk: int) -> None:
    """Have it begun at once; without a broker the next look for due work finds it."""
    with suppress(OperationalError):
        task.apply_async(args=(pk,), expires=60, retry=False)


@shared_task(name="bots.tasks.research_due")
def research_due() -> None:
    """Rings for everything that waits: new work whose message was lost, and work that a dead worker left behind."""
    at = now()
    for backtest_id in backtests.waiting(at):
        research_backtest.apply_async(args=(backtest_id,), expires=30)
    for sweep_id in sweeps.waiting(at):
        for _ in range(HANDS):
            research_sweep.apply_async(args=(sweep_id,), expires=30)
    for download_id in downloads.waiting(at):
        research_download.apply_async(args=(download_id,), expires=30)
