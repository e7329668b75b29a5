"""`python -m bots.tests.proof.machine`: orders, crashes, clocks and kill switches in any order."""

import argparse
import json
import sys
import tempfile
import time
from decimal import Decimal
from pathlib import Path

from bots.tests.proof.surroundings import prepare

#: Twice the capital is a duplicate; prices that rise and fall let it grow honestly.
SLACK = Decimal("1.5")


def play(folder: Path, examples: int, steps: int, seed: int | None) -> dict[str, object]:
    from hypothesis import HealthCheck, settings
    from hypothesis import seed as seeded
    from hypothesis import strategies as st
    from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

    from accounts.audit import CONSOLE
    from bots import acting, gates, settling, tick, watch
    from bots.models import Level
    from bots.tests.proof import checker, world
    from bots.tests.proof.crash import POINTS, Died, drop_session
    from bots.tests.proof.harness import Harness
    from bots.tests.proof.stores import SqliteStore
    from bots.tests.proof.terms import Mood

    harness = Harness(folder, SqliteStore(folder))
    harness.prepare("entry")
    counted = {"examples": 0, "steps": 0, "crashes": 0}
    deaths = st.none() | st.integers(1, 40)

    def die() -> None:
        raise Died

    POINTS.end = die

    class Machine(RuleBasedStateMachine):
        world: "world.World | None" = None

        @initialize(luck=st.integers(0, 10**6), rests=st.booleans())
        def begin(self, luck: int, rests: bool) -> None:
            drop_session()
            harness.store.restore("entry")
            counted["examples"] += 1
            self.luck, self.lives = luck, 0
            self.reborn()
            assert self.world is not None
            self.world.venue.let_rest(rests)

        def reborn(self) -> None:
            """A new process: nothing that was only in memory is left."""
            if self.world is not None:
                self.world.venue.db.close()
            self.lives += 1
            POINTS.reset()
            self.world = world.World(folder, world.SCENARIOS["entry"], f"{self.luck}:{self.lives}", Mood(slack=SLACK))

        def go(self, work, fatal: int | None) -> None:  # type: ignore[no-untyped-def]
            counted["steps"] += 1
            POINTS.reset(fatal)
            try:
                work(self.world, self.world.venue.now())
            except Died:
                counted["crashes"] += 1
                drop_session()
                self.reborn()
            finally:
                POINTS.reset()

        @rule(fatal=deaths)
        def tick(self, fatal: int | None) -> None:
            self.go(lambda world, at: tick.tick_due(at), fatal)

        @rule(fatal=deaths)
        def next_candle(self, fatal: int | None) -> None:
            self.world.venue.pass_until((self.world.venue.second() // 60 + 1) * 60)
            self.go(lambda world, at: tick.tick_due(at), fatal)

        @rule(fatal=deaths)
        def watch(self, fatal: int | None) -> None:
            self.go(lambda world, at: watch.watch_positions(at), fatal)

        @rule(fatal=deaths, boot=st.booleans())
        def settle(self, fatal: int | None, boot: bool) -> None:
            self.go(lambda world, at: settling.settle_all(at, acting.worker_name(), boot=boot), fatal)

        @rule(fatal=deaths)
        def reconcile(self, fatal: int | None) -> None:
            self.go(lambda world, at: settling.reconcile_all(at, acting.worker_name()), fatal)

        @rule(action=st.sampled_from(["halt", "reduce", "resume", "resume"]), fatal=deaths)
        def switch(self, action: str, fatal: int | None) -> None:
            self.go(lambda world, at: gates.switch(Level.PLATFORM, 0, action, "drill", at, CONSOLE), fatal)

        @rule()
        def restart(self) -> None:
            drop_session()
            self.reborn()

        @rule(seconds=st.sampled_from([0.5, 1, 3, 10, 31, 130]))
        def clock(self, seconds: float) -> None:
            self.world.venue.pass_time(seconds)

        @rule(price=st.sampled_from(["97", "100", "103"]))
        def price(self, price: str) -> None:
            self.world.venue.set_price(price)

        @invariant()
        def never_twice(self) -> None:
            if self.world is not None:
                wrong = checker.duplicates(self.world.venue) + checker.exposure_at_the_exchange(self.world.venue)
                assert not wrong, wrong

        def teardown(self) -> None:
            if self.world is None:
                return
            POINTS.reset()
            self.world.venue.mood = Mood(faults=False, slack=SLACK)
            gates.switch(Level.PLATFORM, 0, "reduce", "drain", self.world.venue.now(), CONSOLE)
            self.world.drain()
            self.world.drain()
            wrong = checker.check(self.world, 1e9, 0).wrong
            assert not wrong, wrong

    began = time.monotonic()
    chosen = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, database=None, derandomize=seed is None,
        suppress_health_check=list(HealthCheck), print_blob=True,
    )  # fmt: skip
    test = Machine if seed is None else seeded(seed)(Machine)
    run_state_machine_as_test(test, settings=chosen)
    return counted | {"seconds": round(time.monotonic() - began, 1), "seed": seed or 0}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="machine", description=__doc__)
    parser.add_argument("--examples", type=int, default=300)
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--seed", type=int, help="default: the same examples every time")
    options = parser.parse_args(arguments)
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="machine-", dir=base) as name:
        folder = Path(name)
        prepare(folder)
        json.dump(play(folder, options.examples, options.steps, options.seed), sys.stdout)
    sys.stdout.write("\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
