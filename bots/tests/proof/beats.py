"""`python -m bots.tests.proof.beats`: two beats, killed, stopped and started again at random, for many ticks.

Real beats, a real worker, a real broker. Every candle of runs on five-second candles must be told once, none twice.
"""

import argparse
import json
import os
import signal
import sys
import time
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from bots.tests.proof.fleet import START_SECONDS, Fleet, stage, wait_until

TIMEFRAME = "5s"
STEP = timedelta(seconds=5)
#: The last candles may still be on their way.
SETTLE_SECONDS = 25.0


def start_runs(count: int) -> list[int]:
    from accounts.audit import CONSOLE
    from bots import lifecycle
    from bots.testing import make_user
    from bots.tests.proof.broker_kill import SYMBOLS, now

    owner = make_user("proof@example.com")
    wanted = [
        lifecycle.StartRequest(owner, "rsi_cross", SYMBOLS[number % 3], TIMEFRAME, "demo", Decimal(1000))
        for number in range(count)
    ]
    return [lifecycle.start(each, now(), CONSOLE).pk for each in wanted]


def trouble(fleet: Fleet, chance: Random, until: float) -> dict[str, int]:
    """Kill, stop politely or freeze one of the beats every few seconds; it comes back at once or later."""
    done = {"killed": 0, "stopped": 0, "frozen": 0}
    while time.monotonic() < until:
        time.sleep(chance.uniform(1.0, 6.0))
        name, kind = chance.choice(["beat0", "beat1"]), chance.choice(sorted(done))
        done[kind] += 1
        if kind == "frozen":
            fleet.processes[name].send_signal(signal.SIGSTOP)
            time.sleep(chance.uniform(1.0, 14.0))
            fleet.processes[name].send_signal(signal.SIGCONT)
            continue
        fleet.stop(name, signal.SIGKILL if kind == "killed" else signal.SIGTERM)
        time.sleep(chance.uniform(0.0, 8.0))
        fleet.start(name)
    return done


def judged(runs: list[int], began: datetime, ended: datetime) -> dict[str, Any]:
    """Candles told once, more than once, or never, over all runs."""
    from django.db.models import Count

    from bots.models import Decision, Order

    told, twice, missed = 0, 0, 0
    for run in runs:
        rows = Decision.objects.filter(run=run, candle_opened_at__gte=began, candle_opened_at__lte=ended)
        by_candle = rows.values("candle_opened_at").annotate(times=Count("id"))
        times = {row["candle_opened_at"]: row["times"] for row in by_candle}
        expected = [began + STEP * number for number in range(int((ended - began) / STEP) + 1)]
        missed += sum(at not in times for at in expected)
        twice += sum(count > 1 for count in times.values())
        told += len(times)
    orders = Order.objects.values("run", "decision_key").annotate(times=Count("id")).filter(times__gt=1).count()
    return {"candles told": told, "missed": missed, "told twice": twice, "causes with two orders": orders}


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="beats", description=__doc__)
    parser.add_argument("--ticks", type=int, default=200, help="seconds: beat rings once in each")
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = parse(arguments)
    with stage() as (_, fleet):
        from bots.tests.proof.broker_kill import now
        from exchanges.core.candles import from_ms, to_ms
        from tradingbot.tests.pulse import worker_was_heard

        runs = start_runs(options.runs)
        for name in ("worker0", "beat0", "beat1"):
            fleet.start(name)
        wait_until(worker_was_heard, START_SECONDS, "no heartbeat")
        step = int(STEP.total_seconds() * 1000)
        began = from_ms(to_ms(now()) // step * step)
        luck = trouble(fleet, Random(options.seed), time.monotonic() + options.ticks)
        ended = from_ms((to_ms(now()) // step - 1) * step)
        time.sleep(SETTLE_SECONDS)
        found = judged(runs, began, ended)
        seconds = (ended - began).total_seconds()
    wrong = [f"{found[name]} {name}" for name in ("missed", "told twice", "causes with two orders") if found[name]]
    load = [round(each, 1) for each in os.getloadavg()]
    told = {"seconds": seconds, **luck, **found, "deaths": fleet.deaths, "load": load, "failures": wrong}
    json.dump(told, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
