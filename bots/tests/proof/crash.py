"""Points at which a process can die, found by running: every write, every COMMIT, both sides of every request."""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

from django.db import connection

WRITES = ("INSERT", "UPDATE", "DELETE")


class Died(BaseException):
    """Stands for SIGKILL inside one process: nothing of the product catches it."""


class CrashPoints:
    """Counts the points of this process, and ends it at one of them."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fatal: int | None = None
        self.end: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGKILL)
        self.watch: Callable[[str], None] | None = None

    def reset(self, fatal: int | None = None) -> None:
        self.names, self.fatal = [], fatal

    def point(self, name: str) -> None:
        self.names.append(name)
        if self.watch is not None:
            self.watch(name)
        if self.fatal is not None and len(self.names) == self.fatal:
            self.fatal = None
            self.end()


POINTS = CrashPoints()


def around_writes(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
    if not sql.startswith(WRITES):
        return execute(sql, params, many, context)
    name = " ".join(sql.split(None, 3)[:3])[:48]
    POINTS.point(f"before {name}")
    result = execute(sql, params, many, context)
    POINTS.point(f"after {name}")
    return result


def install() -> None:
    """Wrap this process's connection, once."""
    connection.ensure_connection()
    if around_writes in connection.execute_wrappers:
        return
    connection.execute_wrappers.append(around_writes)
    commit = connection._commit

    def _commit() -> None:
        POINTS.point("before COMMIT")
        commit()
        POINTS.point("after COMMIT")

    connection._commit = _commit


def drop_session() -> None:
    """What SIGKILL does to the database session: nothing is finished, nothing is rolled back by our own code."""
    if connection.connection is not None:
        with contextlib.suppress(connection.Database.Error):
            connection.connection.rollback()
        connection.connection.close()
    connection.connection = None
    connection.in_atomic_block = connection.needs_rollback = False
    connection.closed_in_transaction = False
    connection.savepoint_ids, connection.atomic_blocks, connection.run_on_commit = [], [], []
