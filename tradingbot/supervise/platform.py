"""The programs of the embedded mode, and how to see that they work."""

import http.client
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from tradingbot.liveness import BEAT, WORKER, last_heartbeat, lease_until
from tradingbot.supervise import broker
from tradingbot.supervise.child import Program

HOST = "127.0.0.1"
BROKER = "broker"
WORKER_SILENT_FOR = timedelta(seconds=120)


def broker_program(binary: Path, var: Path) -> Program:
    return Program(BROKER, tuple(broker.command(binary, var)), module=False, stop_seconds=2)


def programs(port: int, redis_url: str) -> list[Program]:
    """Worker, web and beat, in the order of their start."""
    environment = {"REDIS_URL": redis_url}
    return [Program(name, argv, environment=environment, stop_seconds=stop) for name, stop, argv in _commands(port)]


def _commands(port: int) -> list[tuple[str, float, tuple[str, ...]]]:
    web = ("uvicorn", "tradingbot.asgi:application", "--host", HOST, "--port", str(port))
    # Threads: macOS forbids forked children to touch its frameworks, and one process is a third smaller.
    worker = ("celery", "--quiet", "-A", "tradingbot", "worker", "--pool", "threads", "--concurrency", "4")
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")
    return [
        ("worker", 4.5, (*worker, "--queues", "trading,research", "--hostname", "embedded@%h", *quiet)),
        # Event streams never end by themselves; the application reads forwarded addresses by its own rule.
        (
            "web",
            3.0,
            (
                *web,
                "--lifespan",
                "off",
                "--timeout-graceful-shutdown",
                "2",
                "--no-proxy-headers",
                "--no-server-header",
                "--no-access-log",
                "--log-level",
                "warning",
            ),
        ),
        ("beat", 2.5, ("celery", "--quiet", "-A", "tradingbot", "beat", "--pidfile", "", "--loglevel", "WARNING")),
    ]


def is_ready(port: int, since: datetime, at: datetime) -> bool:
    """The web answers, beat leads, and a heartbeat has come through broker and worker since the start."""
    try:
        heartbeat, lease = last_heartbeat(WORKER), lease_until(BEAT)
    except DatabaseError:
        return False
    finally:
        connection.close()
    return heartbeat is not None and heartbeat >= since and lease is not None and lease > at and web_answers(port)


def worker_is_silent(at: datetime) -> bool:
    """Alive, yet nothing has come through it for long: a stall that no exit status shows."""
    try:
        heartbeat = last_heartbeat(WORKER)
    except DatabaseError:
        return False
    finally:
        connection.close()
    return heartbeat is not None and at - heartbeat > WORKER_SILENT_FOR


def web_answers(port: int) -> bool:
    request = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        request.request("GET", "/health", headers={"Host": site_host(port)})
        return request.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        request.close()


def site_host(port: int) -> str:
    """A Host header that the site accepts, however ALLOWED_HOSTS is set."""
    names = [name.lstrip(".") for name in settings.ALLOWED_HOSTS if name != "*"]
    return f"{HOST}:{port}" if not names or HOST in names else names[0]
