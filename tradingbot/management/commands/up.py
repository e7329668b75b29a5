"""Runs the whole platform in the foreground: migrate, seed, then broker, worker, web and beat, supervised."""

import contextlib
import fcntl
import logging
import os
import socket
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import BaseCommand, call_command, get_commands
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.management.base import Exit, Failure
from tradingbot.liveness import BEAT, end_lease
from tradingbot.supervise import broker
from tradingbot.supervise.child import Child
from tradingbot.supervise.platform import BROKER, HOST, broker_program, is_ready, programs, worker_is_silent
from tradingbot.supervise.supervisor import Supervisor

BROKER_SECONDS = 15.0
READY_SECONDS = 60.0
CHECK_SECONDS = 30.0
LOG_NAME = "tradingbot.log"
LOG_BYTES = 5_000_000


class Command(BaseCommand):
    help = "Run web, worker and beat as one supervised group; Ctrl-C stops all of them."
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--port", type=port_number, default=8000, help="of the pages and the API (default 8000)")
        parser.add_argument("--no-demo", action="store_true", help="do not create the demo user and its bot")

    def handle(self, *, port: int, no_demo: bool, **_: Any) -> None:
        began = time.monotonic()
        var: Path = settings.VAR_DIR
        # Database, queue and logs are nobody else's business.
        os.umask(0o077)
        with one_per_folder(var):
            require_free(port)
            # Where collected static files would be; without them the web serves the sources.
            settings.STATIC_ROOT.mkdir(exist_ok=True)
            self._log = log_file(var / "logs")
            with Supervisor(self._write, settings.BASE_DIR) as supervisor:
                redis_url = settings.REDIS_URL or self._start_broker(supervisor, var)
                self._prepare(demo=not no_demo)
                self._run(supervisor, port, redis_url, began)
                self._say("stopping (Ctrl-C again kills at once)")
        if supervisor.failed:
            raise Failure(f"{supervisor.failed} The log is {var / 'logs' / LOG_NAME}.")
        self._say("stopped")

    def _start_broker(self, supervisor: Supervisor, var: Path) -> str:
        binary = broker.server_binary()
        if binary is None:
            raise Failure(broker.NO_SERVER, Exit.INVALID)
        try:
            broker.prepare(var)
        except OSError as error:
            raise Failure(f"VAR_DIR: Expected a folder for the queue ({error}).", Exit.INVALID) from None
        supervisor.start(broker_program(binary, var))
        return broker.url(var)

    def _prepare(self, *, demo: bool) -> None:
        try:
            call_command("migrate", verbosity=0, interactive=False)
        except DatabaseError as error:
            raise Failure(f"The database could not be brought up to date: {error}", Exit.UNAVAILABLE) from None
        seeds = ["strategy_sync", *(["demo_load"] if demo else [])]
        for name in seeds:
            if name in get_commands():
                call_command(name, stdout=self.stdout)
        if connection.vendor == "sqlite":
            # The lock on the folder is ours: a beat that still holds the lease was killed.
            end_lease(BEAT, at=timezone.now())
        connection.close()

    def _run(self, supervisor: Supervisor, port: int, redis_url: str, began: float) -> None:
        since = timezone.now()
        if not supervisor.wait_until(lambda: broker.answers(redis_url), BROKER_SECONDS):
            supervisor.failed = supervisor.failed or (
                None if supervisor.stopping else f"The broker does not answer at {address_of(redis_url)}."
            )
            return
        worker, *_ = (supervisor.start(program) for program in programs(port, redis_url))
        if supervisor.wait_until(lambda: is_ready(port, since, timezone.now()), READY_SECONDS):
            self._say(f"ready on http://{HOST}:{port}/ after {time.monotonic() - began:.1f} s")
        elif not supervisor.stopping:
            self._say(f"not ready after {READY_SECONDS:.0f} s, still trying: manage.py doctor says what is missing")
        supervisor.run(CHECK_SECONDS, lambda: self._restart_if_silent(supervisor, worker, redis_url))

    def _restart_if_silent(self, supervisor: Supervisor, worker: Child, redis_url: str) -> None:
        lived = time.monotonic() - worker.started_at
        silent = worker.alive and lived > 2 * CHECK_SECONDS and worker_is_silent(timezone.now())
        # Without a broker nothing could come through, and the worker still finds exits: it is left at that.
        if silent and broker.answers(redis_url):
            supervisor.restart(worker, "has been silent for two minutes")

    def _say(self, line: str) -> None:
        # Whoever read our output may be gone; the platform goes on, and the log file has it all.
        with contextlib.suppress(BrokenPipeError):
            self.stdout.write(line)
            self.stdout.flush()

    def _write(self, name: str, line: str) -> None:
        text = f"{name:>7} | {line}"
        self._log.info(text)
        # The broker greets at length and says nothing that a newcomer needs.
        if name != BROKER:
            self._say(text)


def port_number(text: str) -> int:
    port = int(text)
    if not 1 <= port <= 65535:
        raise ValueError(text)
    return port


def address_of(redis_url: str) -> str:
    """The URL without its password."""
    return redis_url.rsplit("@", maxsplit=1)[-1]


@contextlib.contextmanager
def one_per_folder(var: Path) -> Iterator[None]:
    """Hold VAR_DIR for this process; the kernel lets go of it however the process ends."""
    try:
        handle = os.open(var / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Failure(f"VAR_DIR: Expected a writable folder, was {var} ({error.strerror}).", Exit.INVALID) from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise Failure(
            f"The platform already runs on {var}: stop it, or name another folder with VAR_DIR.", Exit.INVALID
        ) from None
    try:
        yield
    finally:
        os.close(handle)


def require_free(port: int) -> None:
    with socket.socket() as probe:
        # As the web server does it: a port whose last connections are still fading is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise Failure(
                f"Port {port} is not free ({error.strerror}): choose another with --port.", Exit.INVALID
            ) from None


def log_file(folder: Path) -> logging.Logger:
    """What the programs print also goes to VAR_DIR/logs, five files of five megabytes at most."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    logger = logging.getLogger("tradingbot.up.output")
    logger.propagate = False
    logger.setLevel(logging.INFO)
    handler = RotatingFileHandler(folder / LOG_NAME, maxBytes=LOG_BYTES, backupCount=4, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
    logger.addHandler(handler)
    return logger
