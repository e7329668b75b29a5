"""Exits outlive the broker: a thread of every worker that scans the database while beat or broker are silent."""

import logging
import threading
import time
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connections
from django.utils import timezone

from bots import exits
from bots.exits import ExitScan
from tradingbot.liveness import BEAT, WORKER, last_heartbeat, lease_until
from tradingbot.supervise import broker

logger = logging.getLogger(__name__)
#: Beat's heartbeat travels through the broker every ten seconds.
SILENT_FOR = timedelta(seconds=30)
RECONCILE_SECONDS = 60.0


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


class Watchman(threading.Thread):
    """Looks every so many seconds; `always` scans although nothing is silent."""

    def __init__(self, every: float, *, always: bool = False) -> None:
        super().__init__(name="exits", daemon=True)
        self.every, self.always = every, always
        self._done = threading.Event()
        self._told = ""
        self._reconciled = float("-inf")

    def run(self) -> None:
        while not self._done.wait(self.every):
            try:
                self.look(timezone.now())
            except Exception:
                # Whatever went wrong with one pass, the next one is due: this is the last guard there is.
                logger.exception("A scan for exits failed.")
            finally:
                # A worker forks: no child may inherit a connection that is in use here.
                connections.close_all()

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
