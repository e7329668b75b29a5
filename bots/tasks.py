"""Celery's doorbells: they read the clock, carry ids only, and may be lost, late or doubled."""

from datetime import UTC, datetime, timedelta

from celery import shared_task
from django.conf import settings

from bots import acting, assess, settling, tick, watch
from bots import drift_tasks as drift_tasks  # found by Celery through this module
from bots import research_tasks as research_tasks  # found by Celery through this module
from bots.models import Decision, Mode
from bots.tick import MarketKey

#: Real exchanges need a moment until a candle that has just closed is final.
CLOSE_GRACE = timedelta(milliseconds=1200)


def now() -> datetime:
    return datetime.now(UTC)


@shared_task
def tick_due_markets() -> None:
    at = now()
    settled = set(tick.due_markets(at - CLOSE_GRACE))
    for key in tick.due_markets(at):
        if key.exchange == "demo" or key in settled:
            tick_market.apply_async(args=(key.exchange, key.symbol, key.timeframe), expires=30)


@shared_task
def tick_market(exchange: str, symbol: str, timeframe: str) -> None:
    tick.tick_market(MarketKey(exchange, symbol, timeframe), now())


@shared_task
def watch_positions() -> None:
    watch.watch_positions(now())


@shared_task
def settle_orders() -> None:
    settling.settle_all(now(), acting.worker_name())


@shared_task
def reconcile_accounts() -> None:
    settling.reconcile_all(now(), acting.worker_name(), mode=Mode.LIVE)


@shared_task
def recheck_keys() -> None:
    assess.recheck_keys(now())


@shared_task
def assess_risk() -> None:
    assess.assess_risk(now())


@shared_task
def prune_journal() -> int:
    """HOLD rows of the demo market's second-candles would fill a disk; everything else is kept."""
    old = now() - timedelta(days=settings.JOURNAL_DEMO_DAYS)
    deleted, _ = Decision.objects.filter(run__exchange="demo", action="HOLD", order=None, at__lt=old).delete()
    return deleted
