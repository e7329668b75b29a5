"""Puts a loopback exchange in Binance's place for the code under test, and puts everything back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.core.cache import cache
from django.test import override_settings

from exchanges.adapters.ccxt_clients import forget_clients
from exchanges.tests.loopback.exchange import LoopbackExchange


@contextmanager
def in_place_of_binance(books: Path, at: datetime | None = None) -> Iterator[LoopbackExchange]:
    """Its clock stands still at ``at`` when that is given; nothing is known from an earlier exchange."""
    with LoopbackExchange(books) as exchange, override_settings(EXCHANGE_OVERRIDES=exchange.overrides()):
        if at is not None:
            exchange.clock.set(at)
        forget_clients()
        cache.clear()
        try:
            yield exchange
        finally:
            forget_clients()
            cache.clear()
