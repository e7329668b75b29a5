"""One process that kills its children: dry run, one child per crash point, recovery, drain, verdict."""

import contextlib
import importlib
import json
import os
import shutil
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any

from bots.tests.proof.crash import POINTS
from bots.tests.proof.stores import Store
from bots.tests.proof.terms import ChildFailed, Mood, Tally

BASE = "base"
#: Seconds from the last order to a worker on the restored database.
RESTORING = 5.0
COUNTED = ("orders", "eligible", "acted", "incidents")


class Harness:
    """Needs Django set up and no connection open in this process, ever: children do all the work."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        mutate: Callable[[Mood], None] | None = None,
        without: tuple[str, ...] = (),
        *,
        http: bool = False,
        migrated: Path | None = None,
    ) -> None:
        #: A copy of an empty SQLite database, where somebody has made one before.
        self.migrated = migrated
        self.http = http
        if http:
            # Once for all children.
            importlib.import_module("ccxt.binance")
        self.without = without
        self.folder = folder
        self.store = store
        self.mutate = mutate or (lambda mood: None)
        self.saved: set[str] = set()

    # --- Children ----------------------------------------------------------------------------------

    def fork(self, work: Callable[[], Any]) -> int:
        """Start a child that does the work and leaves its result, or its traceback, in a file."""
        from bots.tests.proof.world import leave_connections

        leave_connections()
        pid = os.fork()
        if pid:
            return pid
        code = 0
        try:
            found = work()
            # SQLite moves its journal into the file when the last connection leaves.
            leave_connections()
            (self.folder / f"result-{os.getpid()}").write_text(json.dumps(found))
        except BaseException:  # noqa: BLE001 - whatever it was, the parent tells it
            (self.folder / f"error-{os.getpid()}").write_text(traceback.format_exc())
            code = 3
        os._exit(code)

    def wait(self, pid: int) -> tuple[int, Any]:
        """(wait status, result); a child that failed by itself is an error of the product."""
        status = os.waitpid(pid, 0)[1]
        error, result = self.folder / f"error-{pid}", self.folder / f"result-{pid}"
        if error.exists():
            raise ChildFailed(error.read_text())
        if not result.exists():
            return status, None
        value = json.loads(result.read_text())
        result.unlink()
        return status, value

    def child(self, work: Callable[[], Any]) -> Any:
        status, value = self.wait(self.fork(work))
        if status:
            raise ChildFailed(f"A child ended with {status}.")
        return value

    # --- States ------------------------------------------------------------------------------------

    def prepare(self, scenario_name: str) -> None:
        """The scenario's beginning, made once and without faults."""
        if BASE not in self.saved:
            if self.migrated is not None and self.migrated.exists():
                shutil.copy(self.migrated, self.folder / "app.sqlite3")
            self.child_migrates()
            self.store.save(BASE)
            self.saved.add(BASE)
        if scenario_name not in self.saved:
            self.store.restore(BASE)
            with self.exchange("before", faults=False):
                self.child(lambda: self._begin(scenario_name))
            self.store.save(scenario_name)
            self.saved.add(scenario_name)

    def child_migrates(self) -> None:
        self.child(lambda: _migrate(self.without))

    def _begin(self, scenario_name: str) -> None:
        from bots.tests.proof.world import SCENARIOS, World, create_rows

        scenario = SCENARIOS[scenario_name]
        create_rows(scenario)
        scenario.before(World(self.folder, scenario, "before", Mood(faults=False), http=self.http))

    def world(self, scenario_name: str, seed: str, *, faults: bool = True, fatal: int | None = None) -> Any:
        """In a child: the world as it stands, with this process's luck."""
        from bots.tests.proof.world import SCENARIOS, World

        mood = Mood(faults)
        self.mutate(mood)
        POINTS.reset(fatal)
        world = World(self.folder, SCENARIOS[scenario_name], seed, mood, http=self.http)
        POINTS.reset(fatal)
        return world

    # --- Runs --------------------------------------------------------------------------------------

    def dry_run(self, scenario_name: str, seed: int) -> dict[str, Any]:
        self.prepare(scenario_name)
        self.store.restore(scenario_name)

        def work() -> dict[str, Any]:
            world = self.world(scenario_name, f"{seed}")
            first = world.venue.second()
            world.act()
            return {"names": POINTS.names, "first": first}

        with self.exchange(f"{seed}"):
            return dict(self.child(work))

    @contextlib.contextmanager
    def exchange(self, seed: str, *, faults: bool = True) -> Iterator[None]:
        """Where the venue is a process of its own, it lives as long as this."""
        if not self.http:
            yield
            return
        from bots.tests.proof import http_venue

        pid = self.fork(lambda: http_venue.serve(self.folder, seed, faults))
        http_venue.wait_for(self.folder)
        try:
            yield
        finally:
            http_venue.stop(pid, self.folder)

    def killed_run(
        self, scenario_name: str, seed: int, fatal: int, first: float, again: tuple[int, ...] = ()
    ) -> dict[str, Any]:
        """Kill at a point, perhaps again in the recovery, then recover, drain and judge."""
        self.store.restore(scenario_name)

        def act() -> None:
            world = self.world(scenario_name, f"{seed}", fatal=fatal)
            world.act()

        with self.exchange(f"{seed}"):
            status, _ = self.wait(self.fork(act))
            if not os.WIFSIGNALED(status) or os.WTERMSIG(status) != signal.SIGKILL:
                raise ChildFailed(f"{scenario_name} {seed}: point {fatal} was not reached: not deterministic.")
            for number, point in enumerate(again):
                self.wait(self.fork(lambda n=number, p=point: self._recover(scenario_name, seed, fatal, n + 1, p)))
            return self.finish(scenario_name, seed, fatal, first)

    def raced_run(
        self, scenario_name: str, seed: int, workers: int, freeze: bool = False, first: float = 0.0
    ) -> dict[str, Any]:
        """Several workers on the same rows from beginning to end; with ``freeze`` they are stopped past their lease."""
        self.prepare(scenario_name)
        self.store.restore(scenario_name)

        def work(number: int) -> None:
            world = self.world(scenario_name, f"{seed}:worker:{number}")
            world.act()
            world.scenario.after(world)
            world.play(world.scenario.until)

        pids = [self.fork(lambda n=number: work(n)) for number in range(workers)]
        if freeze:
            _freeze(pids, Random(seed))
        failed = []
        for pid in pids:
            try:
                self.wait(pid)
            except ChildFailed as failure:
                failed.append(str(failure))
        if failed:
            raise ChildFailed(failed[0])
        return dict(self.child(lambda: self._judge(scenario_name, first)))

    def switched_run(self, scenario_name: str, seed: int, point: int, level: int = 0) -> dict[str, Any]:
        """The kill switch is engaged at a point, by another connection: nothing is claimed and sent after that.

        What rests is called back at once, by a worker that looks as often as beat has it look.
        """
        from bots.tests.proof.switching import LEVELS, Switch

        self.store.restore(scenario_name)

        def work() -> tuple[list[str], list[list[float]]]:
            world = self.world(scenario_name, f"{seed}")
            world._only_lines_rest = lambda: False
            switch = Switch(world.venue, point, LEVELS[level])
            POINTS.watch = switch
            world.act()
            switch.settle(world)
            POINTS.watch = None
            return switch.wrong(), [[switch.rested, switch.failures]] if switch.found else []

        wrong, rested = self.child(work)
        verdict = dict(self.child(lambda: self._judge(scenario_name, 0.0)))
        told = {"wrong": wrong + verdict["wrong"], "rested": rested}
        return verdict | told | {"eligible": 0, "acted": 0, "missed": []}

    def restored_run(self, scenario_name: str, seed: int) -> dict[str, Any]:
        """A backup from before the scenario is put back: what was ordered since is found, and nothing new is sent."""
        self.store.restore(scenario_name)

        def act() -> tuple[int, int]:
            world = self.world(scenario_name, f"{seed}")
            before = len(world.venue.rows("SELECT 1 FROM orders"))
            world.act()
            world.drain()
            return len(world.venue.rows("SELECT 1 FROM orders")) - before, len(world.venue.rows("SELECT 1 FROM wire"))

        forgotten, sent = self.child(act)
        self.store.restore(scenario_name, venue=False)

        def recover() -> int:
            from bots import exits

            world = self.world(scenario_name, f"{seed}:restored")
            # Nobody puts a backup back in the instant of the last order.
            world.venue.pass_time(RESTORING)
            exits.begin(world.venue.now())
            exits.doubt(world.venue.now())
            if not forgotten:
                # Nothing is held back; but what a person asked for since the backup is asked for again.
                world.scenario.after(world)
            world.play(world.venue.second() + 130)
            return len(world.venue.rows("SELECT 1 FROM wire")) - sent

        new = self.child(recover)
        verdict = dict(self.child(lambda: self._judge(scenario_name, 0.0)))
        wrong = verdict["wrong"]
        if forgotten and not verdict["incidents"]:
            wrong = ["restored: nobody was told", *wrong]
        if forgotten and new:
            wrong = [f"restored: {new} orders were sent before a person looked", *wrong]
        return verdict | {"wrong": wrong, "eligible": 0, "acted": 0, "missed": []}

    def finish(self, scenario_name: str, seed: int, fatal: int, first: float) -> dict[str, Any]:
        self.child(lambda: self._recover(scenario_name, seed, fatal, 0, None))
        return dict(self.child(lambda: self._judge(scenario_name, first)))

    def _recover(self, scenario_name: str, seed: int, fatal: int, number: int, again: int | None) -> None:
        """A new process: first everything in doubt, then the world goes on, faults and all."""
        from bots import exits

        world = self.world(scenario_name, f"{seed}:{fatal}:{number}", fatal=again)
        world.venue.pass_time(Random(f"{seed}:{fatal}:{number}").choice([1.0, 9.0, 33.0]))
        exits.begin(world.venue.now())
        exits.doubt(world.venue.now())
        world.play(world.venue.second() + 15)
        world.scenario.after(world)
        world.play(world.scenario.until, step=5.0)

    def _judge(self, scenario_name: str, first: float) -> dict[str, Any]:
        from bots.tests.proof import lines
        from bots.tests.proof.checker import check

        world = self.world(scenario_name, "drain", faults=False)
        idle = lines.idle(world)
        world.drain()
        verdict = check(world, first, world.scenario.until - 10)
        verdict.wrong += idle
        return asdict(verdict)


def _freeze(pids: list[int], chance: Random) -> None:
    """Stop each worker once for a while, during which the others move the simulated clock past its lease."""
    for pid in pids:
        time.sleep(chance.uniform(0.05, 0.5))
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(chance.uniform(0.2, 0.8))
            os.kill(pid, signal.SIGCONT)


def _migrate(without: tuple[str, ...]) -> None:
    """The product's schema; a mutant does without some of its constraints."""
    from django.apps import apps
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    for name in without:
        for model in apps.get_app_config("bots").get_models():
            for constraint in model._meta.constraints:
                if constraint.name == name:
                    # SQLite makes the table anew from what the model says.
                    model._meta.constraints = [kept for kept in model._meta.constraints if kept is not constraint]
                    with connection.schema_editor() as editor:
                        editor.remove_constraint(model, constraint)


Run = tuple[str, Callable[[], dict[str, Any]]]


def kills(harness: Harness, scenario: str, seed: int, stride: int, double: int, tally: Tally) -> Iterator[Run]:
    """Every crash point (or every ``stride``-th) of one scenario under one seed."""
    names, first = _points(harness, scenario, seed, tally)
    chance = Random(f"{scenario}:{seed}")
    for point in range(1 + chance.randrange(stride), len(names) + 1, stride):
        again = tuple(chance.randint(1, 60) for _ in range(double))
        label = f"{scenario} seed {seed} point {point} ({names[point - 1]})"
        yield label, lambda p=point, a=again: harness.killed_run(scenario, seed, p, first, a)


def switches(harness: Harness, scenario: str, seed: int, stride: int, double: int, tally: Tally) -> Iterator[Run]:
    """The kill switch at every crash point, at each of its levels in turn."""
    names, _ = _points(harness, scenario, seed, tally)
    for point in range(1 + Random(f"{scenario}:{seed}").randrange(stride), len(names) + 1, stride):
        level = (seed + point // stride) % 4
        label = f"{scenario} seed {seed} switch {level} at {point} ({names[point - 1]})"
        yield label, lambda p=point, n=level: harness.switched_run(scenario, seed, p, n)


def races(harness: Harness, scenario: str, seed: int, stride: int, double: int, tally: Tally) -> Iterator[Run]:
    workers = 2 + seed % 3
    yield f"{scenario} seed {seed}, {workers} workers", lambda: harness.raced_run(scenario, seed, workers)


def freezes(harness: Harness, scenario: str, seed: int, stride: int, double: int, tally: Tally) -> Iterator[Run]:
    workers = 2 + seed % 3
    label = f"{scenario} seed {seed}, {workers} workers frozen"
    yield label, lambda: harness.raced_run(scenario, seed, workers, freeze=True)


def restores(harness: Harness, scenario: str, seed: int, stride: int, double: int, tally: Tally) -> Iterator[Run]:
    harness.prepare(scenario)
    yield f"{scenario} seed {seed} restored", lambda: harness.restored_run(scenario, seed)


MODES = {"kill": kills, "switch": switches, "race": races, "freeze": freezes, "restore": restores}


def _points(harness: Harness, scenario: str, seed: int, tally: Tally) -> tuple[list[str], float]:
    dry = harness.dry_run(scenario, seed)
    names = dry["names"]
    tally.points[scenario] = min(tally.points.get(scenario, len(names)), len(names))
    for name in names:
        tally.kinds[name] = tally.kinds.get(name, 0) + 1
    return names, dry["first"]


def judge(runs: Iterator[Run], tally: Tally, limit: int) -> None:
    """Take the runs until there are enough of them."""
    for label, run in runs:
        if tally.runs >= limit:
            return
        try:
            verdict = run()
        except ChildFailed as failure:
            verdict = {"wrong": [f"error: {failure}"], "missed": []} | dict.fromkeys(COUNTED, 0)
        tally.add_verdict(label, verdict)
