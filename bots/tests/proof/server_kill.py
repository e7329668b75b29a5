"""`python -m bots.tests.proof.server_kill`: the PostgreSQL server is killed under a working worker, again and again."""

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

from bots.tests.proof.surroundings import prepare
from bots.tests.proof.terms import ChildFailed, Tally
from tradingbot.tests import servers

KILLS_PER_RUN = 3
#: A fifth of a second each while the server is away.
MOST_LIVES = 600


class Cluster:
    """A durable server of its own (fsync on), which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.binaries, self.user = servers.postgres_binaries(), servers._server_user()
        command = [self.binaries / "initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--locale=C"]
        subprocess.run([*command, "--auth=trust"], check=True, capture_output=True, user=self.user, cwd="/")
        self.url = f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}"
        self.server: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        import psycopg

        options = ["listen_addresses=", f"unix_socket_directories={self.folder}", "max_connections=30"]
        argv = [self.binaries / "postgres", "-D", self.data, *(part for text in options for part in ("-c", text))]
        for _ in range(200):
            if self.server is None or self.server.poll() is not None:
                # The killed server's children may still hold its memory: then this start fails, and is tried again.
                with (self.folder / "log").open("ab") as log:
                    self.server = subprocess.Popen(argv, stdout=log, stderr=log, user=self.user, cwd="/")
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url).close()
                return
            time.sleep(0.1)
        raise TimeoutError((self.folder / "log").read_text()[-500:])

    def kill(self) -> None:
        assert self.server is not None
        self.server.send_signal(signal.SIGKILL)
        self.server.wait()

    def close(self) -> None:
        if self.server is not None:
            self.server.send_signal(signal.SIGINT)
            self.server.wait(30)


def work(harness: Any, scenario: str, seed: int) -> int:
    """A worker under a supervisor: any trouble with the database ends it, and the next one begins from the rows."""
    from django.db import DatabaseError, InterfaceError

    from bots.tests.proof.crash import drop_session

    last: Exception | None = None
    for life in range(MOST_LIVES):
        try:
            world = harness.world(scenario, f"{seed}:{life}")
            if life == 0:
                world.act()
            world.play(world.scenario.until)
            return life
        except (DatabaseError, InterfaceError) as error:
            last = error
            drop_session()
            time.sleep(0.2)
    raise ChildFailed(f"The worker could not go on: {last!r}")


def one_run(cluster: Cluster, harness: Any, scenario: str, seed: int) -> dict[str, Any]:
    harness.prepare(scenario)
    harness.store.restore(scenario)
    chance = Random(seed)
    pid = harness.fork(lambda: work(harness, scenario, seed))
    kills = 0
    while kills < KILLS_PER_RUN:
        time.sleep(chance.uniform(0.1, 0.7))
        if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            break
        cluster.kill()
        kills += 1
        cluster.start()
    status, _ = harness.wait(pid)
    verdict = dict(harness.child(lambda: harness._judge(scenario, 0.0)))
    wrong = verdict["wrong"] + ([f"the worker ended with {status}"] if status else [])
    return verdict | {"wrong": wrong, "eligible": 0, "acted": 0, "missed": [], "kills": kills}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="server_kill", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    options = parser.parse_args(arguments)
    tally, kills, began = Tally(), 0, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tb-pgkill-", dir="/tmp") as name:
        folder = Path(name)
        user = servers._server_user()
        if user:
            shutil.chown(folder, user)
        cluster = Cluster(folder)
        try:
            kills = _runs(cluster, folder, tally, options.kills)
        finally:
            cluster.close()
    facts = {"server kills": kills, "seconds": round(time.monotonic() - began, 1), "failures": tally.failures()}
    json.dump(asdict(tally) | facts, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 1 if tally.failures() else 0


def _runs(cluster: Cluster, folder: Path, tally: Tally, wanted: int) -> int:
    from bots.tests.proof.stores import PostgresStore

    place = folder / "proof"
    place.mkdir()
    store = PostgresStore(place, cluster.url, "proof")
    prepare(place, store.url)
    from bots.tests.proof.harness import Harness

    harness, kills, seed = Harness(place, store), 0, 0
    while kills < wanted:
        seed += 1
        for scenario in ("entry", "exit", "stop", "cancel"):
            verdict = one_run(cluster, harness, scenario, seed)
            kills += verdict["kills"]
            tally.add_verdict(f"{scenario} seed {seed}", verdict)
    return kills


if __name__ == "__main__":
    raise SystemExit(main())
