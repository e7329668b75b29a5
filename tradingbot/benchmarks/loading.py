"""Loading a million stored candles, on an SQLite database of its own in the given folder or on an empty one elsewhere.

python -m tradingbot.benchmarks.loading FILE FOLDER [DATABASE_URL]
"""

import argparse
import json
import os
import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPEAT = 7
AT = datetime(2030, 1, 1, tzinfo=UTC)


def measured(path: Path, database_url: str) -> dict[str, Any]:
    import django

    os.environ["DATABASE_URL"] = database_url
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tradingbot.settings")
    django.setup()
    from django.core.management import call_command

    from exchanges import candle_store
    from tradingbot.benchmarks import market

    call_command("migrate", "exchanges", verbosity=0)
    candles = market.read(path)
    key = ("benchmark", "BTC/USDT", "1m")
    candle_store.save(*key, candles, "benchmark", AT)
    walls, cpus = [], []
    for _ in range(REPEAT + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        loaded = candle_store.load(*key)
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return {
        "system": "ours-load",
        "variant": "plain",
        "candles": len(loaded),
        "seconds": statistics.median(walls[1:]),
        "cpu_s": statistics.median(cpus[1:]),
        "entries_sha": "",
    }


def main() -> None:
    parser = argparse.ArgumentParser("python -m tradingbot.benchmarks.loading", description=__doc__)
    parser.add_argument("path", metavar="FILE", type=Path)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="For the database.")
    parser.add_argument("database_url", metavar="DATABASE_URL", nargs="?", help="Another database than SQLite's.")
    options = parser.parse_args()
    database_url = options.database_url or f"sqlite:///{options.folder / 'benchmark.sqlite3'}"
    sys.stdout.write(json.dumps(measured(options.path, database_url)) + "\n")


if __name__ == "__main__":
    main()
