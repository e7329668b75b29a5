"""A broker without a memory, real workers and real beats on one database, for the proofs that kill them."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bots.tests.proof.surroundings import prepare
from tradingbot.tests import servers
from tradingbot.tests.places import PROJECT

START_SECONDS = 60.0
STOP_SECONDS = 20.0
RESTART_SECONDS = 1.0
QUEUE = "trading"


class Broker:
    """Redis on a Unix socket that writes nothing down: killed, it forgets every message."""

    def __init__(self, folder: Path) -> None:
        binary = servers.server_binary()
        if binary is None:
            raise SystemExit("no Redis or Valkey server on this machine")
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.argv = [str(binary), "--port", "0", "--unixsocket", str(self.socket), "--dir", str(folder)]
        self.argv += ["--save", "", "--appendonly", "no"]
        self.server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        import redis

        self.server = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with redis.Redis.from_url(self.url) as client:
            wait_until(lambda: _answers(client), START_SECONDS, "Redis does not answer")

    def kill(self) -> None:
        if self.server is not None:
            self.server.kill()
            self.server.wait()
            self.socket.unlink(missing_ok=True)
            self.server = None

    def queued(self) -> int:
        """Messages that wait or are being worked on, over all priorities."""
        import redis

        with redis.Redis.from_url(self.url) as client:
            waiting = sum(client.llen(name) for name in client.keys(f"{QUEUE}*") if client.type(name) == b"list")
            return int(waiting) + int(client.hlen("unacked"))


def _answers(client: Any) -> bool:
    import redis

    try:
        return bool(client.ping())
    except redis.ConnectionError:
        return False


class Fleet:
    """Programs of the platform, each a process, and a supervisor that starts again whatever died, as `up` does."""

    def __init__(self, folder: Path, broker: Broker, **environment: str) -> None:
        self.folder, self.broker = folder, broker
        self.environment = {**os.environ, "REDIS_URL": broker.url, "LOG_LEVEL": "WARNING", **environment}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.deaths: list[str] = []
        self._lock, self._done = threading.RLock(), threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._supervisor.start()

    def _supervise(self) -> None:
        while not self._done.wait(0.2):
            with self._lock:
                dead = [name for name, process in self.processes.items() if process.poll() is not None]
            if dead and not self._done.wait(RESTART_SECONDS):
                self.deaths += dead
                for name in dead:
                    self.start(name)

    def start(self, name: str) -> None:
        """``name`` is worker… or beat…, any number of each."""
        kind = ("worker", "--pool", "threads", "--concurrency", "2", "--queues", QUEUE, "--hostname", f"{name}@%h")
        kind += ("--without-gossip", "--without-mingle", "--without-heartbeat")
        if name.startswith("beat"):
            kind = ("beat", "--pidfile", "")
        argv = [sys.executable, "-m", "celery", "--quiet", "-A", "tradingbot", *kind, "--loglevel", "WARNING"]
        with self._lock, (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(argv, cwd=PROJECT, env=self.environment, stdout=log, stderr=log)

    def send(self, number: int, kind: str = "") -> None:
        with self._lock:
            for name, process in self.processes.items():
                if name.startswith(kind):
                    process.send_signal(number)

    def stop(self, name: str, number: int = signal.SIGTERM) -> None:
        with self._lock:
            process = self.processes.pop(name)
        process.send_signal(number)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def close(self) -> None:
        self._done.set()
        self._supervisor.join()
        for name in list(self.processes):
            self.stop(name)

    def post(self, messages: list[tuple[str, tuple[str, ...]]]) -> None:
        """Put messages into the broker as beat does."""
        from celery import Celery

        with Celery(broker=self.broker.url.replace("unix://", "redis+socket://"), set_as_current=False) as sender:
            sender.conf.update(task_serializer="json", broker_transport_options={"queue_order_strategy": "priority"})
            with sender.producer_pool.acquire(block=True) as producer:
                for task, arguments in messages:
                    sender.send_task(task, arguments, queue=QUEUE, producer=producer)


@contextlib.contextmanager
def stage(postgres: bool = False, **environment: str) -> Iterator[tuple[Broker, Fleet]]:
    """A migrated database, a started broker and a fleet without ships; Django is set up in this process."""
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="tb-fleet-", dir="/tmp"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url = ""
        if postgres:
            url = stack.enter_context(servers.postgres())
        prepare(folder, url)
        from django.core.management import call_command

        from bots.testing import learn_strategies

        call_command("migrate", verbosity=0)
        learn_strategies()
        broker = Broker(folder)
        stack.callback(broker.kill)
        broker.start()
        fleet = Fleet(folder, broker, **environment)
        stack.callback(fleet.close)
        yield broker, fleet


def wait_until(done: Callable[[], object], seconds: float, what: str) -> float:
    """How long it took; past the deadline the proof ends with the sentence."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what} after {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began
