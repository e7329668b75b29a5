"""One request budget per exchange and outgoing address, shared by every process through Django's cache."""

import time
from datetime import datetime, timedelta
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from redis.exceptions import RedisError

from exchanges.core.errors import BudgetSpent, RateLimited

# Long enough for a burst of look-ups where an exchange counts in whole seconds per request (kraken).
WINDOW_SECONDS = 20
# What questions may spend; the rest is kept for orders and for other programs on this address.
SHARE = 0.7
SHARE_URGENT = 0.9
_UNIT = 1_000  # cache counters are whole numbers: costs are kept in thousandths
_GRACE = timedelta(hours=1)
#: What this process counts by itself while the shared cache is away: exits must not wait for it.
_ALONE = LocMemCache("request-budget", {})


class RateBudget:
    """``cost_per_second`` as ccxt states it: 1000 / rateLimit.

    Counters of fixed windows: `add` and `incr` are atomic in Redis and in the local-memory cache alike, so
    threads and processes never spend the same unit twice.
    """

    def __init__(self, exchange: str, egress: str = "", *, cost_per_second: float = 10.0) -> None:
        self._name = f"budget:{exchange}:{egress or 'direct'}"
        self._exchange = exchange
        self._whole = cost_per_second * WINDOW_SECONDS * _UNIT

    def _ask(self, word: str, *given: Any) -> Any:
        """One operation of the cache that all processes share, or of our own while that one does not answer."""
        try:
            return getattr(caches["default"], word)(*given)
        except RedisError:
            return getattr(_ALONE, word)(*given)

    def banned_until(self) -> datetime | None:
        until: datetime | None = self._ask("get", f"{self._name}:ban")
        return until

    def check(self, at: datetime) -> None:
        """Raise RateLimited, without asking the exchange, while it has told us to stay away."""
        until = self.banned_until()
        if until is not None and at < until:
            raise RateLimited(f"{self._exchange} asked us to stay away until {until:%H:%M:%S} UTC.", retry_at=until)

    def ban(self, until: datetime, at: datetime) -> None:
        """Never shortens a ban that is known."""
        known = self.banned_until()
        if known is None or until > known:
            self._ask("set", f"{self._name}:ban", until, (until - at + _GRACE).total_seconds())

    def spend(self, cost: float, at: datetime, patience: float, *, urgent: bool = False) -> None:
        """Wait for room in the budget, at most ``patience`` seconds; BudgetSpent when that is not enough."""
        units = max(1, int(cost * _UNIT))
        limit = int(self._whole * (SHARE_URGENT if urgent else SHARE))
        deadline = time.monotonic() + patience
        while not self._fits(units, limit):
            wait = WINDOW_SECONDS - time.time() % WINDOW_SECONDS
            if time.monotonic() + wait > deadline:
                raise BudgetSpent(
                    f"Our own request budget for {self._exchange} is spent.", retry_at=at + timedelta(seconds=wait)
                )
            time.sleep(wait)

    def _fits(self, units: int, limit: int) -> bool:
        key = f"{self._name}:{int(time.time()) // WINDOW_SECONDS}"
        if self._ask("add", key, units, 2 * WINDOW_SECONDS):
            return True
        try:
            spent = self._ask("incr", key, units)
        except ValueError:  # the window's counter expired in between
            return bool(self._ask("add", key, units, 2 * WINDOW_SECONDS))
        if spent > limit:
            self._ask("decr", key, units)
            return False
        return True
