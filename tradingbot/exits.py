"""Exits outlive the broker: a thread of every worker that scans the database while beat or broker are silent."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, connections
from django.utils import timezone

from bots import exits
from bots.exits import ExitScan
from tradingbot.liveness import BEAT, WORKER, last_heartbeat, lease_until
from tradingbot.supervise import broker

logger = logging.getLogger(__name__)
#: Beat's heartbeat travels through the broker every ten seconds.
SILENT_FOR = timedelta(seconds=30)
RECONCILE_SECONDS = 60.0
#: By then the worker has forked its pool.
FIRST_LOOK_SECONDS = 2.0


def silence(at: datetime) -> str:
    """What does not speak, in a sentence; empty while beat and broker do their work."""
    if not broker.answers(settings.REDIS_URL or broker.url(settings.VAR_DIR)):
        return "The broker does not answer."
    until = lease_until(BEAT)
    if until is None or until <= at:
        return "No beat leads."
    heard = last_heartbeat(WORKER)
    if heard is None or at - heard > SILENT_FOR:
        return "Nothing has come through the broker for too long."
    return ""


def take_back() -> None:
    """Before a worker begins: what dead ones of this machine still hold; without a database it runs out by itself."""
    try:
        if released := exits.begin(timezone.now()):
            logger.warning("Released %s runs that dead workers held.", released)
    except DatabaseError as error:
        logger.warning("The leases of dead workers could not be released: %s", error)
    finally:
        # A worker forks.
        connections.close_all()


class Watchman(threading.Thread):
    """Looks every so many seconds; `always` scans although nothing is silent."""

    def __init__(self, every: float, *, always: bool = False) -> None:
        super().__init__(name="exits", daemon=True)
        self.every, self.always = every, always
        self._done = threading.Event()
        self._told = ""
        self._reconciled = float("-inf")

    def run(self) -> None:
        began, pause = False, min(self.every, FIRST_LOOK_SECONDS)
        # The first soon after the start: the worker before may have died with exits to make.
        while not self._done.wait(pause):
            started = time.monotonic()
            began = began or self._guarded(exits.doubt)
            self._guarded(self.look)
            # A pass that took long is followed the sooner by the next.
            pause = max(self.every - (time.monotonic() - started), self.every / 10)

    def _guarded(self, work: Callable[[datetime], object]) -> bool:
        try:
            work(timezone.now())
        except Exception:
            # Whatever went wrong with one pass, the next one is due: this is the last guard there is.
            logger.exception("A scan for exits failed.")
            return False
        finally:
            # A worker forks: no child may inherit a connection that is in use here.
            connections.close_all()
        return True

    def look(self, at: datetime) -> ExitScan | None:
        """One pass if one is needed."""
        why = silence(at)
        if why != self._told:
            logger.warning("%s Exits are found in the database.", why) if why else logger.info(
                "Beat and broker are back."
            )
            self._told = why
        if not (why or self.always):
            return None
        reconcile = time.monotonic() - self._reconciled >= RECONCILE_SECONDS
        if reconcile:
            self._reconciled = time.monotonic()
        found = exits.scan(at, reconcile=reconcile)
        for fault in found.faults:
            logger.warning("While finding exits: %s", fault)
        return found

    def stop(self, patience: float = 10.0) -> None:
        """Let the pass that is under way end."""
        self._done.set()
        if self.is_alive():
            self.join(patience)
