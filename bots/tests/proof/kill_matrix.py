"""`python -m bots.tests.proof.kill_matrix`: kill at every crash point, recover, and compare with the exchange."""

import argparse
import contextlib
import gc
import json
import multiprocessing
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TypeVar

from bots.tests.proof.surroundings import prepare

T = TypeVar("T")
NAMES = ("entry", "exit", "stop", "resting", "cancel", "rotation", "close", "grid", "grid close")


def shard(
    number: int,
    procs: int,
    options: argparse.Namespace,
    server: str,
    results: "multiprocessing.Queue[dict[str, object]]",
) -> None:
    """One process's share of the runs: scenarios turn by turn."""
    with tempfile.TemporaryDirectory(prefix="proof-", dir=_memory()) as name:
        folder = Path(name)
        from bots.tests.proof.stores import PostgresStore, SqliteStore, Store

        store: Store = PostgresStore(folder, server, f"proof{number}") if server else SqliteStore(folder)
        prepare(folder, store.url)
        from bots.tests.proof.harness import MODES, Harness, judge
        from bots.tests.proof.terms import Tally

        harness, tally = Harness(folder, store, http=options.http), Tally()
        # Children live for a fraction of a second: they neither collect garbage nor copy what they inherit.
        gc.freeze()
        gc.disable()
        share = -(-options.runs // procs)
        # The points of one seed are shared out; where a seed is one run, the seeds are.
        points = options.mode in ("kill", "switch")
        seed = options.seed + (0 if points else number)
        while tally.runs < share:
            runs = [
                MODES[options.mode](harness, scenario, seed, options.stride, options.double, tally)
                for scenario in options.scenario or NAMES
            ]
            judge(turn_by_turn([islice(each, number, None, procs) for each in runs] if points else runs), tally, share)
            seed += 1 if points else procs
        results.put(asdict(tally))


def turn_by_turn(sources: Iterable[Iterator[T]]) -> Iterator[T]:
    """One of each, again and again: however few runs there are, no scenario is left out."""
    waiting = deque(sources)
    while waiting:
        source = waiting.popleft()
        for one in islice(source, 1):
            yield one
            waiting.append(source)


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextlib.contextmanager
def server(wanted: bool) -> Iterator[str]:
    if not wanted:
        yield ""
        return
    from tradingbot.tests.servers import postgres

    with postgres() as url:
        yield url


def run(options: argparse.Namespace) -> dict[str, object]:
    from bots.tests.proof.terms import Tally

    began, total = time.monotonic(), Tally()
    context = multiprocessing.get_context("spawn")
    with server(options.postgres) as url:
        results = context.Queue()
        shards = [
            context.Process(target=shard, args=(number, options.procs, options, url, results))
            for number in range(options.procs)
        ]
        for each in shards:
            each.start()
        for _ in shards:
            total.add(Tally(**_taken(results, shards)))
        for each in shards:
            each.join()
    spent = time.monotonic() - began
    told = asdict(total) | {"rested": total.told_rest()}
    return told | {"seconds": round(spent, 1), "failures": total.failures(busy=not options.double)[:20]}


def _taken(
    results: "multiprocessing.Queue[dict[str, object]]", shards: list[multiprocessing.Process]
) -> dict[str, object]:
    import queue

    while True:
        with contextlib.suppress(queue.Empty):
            return results.get(timeout=1)
        if any(each.exitcode not in (None, 0) for each in shards):
            raise SystemExit("A shard ended without a result.")


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="kill_matrix", description=__doc__)
    parser.add_argument("--runs", type=int, default=900, help="at least so many kills")
    parser.add_argument("--mode", choices=("kill", "switch", "race", "freeze", "restore"), default="kill")
    parser.add_argument("--scenario", action="append", choices=NAMES)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--stride", type=int, default=1, help="every n-th crash point")
    parser.add_argument("--double", type=int, default=0, help="kills inside the recovery")
    parser.add_argument("--procs", type=int, default=2)
    parser.add_argument("--http", action="store_true", help="through ccxt against the loopback exchange")
    parser.add_argument("--postgres", action="store_true")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    found = run(parse(arguments))
    kinds = found.pop("kinds")
    json.dump(found | {"point kinds": len(kinds)}, sys.stdout, indent=2)  # type: ignore[arg-type]
    sys.stdout.write("\n")
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
