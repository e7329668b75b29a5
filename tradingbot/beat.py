"""Celery beat of which any number may run and one leads."""

import logging
import os
import socket
import time
import uuid
from typing import Any

from django.db import DatabaseError, IntegrityError, close_old_connections
from django.utils import timezone
from django_celery_beat.schedulers import DatabaseScheduler

from tradingbot.liveness import BEAT, release_lease, take_lease
from tradingbot.schedule import sync_schedule

logger = logging.getLogger(__name__)


class LeasedScheduler(DatabaseScheduler):  # type: ignore[misc]  # its package has no types
    """Ticks only while it holds the lease in the database; the lease is beat's heartbeat, too."""

    lease_seconds = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self.leads = False
        self._renewed = float("-inf")
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        try:
            sync_schedule()
        except IntegrityError:
            logger.info("Another beat is writing the schedule.")

    def tick(self, *args: Any, **kwargs: Any) -> float:
        pause = self.lease_seconds / 3
        if time.monotonic() - self._renewed >= pause:
            self._renew()
        return min(super().tick(*args, **kwargs), pause) if self.leads else pause

    def close(self) -> None:
        super().close()
        try:
            release_lease(BEAT, self.holder, at=timezone.now())
        except DatabaseError:
            logger.warning("The lease could not be released; it runs out by itself.")

    def _renew(self) -> None:
        led, self.leads = self.leads, self._take()
        self._renewed = time.monotonic()
        if self.leads and not led:
            # What ran while another beat led stands in the database, not in our memory.
            self._dirty.clear()
            self._initial_read, self._schedule, self._heap, self._last_timestamp = True, None, None, None
            logger.info("This beat leads.")

    def _take(self) -> bool:
        try:
            close_old_connections()
            return take_lease(BEAT, self.holder, at=timezone.now(), seconds=self.lease_seconds)
        except DatabaseError as error:
            logger.warning("The lease could not be taken: %s", error)
            return False
