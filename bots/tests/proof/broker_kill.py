"""`python -m bots.tests.proof.broker_kill`: Redis dies with hundreds of tasks queued, again and again, then stays away.

Real workers, a real beat, a Redis that keeps nothing. After each kill every due row must be done soon after Redis is
back, once; while it stays away, positions that reach their stop must be sold within two of the scan's ticks.
"""

import argparse
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from bots.tests.proof.fleet import START_SECONDS, Broker, Fleet, stage, wait_until

#: Candles that do not close while a round is on, but for the full hour's.
TIMEFRAMES = ("1h", "2h", "4h", "6h", "8h", "12h", "1d")
SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")
DONE_WITHIN = 30.0
GIVE_UP = 180.0
TICK_SECONDS = 5
TICKS_LATE = 2
SINK_EVERY = 12.0


def now() -> datetime:
    return datetime.now(UTC)


class Runs:
    """Paper runs on the demo market: ``due`` at will, or ``held`` with a stop far below."""

    def __init__(self, due: int, held: int) -> None:
        from bots.testing import make_user

        self.owner = make_user("proof@example.com")
        self.due = [self._start(number) for number in range(due)]
        self.held = [self._holding(number) for number in range(held)]

    def _start(self, number: int) -> int:
        from accounts.audit import CONSOLE
        from bots import lifecycle

        symbol, timeframe = SYMBOLS[number % len(SYMBOLS)], TIMEFRAMES[number % len(TIMEFRAMES)]
        limits = {"stop_loss_pct": "50"}
        wanted = lifecycle.StartRequest(
            self.owner, "rsi_cross", symbol, timeframe, "demo", Decimal(1000), limits=limits
        )
        return lifecycle.start(wanted, now(), CONSOLE).pk

    def _holding(self, number: int) -> int:
        from bots import acting
        from bots.core.codes import Code
        from bots.core.decision import entry_intent, judged
        from bots.models import BotRun
        from bots.orders import Cause

        run = BotRun.objects.select_related("account", "account__wallet", "account__key").get(pk=self._start(number))
        at = now()
        # Nothing but the stop is to sell it: its candles are told.
        BotRun.objects.filter(pk=run.pk).update(next_check_at=at + timedelta(days=2))
        acting.act(
            run, Cause("manual:proof", "proof"),
            lambda seen: judged(entry_intent(seen), seen, Code.SIGNAL_BUY, "For the proof."), at,
        )  # fmt: skip
        return int(run.pk)

    def make_due(self) -> datetime:
        """One closed candle of each run is unseen, and its row is due."""
        from bots.models import BotRun, Decision
        from exchanges.core.candles import from_ms, timeframe_ms, to_ms

        at = now()
        Decision.objects.filter(run__in=self.due, order=None).delete()
        for timeframe in TIMEFRAMES:
            step = timeframe_ms(timeframe)
            seen = from_ms((to_ms(at) // step - 2) * step)
            BotRun.objects.filter(pk__in=self.due, timeframe=timeframe).update(last_candle_at=seen, next_check_at=at)
        return at

    def waiting(self, marker: datetime) -> int:
        from bots.models import BotRun

        return BotRun.objects.filter(pk__in=self.due, next_check_at__lte=marker).count()

    def wrong(self) -> list[str]:
        """Candles that were decided twice or not at all, and orders beyond one per cause."""
        from django.db.models import Count

        from bots.models import Decision, Order

        told = Decision.objects.filter(run__in=self.due, decision_key__endswith=":signal", run__held=0)
        twice = told.values("run", "candle_opened_at").annotate(times=Count("id")).filter(times__gt=1).count()
        never = len(self.due) - Decision.objects.filter(run__in=self.due).values("run").distinct().count()
        orders = Order.objects.values("run", "decision_key").annotate(times=Count("id")).filter(times__gt=1).count()
        found = {"decided twice": twice, "never decided": never, "causes with two orders": orders}
        return [f"{count} {what}" for what, count in found.items() if count]


def _pause(fleet: Fleet) -> None:
    """Stop the workers between two writes: a stopped writer would lock SQLite for everybody."""
    from django.db import OperationalError, connection, transaction

    for _ in range(200):
        fleet.send(signal.SIGSTOP, "worker")
        try:
            if connection.vendor == "sqlite":
                connection.cursor().execute("PRAGMA busy_timeout = 300")
            with transaction.atomic():
                return
        except OperationalError:
            fleet.send(signal.SIGCONT, "worker")
            time.sleep(0.1)
        finally:
            if connection.vendor == "sqlite":
                connection.cursor().execute("PRAGMA busy_timeout = 20000")
    raise TimeoutError("The workers are never between two writes.")


def one_kill(broker: Broker, fleet: Fleet, runs: Runs, messages: int, chance: Random) -> dict[str, Any]:
    """Fill the queue while nobody looks, kill in the middle of the work, and time how the rows get done."""
    _pause(fleet)
    marker = runs.make_due()
    markets = [(symbol, timeframe) for symbol in SYMBOLS for timeframe in TIMEFRAMES]
    fleet.post([("bots.tasks.tick_market", ("demo", *markets[n % len(markets)])) for n in range(messages)])
    queued = broker.queued()
    fleet.send(signal.SIGCONT, "worker")
    time.sleep(chance.uniform(0.0, 0.6))
    left = runs.waiting(marker)
    broker.kill()
    time.sleep(chance.uniform(0.5, 4.0))
    broker.start()
    took = wait_until(lambda: not runs.waiting(marker), GIVE_UP, f"{runs.waiting(marker)} rows are still due")
    sys.stderr.write(f"{queued} queued, {left} due, done after {took:.1f} s\n")
    return {"queued": queued, "due at the kill": left, "seconds": round(took, 1), "wrong": runs.wrong()}


def absence(broker: Broker, runs: Runs, seconds: float) -> dict[str, Any]:
    """Redis stays away; one position after the other reaches its stop."""
    from bots.models import RunPosition, TradeLog

    broker.kill()
    marker, began, late = runs.make_due(), time.monotonic(), []
    for pk in runs.held:
        if time.monotonic() - began > seconds - 2 * SINK_EVERY:
            break
        row = RunPosition.objects.get(run=pk)
        RunPosition.objects.filter(pk=row.pk).update(entry_price=row.entry_price * 3)
        sold = TradeLog.objects.filter(run=pk, side="sell")
        late.append(wait_until(sold.exists, GIVE_UP, f"run {pk} still holds"))
        time.sleep(max(0.0, SINK_EVERY - late[-1]))
    time.sleep(max(0.0, seconds - (time.monotonic() - began)))
    away = time.monotonic() - began
    entries = TradeLog.objects.filter(run__in=runs.due, executed_at__gt=marker).count()
    broker.start()
    took = wait_until(lambda: not runs.waiting(marker), GIVE_UP, "rows are still due")
    sys.stderr.write(f"away {away:.0f} s, exits after {[round(each, 1) for each in late]} s\n")
    return {
        "away": round(away), "exits": len(late), "latest exit": round(max(late, default=0.0), 1),
        "median exit": round(sorted(late)[len(late) // 2], 1) if late else None,
        "entries while away": entries, "due rows done after": round(took, 1), "wrong": runs.wrong(),
    }  # fmt: skip


def failures(kills: Sequence[dict[str, Any]], away: dict[str, Any] | None) -> list[str]:
    wrong = [f"kill {number}: {text}" for number, kill in enumerate(kills) for text in kill["wrong"]]
    slow = [kill["seconds"] for kill in kills if kill["seconds"] > DONE_WITHIN]
    wrong += [f"{len(slow)} kills took longer, up to {max(slow)} s"] if slow else []
    if away is not None:
        wrong += [f"absence: {text}" for text in away["wrong"]]
        if away["latest exit"] > TICKS_LATE * TICK_SECONDS:
            wrong.append(f"absence: an exit came {away['latest exit']} s late")
        if away["entries while away"]:
            wrong.append(f"absence: {away['entries while away']} entries")
        if away["due rows done after"] > DONE_WITHIN:
            wrong.append(f"absence: due rows were done {away['due rows done after']} s after")
    return wrong


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="broker_kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--runs", type=int, default=600, help="due rows, and messages in the queue")
    parser.add_argument("--absence", type=float, default=600.0, help="seconds without Redis at the end; 0: none")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options, began = parse(arguments), time.monotonic()
    chance, held = Random(options.seed), int(options.absence / SINK_EVERY)
    with stage(options.postgres, EXITS_SCAN_SECONDS=str(TICK_SECONDS)) as (broker, fleet):
        from tradingbot.tests.pulse import worker_was_heard

        runs = Runs(options.runs, held)
        for name in (*(f"worker{number}" for number in range(options.workers)), "beat"):
            fleet.start(name)
        wait_until(worker_was_heard, START_SECONDS, "no heartbeat")
        # Each worker has seen each market once: cold candles of the demo market take long to compute.
        marker = runs.make_due()
        wait_until(lambda: not runs.waiting(marker), GIVE_UP, "rows are due without any kill")
        kills = [one_kill(broker, fleet, runs, options.runs, chance) for _ in range(options.kills)]
        away = absence(broker, runs, options.absence) if options.absence else None
        wrong = failures(kills, away)
    seconds = sorted(kill["seconds"] for kill in kills)
    found: dict[str, Any] = {
        "kills": len(kills), "queued": sorted(kill["queued"] for kill in kills),
        "due at the kill": sorted(kill["due at the kill"] for kill in kills),
        "seconds until done": seconds, "deaths": fleet.deaths,
        "absence": away, "load": [round(load, 1) for load in os.getloadavg()],
        "took": round(time.monotonic() - began, 1), "failures": wrong,
    }  # fmt: skip
    json.dump(found, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
