"""A worker's way back to its broker: it survives the loss, and tries again every few seconds, however long it takes."""

import logging
from functools import partial
from typing import Any

from celery.worker.consumer import Consumer

logger = logging.getLogger(__name__)
RETRY_SECONDS = 5.0


class SteadyConsumer(Consumer):
    """Celery's, but for two things that the exits' own scan, which lives in the worker, would suffer from.

    kombu lets the pauses between two tries grow to half a minute. And when it closes a lost connection with messages
    that are not acknowledged yet, it asks for the address of what it has closed already: an AttributeError, of which
    the whole worker died.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        known: tuple[type[BaseException], ...] = vars(self)["connection_errors"]
        self.connection_errors = (*known, AttributeError)

    def ensure_connected(self, conn: Any) -> Any:
        conn.ensure_connection = partial(conn.ensure_connection, interval_max=RETRY_SECONDS)
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError:
            logger.warning("The lost connection was not closed in full; the broker hands its messages out again.")
