"""Research by real workers over a real broker: one is killed, another takes over, the result is the same."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db.models import F
from django.utils import timezone
from kombu import Connection

from bots import backtests, downloads, research_tasks, sweeps
from bots.models import Backtest, CandleDownload, JobState, Sweep, SweepPart
from bots.models.backtest import SILENCE
from bots.testing import learn_strategies, make_user
from bots.tests.research_cast import GIVEN, actor, stored
from exchanges import candle_store
from tradingbot.tests.places import PROJECT
from tradingbot.tests.test_exits import database_url
from tradingbot.tests.waiting import wait_for

pytestmark = [pytest.mark.redis, pytest.mark.slow, pytest.mark.django_db(transaction=True)]
#: Drawdowns look at every candle of every set: enough work to be killed in the middle of.
PLAN = {
    "grid": {
        "rsi_period": {"min": 4, "max": 33, "step": 1},
        "oversold": {"min": 20, "max": 38, "step": 3},
        "overbought": {"min": 60, "max": 78, "step": 3},
    },
    "objective": "max_drawdown_pct",
}
LONG = timedelta(seconds=60)


@contextlib.contextmanager
def worker(redis_url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {**os.environ, "DATABASE_URL": database_url(), "REDIS_URL": redis_url}
    argv = [
        *(sys.executable, "-m", "celery", "-A", "tradingbot", "worker", "--pool", "solo"),
        *("--queues", "research", "--without-gossip", "--without-mingle", "--hostname", f"{log.stem}@%h"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=PROJECT, env=environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def ring(redis_url: str, task: Any, pk: int) -> None:
    with Connection(redis_url.replace("unix://", "redis+socket://")) as broker:
        task.apply_async(args=(pk,), connection=broker, queue="research")


def killed_and_taken_over(
    redis_url: str, folder: Path, task: Any, row: Any, begun: Callable[[], bool], silent: Callable[[], object]
) -> None:
    """One worker dies by SIGKILL once ``begun``; ``silent`` lets a minute pass; a second one does the rest."""
    ring(redis_url, task, row.pk)
    with worker(redis_url, folder / "first.log") as first:
        wait_for(begun, 90)
        first.send_signal(signal.SIGKILL)
        first.wait()
    row.refresh_from_db()
    assert row.state == JobState.RUNNING
    silent()
    ring(redis_url, task, row.pk)
    with worker(redis_url, folder / "second.log"):
        wait_for(lambda: type(row).objects.get(pk=row.pk).state == JobState.DONE, 120)


def silence(rows: Any) -> None:
    rows.update(heartbeat_at=F("heartbeat_at") - SILENCE - LONG)


def test_sweep_of_a_killed_worker_ends_as_if_it_had_lived(redis_url: str, tmp_path: Path) -> None:
    learn_strategies()
    user = make_user()
    stored(17_000)
    whole, torn = (sweeps.submit(user, {**GIVEN, **PLAN}, timezone.now(), actor(user)) for _ in range(2))
    while sweeps.work(whole.pk, timezone.now):
        pass
    parts = SweepPart.objects.filter(sweep=torn)
    killed_and_taken_over(
        redis_url, tmp_path, research_tasks.research_sweep, torn,
        lambda: parts.filter(state=JobState.DONE).exists() and parts.filter(state=JobState.RUNNING).exists(),
        lambda: (silence(parts), silence(Sweep.objects.filter(pk=torn.pk))),
    )  # fmt: skip
    whole.refresh_from_db()
    torn.refresh_from_db()
    assert whole.state == JobState.DONE
    assert torn.result_sha256 == whole.result_sha256 != ""
    assert max(parts.values_list("attempts", flat=True)) == 2


def test_backtest_of_a_killed_worker_ends_as_if_it_had_lived(redis_url: str, tmp_path: Path) -> None:
    learn_strategies()
    user, at = make_user(), timezone.now()
    # Demo candles of an hour are summed from their seconds: long enough to be killed meanwhile.
    asked = {**GIVEN, "exchange": "demo", "since": at - timedelta(days=300), "until": at - timedelta(days=1)}
    torn = backtests.submit(user, asked, at, actor(user))
    rows = Backtest.objects.filter(pk=torn.pk)
    killed_and_taken_over(
        redis_url, tmp_path, research_tasks.research_backtest, torn,
        lambda: rows.filter(state=JobState.RUNNING).exists(), lambda: silence(rows),
    )  # fmt: skip
    whole = backtests.submit(user, torn.request, at, actor(user))
    backtests.run(whole.pk, timezone.now)
    whole.refresh_from_db()
    torn.refresh_from_db()
    assert (torn.attempts, torn.result_sha256) == (2, whole.result_sha256)


def test_download_of_a_killed_worker_is_completed(redis_url: str, tmp_path: Path) -> None:
    user, at = make_user(), timezone.now()
    wanted = {"exchange": "demo", "symbol": "BTC/USDT", "timeframe": "15m", "since": at - timedelta(days=400)}
    torn = downloads.submit(user, wanted, at, actor(user))
    rows = CandleDownload.objects.filter(pk=torn.pk)
    killed_and_taken_over(
        redis_url, tmp_path, research_tasks.research_download, torn,
        lambda: rows.filter(state=JobState.RUNNING, pages__gt=2).exists(), lambda: silence(rows),
    )  # fmt: skip
    known = candle_store.coverage("demo", "BTC/USDT", "15m")
    assert known is not None
    assert (known.candles, known.missing) == (torn.candles, 0)
