"""`python -m bots.tests.proof.score_mutants`: every safeguard switched off, and after how many runs it was noticed."""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from pathlib import Path
from random import Random

from bots.tests.proof.mutants import BY_NAME, MUTANTS, Mutant
from bots.tests.proof.surroundings import prepare
from bots.tests.proof.terms import ChildFailed

CEILING = 1_000
WORKERS = 3


def score(name: str, ceiling: int, migrated: Path | None) -> dict[str, object]:
    """Runs until the first catch; at most ``ceiling``. In a process of its own."""
    mutant, began = BY_NAME[name], time.monotonic()
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="mutant-", dir=base) as text:
        folder = Path(text)
        from bots.tests.proof.stores import SqliteStore

        store = SqliteStore(folder)
        prepare(folder, store.url)
        from bots.tests.proof.harness import Harness

        harness = Harness(folder, store, mutant.mutate, mutant.without, migrated=migrated)
        for runs, wrong in enumerate(_runs(harness, mutant, ceiling), 1):
            # A child that fails by itself may owe it to a mutant that no longer fits the code: that is no catch.
            if wrong and not wrong[0].startswith("error: "):
                return {"mutant": name, "runs": runs, "caught": wrong[0][:160], "seconds": _since(began)}
    return {"mutant": name, "runs": ceiling, "caught": "", "seconds": _since(began)}


def _since(began: float) -> float:
    return round(time.monotonic() - began, 1)


def _runs(harness, mutant: Mutant, ceiling: int):  # type: ignore[no-untyped-def]
    """Verdicts, one after the other: points in random order under seed after seed."""
    done, seed = 0, 0
    while done < ceiling:
        seed += 1
        for scenario in mutant.scenarios:
            for run in _of_seed(harness, mutant, scenario, seed):
                try:
                    yield run()["wrong"]
                except ChildFailed as failure:
                    yield [f"error: {str(failure).strip().splitlines()[-1]}"]
                done += 1


def _of_seed(harness, mutant: Mutant, scenario: str, seed: int):  # type: ignore[no-untyped-def]
    if mutant.mode == "race":
        return [lambda: harness.raced_run(scenario, seed, WORKERS)]
    if mutant.mode == "restore":
        harness.prepare(scenario)
        return [lambda: harness.restored_run(scenario, seed)]
    try:
        dry = harness.dry_run(scenario, seed)
    except ChildFailed as failure:
        return [lambda text=str(failure): {"wrong": [f"error: {text.strip().splitlines()[-1]}"]}]
    points = Random(seed).sample(range(1, len(dry["names"]) + 1), min(10, len(dry["names"])))
    if mutant.mode == "switch":
        return [lambda p=p: harness.switched_run(scenario, seed, p) for p in points]
    return [lambda p=p: harness.killed_run(scenario, seed, p, dry["first"]) for p in points]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="score_mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="default: all")
    parser.add_argument("--ceiling", type=int, default=CEILING)
    parser.add_argument("--procs", type=int, default=2)
    options = parser.parse_args(arguments)
    names = options.names or [mutant.name for mutant in MUTANTS]
    base = tempfile.TemporaryDirectory(prefix="mutants-")
    with base as text, multiprocessing.get_context("spawn").Pool(options.procs, maxtasksperchild=1) as pool:
        migrated = pool.apply(migrate, (Path(text),))
        found = []
        for row in pool.imap_unordered(_score, [(name, options.ceiling, migrated) for name in names]):
            sys.stdout.write(json.dumps(row) + "\n")
            sys.stdout.flush()
            found.append(row)
    missed = [str(row["mutant"]) for row in found if not row["caught"]]
    sys.stdout.write(f"{len(found) - len(missed)} of {len(found)} caught\n")
    return 1 if missed else 0


def migrate(folder: Path) -> Path:
    """An empty database, made once for all mutants."""
    from bots.tests.proof.stores import SqliteStore

    prepare(folder, SqliteStore(folder).url)
    from bots.tests.proof.harness import Harness

    Harness(folder, SqliteStore(folder)).child_migrates()
    return folder / "app.sqlite3"


def _score(task: tuple[str, int, Path]) -> dict[str, object]:
    return score(*task)


if __name__ == "__main__":
    raise SystemExit(main())
