"""The kill switch, engaged at one crash point by another connection than the worker's, and how soon entries go."""

import threading
from typing import Any

from django.db import connection, connections
from psycopg.pq import TransactionStatus

from accounts.audit import CONSOLE
from bots import gates
from bots.core.order_state import OrderState
from bots.models import BotRun, Level, Order
from bots.tests.proof.venue import TIMEOUT, Venue
from exchanges.core.errors import ExchangeFault, OrderNotFound

LEVELS = (Level.PLATFORM, Level.USER, Level.KEY, Level.RUN)
#: Between two rounds of a worker that looks after what is open.
ROUND = 4.0
#: Where the exchange answers, no entry rests at it for longer, in its own seconds.
PROMPT = 10.0
#: What each request without a good answer may cost besides: its time-out, a short ban, and the wait for another round.
EACH_FAILURE = TIMEOUT + 4.0 + ROUND
#: Seconds after which the switch is taken to wait for a lock.
LOCKED = 0.3
REQUESTS = ("cancel_order", "fetch_order", "fetch_fills", "fetch_open_orders", "fetch_recent_orders", "create_order")


def _in_transaction() -> bool:
    raw: Any = connection.connection
    if raw is None:
        return False
    if connection.vendor == "sqlite":
        return bool(raw.in_transaction)
    return bool(raw.info.transaction_status != TransactionStatus.IDLE)


class Switch:
    """Called at every point; engages at the wanted one, or at the next at which the database is free."""

    def __init__(self, venue: Venue, point: int, level: Level = Level.PLATFORM) -> None:
        self.venue = venue
        self.point = point
        self.level = level
        self.passed = 0
        self.claimed: set[str] = set()
        self.engaged = False
        self.thread: threading.Thread | None = None
        self.sent_before = 0
        self.engaged_at = 0.0
        #: How long after that an entry rested, and whether one did at all; failed requests until then.
        self.rested = 0.0
        self.found = False
        self.failures = 0
        self._failed_by_now = 0
        for name in REQUESTS:
            setattr(venue, name, self._counted(getattr(venue, name)))

    def _counted(self, request: Any) -> Any:
        def ask(*args: Any, **kwargs: Any) -> Any:
            try:
                return request(*args, **kwargs)
            except OrderNotFound:
                raise
            except ExchangeFault:
                self._failed_by_now += self.engaged
                raise

        return ask

    def __call__(self, _name: str) -> None:
        self.passed += 1
        if self.engaged:
            self.look()
            return
        # SQLite has one writer at a time; PostgreSQL lets the switch in beside an open transaction.
        if self.passed < self.point or (connection.vendor == "sqlite" and _in_transaction()):
            return
        if self.thread is None:
            self.sent_before = len(self.venue.rows("SELECT 1 FROM wire"))
            self.thread = threading.Thread(target=self._engage, args=(self.venue.now(),))
            self.thread.start()
        # There it may have to wait for what the transaction has locked: then the worker goes on, to its end.
        self.thread.join(LOCKED if _in_transaction() else None)
        if not self.thread.is_alive():
            self.engaged, self.engaged_at = True, self.venue.second()
            self.look()

    def _engage(self, at: object) -> None:
        run = BotRun.objects.get(pk=1)
        targets = {Level.PLATFORM: 0, Level.USER: run.user_id, Level.KEY: run.key_id, Level.RUN: run.pk}
        gates.switch(self.level, targets[self.level], "halt", "drill", at, CONSOLE)  # type: ignore[arg-type]
        self.claimed = set(Order.objects.filter(state=OrderState.SENDING).values_list("client_order_id", flat=True))
        connections.close_all()

    def look(self) -> bool:
        """Whether an entry rests at the exchange now, since the switch was engaged."""
        if not self.engaged or not self.resting():
            return False
        self.found, self.failures = True, self._failed_by_now
        self.rested = self.venue.second() - self.engaged_at
        return True

    def resting(self) -> list[tuple[object, ...]]:
        return self.venue.rows("SELECT id FROM orders WHERE status = 'open' AND side = 'buy'")

    @property
    def allowed(self) -> float:
        return PROMPT + EACH_FAILURE * self.failures

    def settle(self, world: Any) -> None:
        """Rounds until no entry rests, or it has rested for too long; and then some more for what may still come."""
        for _ in range(2):
            while self.look() and self.rested <= self.allowed:
                world.play(self.venue.second() + ROUND)
            world.play(self.venue.second() + 20)
            self.look()

    def wrong(self) -> list[str]:
        """Orders that left after the switch without having been claimed before it; entries that rested too long."""
        if not self.engaged:
            return ["switch: it was never engaged"]
        left = {str(row[0]) for row in self.venue.rows("SELECT client_id FROM wire ORDER BY id")[self.sent_before :]}
        wrong = [f"switch: {client_id} was claimed and sent after it" for client_id in left - self.claimed]
        wrong += [f"switch: entry {row[0]} still rests" for row in self.resting()]
        if self.rested > self.allowed:
            told = f"{self.rested:.1f} s with {self.failures} failed requests"
            wrong.append(f"switch: an entry rested for {told}, {self.allowed:.0f} s are allowed")
        return wrong
