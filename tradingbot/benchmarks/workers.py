"""A sweep by one, two or more processes that take its parts as Celery's workers do, on a database of its own.

python -m tradingbot.benchmarks.workers FILE FOLDER [WORKERS …]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KEY = ("benchmark", "BTC/USDT", "1m")
GRID = {
    "rsi_period": list(range(6, 26)),
    "oversold": list(range(15, 35)),
    "overbought": [60 + half / 2 for half in range(50)],
}
TOP = 20


def at_home(folder: Path) -> None:
    import django

    os.environ["DATABASE_URL"] = f"sqlite:///{folder / 'workers.sqlite3'}"
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
    django.setup()


def submitted() -> int:
    """A sweep of 20,000 sets, ready to be worked on."""
    from accounts.audit import CONSOLE
    from accounts.models import User
    from bots import sweeps

    user, _ = User.objects.get_or_create(email="benchmark@example.com")
    exchange, symbol, timeframe = KEY
    asked = {"exchange": exchange, "symbol": symbol, "timeframe": timeframe, "capital": "1000000", "fee": "0.001"}
    plan = {"grid": GRID, "objective": "return_pct", "top": TOP}
    given = {"strategy": "rsi_cross", "params": {"rsi_method": "wilder"}, **asked, **plan}
    return sweeps.submit(user, given, datetime.now(UTC), CONSOLE).pk


def work(sweep_id: int, workers: int, path: Path, folder: Path) -> dict[str, Any]:
    """From the first part's beginning to the last one's end, and to the ranking's."""
    from bots.models import JobState, Sweep, SweepPart

    module = [sys.executable, "-m", "tradingbot.benchmarks.workers"]
    command = [*module, "--work", str(sweep_id), str(path), str(folder)]
    # Our own module, and a number of ours.
    children = [subprocess.Popen(command) for _ in range(workers)]  # noqa: S603
    for child in children:
        child.wait()
    row, parts = Sweep.objects.get(pk=sweep_id), SweepPart.objects.filter(sweep=sweep_id)
    if row.state != JobState.DONE or row.finished_at is None:
        raise RuntimeError(f"The sweep ended as {row.state}: {row.error}")
    began = min(part.started_at for part in parts if part.started_at)
    ended = max(part.finished_at for part in parts if part.finished_at)
    return {
        "workers": workers,
        "sets": row.sets,
        "parts_s": (ended - began).total_seconds(),
        "whole_s": (row.finished_at - began).total_seconds(),
        "result": row.result_sha256[:12],
    }


def take_parts(sweep_id: int) -> None:
    """What a worker's task does, again and again until nothing is left."""
    from bots import sweeps

    while sweeps.work(sweep_id, lambda: datetime.now(UTC)):
        time.sleep(0.01)


def main() -> None:
    parser = argparse.ArgumentParser("python -m tradingbot.benchmarks.workers", description=__doc__)
    parser.add_argument("path", metavar="FILE", type=Path)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="For the database.")
    parser.add_argument("workers", metavar="WORKERS", type=int, nargs="*", help="Default: 1 and then 2.")
    parser.add_argument("--work", metavar="SWEEP", type=int, help="Only take this sweep's parts.")
    options = parser.parse_args()
    at_home(options.folder)
    if options.work is not None:
        take_parts(options.work)
        return
    from django.core.management import call_command

    from accounts.audit import CONSOLE
    from exchanges import candle_store
    from strategies import operations as strategies
    from tradingbot.benchmarks import market

    call_command("migrate", verbosity=0)
    strategies.sync(datetime.now(UTC), CONSOLE)
    candle_store.save(*KEY, market.read(options.path), "benchmark", datetime.now(UTC))
    for workers in options.workers or [1, 2]:
        sys.stdout.write(json.dumps(work(submitted(), workers, options.path, options.folder)) + "\n")


if __name__ == "__main__":
    main()
