"""The kill switch, engaged at one crash point by another connection than the worker's."""

import threading

from django.db import connection, connections

from accounts.audit import CONSOLE
from bots import gates
from bots.core.order_state import OrderState
from bots.models import Level, Order
from bots.tests.proof.venue import Venue


class Switch:
    """Called at every point; engages at the wanted one, or at the next at which the database is free."""

    def __init__(self, venue: Venue, point: int) -> None:
        self.venue = venue
        self.point = point
        self.passed = 0
        self.claimed: set[str] | None = None
        self.sent_before = 0

    def __call__(self, _name: str) -> None:
        self.passed += 1
        if self.claimed is not None or self.passed < self.point:
            return
        # SQLite has one writer at a time; PostgreSQL lets the switch in beside an open transaction.
        if connection.vendor == "sqlite" and connection.connection.in_transaction:
            return
        at = self.venue.now()
        self.sent_before = len(self.venue.rows("SELECT 1 FROM wire"))
        thread = threading.Thread(target=self._engage, args=(at,))
        thread.start()
        thread.join()

    def _engage(self, at: object) -> None:
        gates.switch(Level.PLATFORM, 0, "halt", "drill", at, CONSOLE)  # type: ignore[arg-type]
        self.claimed = set(Order.objects.filter(state=OrderState.SENDING).values_list("client_order_id", flat=True))
        connections.close_all()

    def wrong(self, venue: Venue) -> list[str]:
        """Orders that left after the switch without having been claimed before it; and entries that still rest."""
        if self.claimed is None:
            return ["switch: it was never engaged"]
        left = {str(row[0]) for row in venue.rows("SELECT client_id FROM wire ORDER BY id")[self.sent_before :]}
        wrong = [f"switch: {client_id} was claimed and sent after it" for client_id in left - self.claimed]
        resting = venue.rows("SELECT id FROM orders WHERE status = 'open' AND side = 'buy'")
        return wrong + [f"switch: entry {row[0]} still rests" for row in resting]
