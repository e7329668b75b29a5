"""The same proof through the unmodified ccxt client, over HTTP, against the loopback exchange in another process."""

import json
import os
import signal
import sqlite3
import threading
import time
import urllib.request
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from django.conf import settings

from bots.tests.proof.crash import POINTS
from bots.tests.proof.terms import Mood
from bots.tests.proof.venue import OWN, instant
from exchanges.adapters.ccxt_clients import forget_clients
from exchanges.adapters.ccxt_transport import TransportSession
from exchanges.tests.loopback.exchange import LoopbackExchange
from exchanges.tests.loopback.faults import Fault, Kind, http_error

BOOKS, SECOND, ADDRESS, PATH = "venue.sqlite3", "second", "address.json", "path.json"
ORDER = "POST /api/v3/order"
ORDER_FAULTS = (
    *(Fault(kind, ORDER) for kind in (Kind.DROP_BEFORE, Kind.DROP_AFTER, Kind.RESET_AFTER, Kind.TRUNCATE)),
    *(Fault(kind, ORDER) for kind in (Kind.EMPTY, Kind.MALFORMED, Kind.DUPLICATE)),
    Fault(Kind.LAG, ORDER, seconds=4), Fault(Kind.LATE, ORDER, seconds=3), Fault(Kind.PARTIAL, ORDER, fraction="0.4"),
    http_error(ORDER), http_error(ORDER, 503, executed=True),
)  # fmt: skip
READ_FAULTS = tuple(
    Fault(kind, f"GET /api/v3/{path}")
    for path in ("order", "myTrades", "account", "allOrders")
    for kind in (Kind.DROP_BEFORE, Kind.TRUNCATE, Kind.MALFORMED)
)
LOADED = """
CREATE TABLE wire AS SELECT id, client_id, (at_ms - {zero}) / 1000.0 AS at, 0 AS sent_at
  FROM books.requests WHERE method = 'POST' AND path = '/api/v3/order';
CREATE TABLE orders AS SELECT id, client_id, lower(side) AS side, amount, filled, status AS theirs,
  CASE WHEN status IN ('NEW', 'PARTIALLY_FILLED') THEN 'open' WHEN status = 'FILLED' THEN 'closed'
  ELSE lower(status) END AS status, (created_ms - {zero}) / 1000.0 AS created,
  CASE WHEN status IN ('NEW', 'PARTIALLY_FILLED') THEN NULL ELSE (updated_ms - {zero}) / 1000.0 END AS ended,
  price AS limit_price FROM books.orders;
CREATE TABLE trades AS SELECT id, order_id, lower(side) AS side, amount, price, fee, fee_asset, at_ms AS at
  FROM books.trades;
"""


def serve(folder: Path, seed: str, faults: bool) -> None:
    """A process of its own: the exchange, until it is told to end."""
    done = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: done.set())
    with LoopbackExchange(folder / BOOKS) as exchange:
        exchange.clock.set(instant(_second(folder)))
        exchange.set_price("BTC/USDT", _price(folder))
        if not exchange.balances():
            for asset, amount in OWN.items():
                exchange.deposit(asset, amount)
        chance = Random(seed)
        if faults:
            exchange.faults.add(*chance.sample(ORDER_FAULTS, 2), *chance.sample(READ_FAULTS, 2))
        (folder / ADDRESS).write_text(json.dumps({"url": exchange.url, "overrides": exchange.overrides()}))
        done.wait()


def _price(folder: Path) -> str:
    """The last of the prices to come that has come."""
    file, second = folder / PATH, _second(folder)
    path = json.loads(file.read_text()) if file.exists() else []
    return next((str(price) for at, price in reversed(path) if at <= second), "100")


def _second(folder: Path) -> float:
    path = folder / SECOND
    return float(path.read_text()) if path.exists() else 0.0


class HttpVenue:
    """What the world needs of a venue: its clock, its price and a look into its books."""

    script: Any = None

    def __init__(self, folder: Path, mood: Mood) -> None:
        self.folder, self.mood = folder, mood
        address = json.loads((folder / ADDRESS).read_text())
        self.url = address["url"]
        settings.EXCHANGE_OVERRIDES = address["overrides"]
        forget_clients()
        watch_requests()
        if not mood.faults:
            self._control("faults/clear", {})
        self._control("clock", {"set": self.now().isoformat()})

    def second(self) -> float:
        return _second(self.folder)

    def now(self) -> datetime:
        return instant(self.second())

    def pass_time(self, duration: float) -> None:
        self.pass_until(self.second() + duration)

    def follow(self, path: Sequence[tuple[float, str]]) -> None:
        """Prices to come: whoever lets the time pass sets them on the way."""
        (self.folder / PATH).write_text(json.dumps(path))

    def pass_until(self, second: float) -> None:
        file = self.folder / PATH
        for at, price in json.loads(file.read_text()) if file.exists() else []:
            if self.second() < at <= second:
                self._pass(at)
                self.set_price(price)
        self._pass(second)

    def _pass(self, second: float) -> None:
        if second > self.second():
            (self.folder / f"{SECOND}.new").write_text(repr(second))
            (self.folder / f"{SECOND}.new").replace(self.folder / SECOND)
            self._control("clock", {"set": self.now().isoformat()})

    def set_price(self, price: str) -> None:
        self._control("price", {"symbol": "BTC/USDT", "price": price})

    def price(self) -> Decimal:
        return Decimal(_price(self.folder))

    def let_rest(self, rests: bool) -> None:
        """The loopback exchange knows immediate orders; none rests."""

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        with sqlite3.connect(":memory:") as loaded:
            loaded.execute("ATTACH DATABASE ? AS books", (str(self.folder / BOOKS),))
            zero = int(instant(0).timestamp() * 1000)
            for statement in LOADED.format(zero=zero).split(";"):
                loaded.execute(statement)
            return loaded.execute(sql, values).fetchall()

    def _control(self, noun: str, value: dict[str, Any]) -> None:
        request = urllib.request.Request(f"{self.url}/control/{noun}", json.dumps(value).encode(), method="POST")
        urllib.request.urlopen(request, timeout=10).close()


def watch_requests() -> None:
    """Crash points on both sides of every request that leaves this process."""
    if getattr(TransportSession.request, "watched", False):
        return
    request = TransportSession.request

    def watched(self: TransportSession, method: str, url: str, **options: Any) -> Any:
        name = f"{method} {url.partition('?')[0].rpartition('/')[2]}"
        POINTS.point(f"before HTTP {name}")
        try:
            return request(self, method, url, **options)
        finally:
            POINTS.point(f"after HTTP {name}")

    watched.watched = True  # type: ignore[attr-defined]
    TransportSession.request = watched  # type: ignore[method-assign]


def wait_for(folder: Path) -> None:
    for _ in range(500):
        if (folder / ADDRESS).exists():
            return
        time.sleep(0.02)
    raise TimeoutError("The loopback exchange did not start.")


def stop(pid: int, folder: Path) -> None:
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    (folder / ADDRESS).unlink(missing_ok=True)
