"""An exchange with durable books of its own, atomic in itself, that behaves as badly as real ones do.

Its clock is the simulation's clock. Faults are drawn from the seed, never from the wall clock. What is true stands in
its own SQLite file, whatever happens to the process that talks to it.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import TypeVar

from django.db import connection

from bots.testing import MARKET, START
from bots.tests.proof.crash import POINTS
from bots.tests.proof.terms import Mood
from exchanges.core.candles import Candles
from exchanges.core.errors import (
    ClockSkew,
    DuplicateOrder,
    InsufficientFunds,
    InvalidRequest,
    OrderNotFound,
    RateLimited,
    Unavailable,
)
from exchanges.core.fees import fee_for
from exchanges.core.market import Market
from exchanges.core.orders import (
    Balance,
    FillReport,
    KeyPermissions,
    OrderReport,
    OrderRequest,
    Quote,
    ReportStatus,
    Side,
)

MARKET_RULES = replace(MARKET, fee_in_base=True)
TIMEOUT = 10.0
#: What the account's owner has besides: enough to pay for every mistake.
OWN = {"BTC": Decimal(50), "USDT": Decimal(100_000)}
TABLES = """
CREATE TABLE facts(name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE orders(id INTEGER PRIMARY KEY, client_id TEXT, side TEXT, amount TEXT, filled TEXT, status TEXT,
  price TEXT, created REAL, found_from REAL, listed_from REAL, stop TEXT, limit_price TEXT, ended REAL);
CREATE TABLE trades(id INTEGER PRIMARY KEY, order_id INTEGER, side TEXT, amount TEXT, price TEXT, fee TEXT,
  fee_asset TEXT, at REAL, seen_from REAL);
CREATE TABLE late(id INTEGER PRIMARY KEY, client_id TEXT, side TEXT, amount TEXT, sent_at REAL, arrives REAL,
  stop TEXT, limit_price TEXT);
CREATE TABLE path(at REAL, price TEXT);
CREATE TABLE later_fills(id INTEGER PRIMARY KEY, order_id INTEGER, amount TEXT, at REAL);
CREATE TABLE wire(id INTEGER PRIMARY KEY, client_id TEXT, at REAL, sent_at REAL);
"""
CREATE_FAULTS = {
    "fill": 46, "part": 8, "none": 3, "lost request": 7, "lost reply": 10, "5xx executed": 4, "5xx idle": 3,
    "late": 8, "refused": 3, "unreadable": 4, "duplicate": 4,
}  # fmt: skip
CANCEL_FAULTS = {"ok": 40, "lost request": 12, "lost reply": 14, "filled first": 16, "fills after": 6, "not found": 12}


#: How much of an order is filled where not all of it is.
PART = Decimal("0.37")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as the exchange reads it; ``limit`` only where the order may rest."""

    client_id: str
    side: Side
    amount: Decimal
    sent_at: float
    stop: Decimal | None = None
    limit: Decimal | None = None


def _met(side: Side, price: Decimal, limit: Decimal) -> bool:
    return price <= limit if side is Side.BUY else price >= limit


def seconds(at: datetime) -> float:
    return (at - START).total_seconds()


def instant(second: float) -> datetime:
    return START + timedelta(seconds=second)


class Venue:
    """The exchange port for one account; `at` opens it as of an instant, which it ignores but for signatures."""

    name = "binance"

    def __init__(self, path: Path, seed: str, mood: Mood | None = None) -> None:
        fresh = not path.exists()
        self.db = sqlite3.connect(path, isolation_level=None, timeout=30, check_same_thread=False)
        self.db.execute("PRAGMA synchronous=OFF")
        self.db.execute("PRAGMA journal_mode=MEMORY")
        if fresh:
            self.db.executescript(TABLES)
            self._set("now", "0")
        self.random = Random(seed)
        self.mood = mood or Mood()
        self.script: Candles | None = None

    # --- The simulation's own doors ----------------------------------------------------------------

    def at(self, _at: datetime) -> "Venue":
        return self

    def second(self) -> float:
        return float(self._get("now"))

    def now(self) -> datetime:
        return instant(self.second())

    def pass_time(self, duration: float) -> None:
        with self._atomic():
            self._advance(self.second() + duration)

    def pass_until(self, second: float) -> None:
        with self._atomic():
            if second > self.second():
                self._advance(second)

    def set_price(self, price: str) -> None:
        with self._atomic():
            self._set("price", price)
            self._trigger()

    def follow(self, path: Sequence[tuple[float, str]]) -> None:
        """Prices to come, each at its second, whether or not a worker lives to see it."""
        self.db.executemany("INSERT INTO path VALUES (?, ?)", path)

    def price(self) -> Decimal:
        return Decimal(self._get("price") or "100")

    def let_rest(self, rests: bool) -> None:
        """Whether immediate orders rest all the same, as on an exchange that does not know them."""
        self._set("rests", "1" if rests else "")

    def rows(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        return self.db.execute(sql, values).fetchall()

    # --- Public ------------------------------------------------------------------------------------

    def markets(self) -> Mapping[str, Market]:
        return {MARKET_RULES.symbol: MARKET_RULES}

    def timeframes(self) -> Sequence[str]:
        return ("1m",)

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        if self.script is None:
            raise Unavailable("There is no script.")
        return self.script.since(since).closed(self.now(), timeframe)[:limit]

    def fetch_quote(self, symbol: str) -> Quote:
        return self._read("quote", lambda: Quote(symbol, self.price(), self.price(), self.now()), quiet=True)

    def fetch_time(self) -> datetime:
        return self._read("time", self.now)

    def fetch_permissions(self) -> KeyPermissions:
        return KeyPermissions(can_read=True, can_trade=True, can_withdraw=False)

    # --- The account -------------------------------------------------------------------------------

    def fetch_balances(self) -> Mapping[str, Balance]:
        return self._read("balances", self._balances)

    def create_order(self, order: OrderRequest) -> OrderReport:
        self._enter("create")
        with self._atomic():
            self.db.execute(
                "INSERT INTO wire(client_id, at, sent_at) VALUES (?, ?, ?)",
                (order.client_order_id, self.second(), seconds(order.sent_at)),
            )
        fault = self._draw(CREATE_FAULTS) if self.mood.faults else "fill"
        sent = Sent(
            order.client_order_id, order.side, order.amount, seconds(order.sent_at), order.stop_price,
            None if order.immediate or order.stop_price is not None else order.limit_price,
        )  # fmt: skip
        self._before_arrival(fault, sent)
        with self._atomic():
            row = self._accept(sent, fault)
        POINTS.point("after HTTP create")
        self._after_arrival(fault)
        return self._report(row)

    def _before_arrival(self, fault: str, sent: "Sent") -> None:
        if fault == "refused":
            POINTS.point("after HTTP create")
            raise InsufficientFunds("The exchange says that there is not enough.")
        if fault in ("lost request", "5xx idle"):
            self.pass_time(TIMEOUT if fault == "lost request" else 0.5)
            POINTS.point("after HTTP create")
            raise Unavailable("No answer.")
        if fault == "late":
            delay = self.random.choice([1, 3, 8, 25])
            self.db.execute(
                "INSERT INTO late(client_id, side, amount, sent_at, arrives, stop, limit_price)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (sent.client_id, sent.side.value, str(sent.amount), sent.sent_at, self.second() + delay,
                 str(sent.stop or ""), str(sent.limit or "")),
            )  # fmt: skip
            POINTS.point("after HTTP create")
            self.pass_time(0.5)
            raise Unavailable("The gateway timed out.")

    def _after_arrival(self, fault: str) -> None:
        if fault == "lost reply":
            self.pass_time(TIMEOUT)
        if fault in ("lost reply", "5xx executed", "unreadable"):
            raise Unavailable(f"The answer was no use: {fault}.")
        if fault == "duplicate":
            raise DuplicateOrder("Duplicate order sent.")

    def cancel_order(self, symbol: str, client_order_id: str) -> None:
        self._enter("cancel")
        fault = self._draw(CANCEL_FAULTS) if self.mood.faults else "ok"
        if fault == "lost request":
            self.pass_time(TIMEOUT)
            POINTS.point("after HTTP cancel")
            raise Unavailable("No answer.")
        with self._atomic():
            done = self._cancel(client_order_id, fault)
        POINTS.point("after HTTP cancel")
        if fault == "lost reply":
            self.pass_time(TIMEOUT)
            raise Unavailable("The reply was lost.")
        if not done or fault == "not found":
            raise OrderNotFound("There is no such open order.")

    def fetch_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return self._read("order", lambda: self._find(client_order_id))

    def fetch_open_orders(self, symbol: str) -> Sequence[OrderReport]:
        return self._read("open orders", lambda: self._listed("status = 'open'"))

    def fetch_recent_orders(self, symbol: str, since: datetime) -> Sequence[OrderReport]:
        return self._read("recent orders", lambda: self._listed(f"created >= {seconds(since)}"))

    def fetch_fills(
        self, symbol: str, *, exchange_order_id: str | None = None, since: datetime | None = None
    ) -> Sequence[FillReport]:
        earliest = -1e12 if since is None else seconds(since)

        def found() -> list[FillReport]:
            rows = self.rows(
                "SELECT * FROM trades WHERE at >= ? AND seen_from <= ? ORDER BY id", earliest, self.second()
            )
            fills = [_fill(row) for row in rows]
            return [fill for fill in fills if exchange_order_id in (None, fill.exchange_order_id)]

        return self._read("fills", found)

    # --- Behind the door ---------------------------------------------------------------------------

    @contextmanager
    def _atomic(self) -> Iterator[None]:
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.db.execute("ROLLBACK")
            raise
        self.db.execute("COMMIT")

    def _enter(self, name: str) -> None:
        if connection.in_atomic_block and self.mood.strict:
            raise AssertionError(f"A transaction is open over the network ({name}).")
        POINTS.point(f"before HTTP {name}")

    def _read(self, name: str, work: Callable[[], T], *, quiet: bool = False) -> T:
        self._enter(name)
        luck = self.random.random() if self.mood.faults and not quiet else 1.0
        if luck < self.mood.trouble or (self.mood.faults and name in self.mood.silent):
            self.pass_time(1.0 if luck > 0.015 else TIMEOUT)
            raise Unavailable("No answer.")
        if luck < self.mood.trouble + 0.005:
            raise RateLimited("Too many requests.", retry_at=self.now() + timedelta(seconds=4))
        result = work()
        POINTS.point(f"after HTTP {name}")
        return result

    def _draw(self, weights: Mapping[str, int]) -> str:
        return self.random.choices(list(weights), list(weights.values()))[0]

    def _lag(self, *choices: float) -> float:
        return self.random.choice(choices) if self.mood.faults else 0.0

    def _accept(self, sent: "Sent", luck: str) -> int:
        """The matching engine's door: late or repeated requests do not pass it."""
        now = self.second()
        if now - sent.sent_at > self.mood.window or sent.sent_at > now + 1:
            raise ClockSkew("Timestamp for this request is outside of the recvWindow.")
        # As on most exchanges: an id is unique among open orders only.
        if self.rows("SELECT 1 FROM orders WHERE client_id = ? AND status = 'open'", sent.client_id):
            raise DuplicateOrder("Duplicate order sent.")
        if sent.stop is not None and self.price() <= sent.stop:
            raise InvalidRequest("Stop price would trigger immediately.")
        shown = now + self._lag(0, 0, 0, 0, 0, 1, 2.5, 6, 25)
        listed = now + self._lag(0, 0, 0, 1)
        row = self.db.execute(
            "INSERT INTO orders(client_id, side, amount, filled, status, price, created, found_from,"
            " listed_from, stop, limit_price) VALUES (?, ?, ?, '0', 'open', ?, ?, ?, ?, ?, ?)",
            (sent.client_id, sent.side.value, str(sent.amount), str(self.price()), now, shown, min(listed, shown),
             str(sent.stop or ""), str(sent.limit or "")),
        ).lastrowid  # fmt: skip
        if sent.stop is None:
            self._match(sent, row, luck)
        return int(row or 0)

    def _match(self, sent: "Sent", row: int | None, luck: str) -> None:
        """What a new order meets at once; what is left of an immediate one expires."""
        rests = sent.limit is not None or (bool(self._get("rests")) and sent.side is Side.BUY)
        if sent.limit is not None and not _met(sent.side, self.price(), sent.limit):
            return
        if luck == "part" or (rests and sent.limit is None):
            self._execute(row, MARKET_RULES.round_amount(sent.amount * PART), self.price())
        elif luck != "none":
            self._execute(row, sent.amount, self.price())
        if not rests:
            self.db.execute(
                "UPDATE orders SET status = 'expired', ended = ? WHERE id = ? AND status = 'open'", (self.second(), row)
            )

    def _trigger(self) -> None:
        """Resting stops that the price has gone through, and limits that it has met; now and then a part of one."""
        price = self.price()
        for order_id, stop, amount in self.rows(
            "SELECT id, stop, amount FROM orders WHERE status = 'open' AND stop <> ''"
        ):
            if price <= Decimal(str(stop)):
                self.db.execute("UPDATE orders SET stop = '' WHERE id = ?", (order_id,))
                self._execute(int(str(order_id)), MARKET_RULES.round_amount(Decimal(str(amount)) * self._share()))
        for order_id, side, limit, amount, filled in self.rows(
            "SELECT id, side, limit_price, amount, filled FROM orders WHERE status = 'open' AND limit_price <> ''"
        ):
            if _met(Side(side), price, Decimal(str(limit))):
                rest = Decimal(str(amount)) - Decimal(str(filled))
                self._execute(int(str(order_id)), MARKET_RULES.round_amount(rest * self._share()))

    def _share(self) -> Decimal:
        return self.random.choice([Decimal(1), Decimal(1), Decimal(1), PART]) if self.mood.faults else Decimal(1)

    def _execute(self, order_id: int | None, amount: Decimal, price: Decimal | None = None) -> None:
        """At a price; without one at what a resting order asked for, or else at the market."""
        side, filled, whole, limit = self.rows(
            "SELECT side, filled, amount, limit_price FROM orders WHERE id = ?", order_id
        )[0]
        now, price = self.second(), price or (Decimal(str(limit)) if limit else self.price())
        fee, asset = fee_for(MARKET_RULES, Side(side), amount, price, MARKET_RULES.taker_fee, in_base=True)
        # A large order meets two others.
        first = MARKET_RULES.round_amount(amount / 3)
        parts = [(first, fee / 2), (amount - first, fee - fee / 2)] if first > 0 else [(amount, fee)]
        for part, share in parts:
            self.db.execute(
                "INSERT INTO trades(order_id, side, amount, price, fee, fee_asset, at, seen_from)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (order_id, side, str(part), str(price), str(share), asset, now, now + self._lag(0, 0, 0, 1.5, 4)),
            )
        total = Decimal(str(filled)) + amount
        status = "closed" if total == Decimal(str(whole)) else "open"
        self.db.execute("UPDATE orders SET filled = ? WHERE id = ?", (str(total), order_id))
        if status == "closed":
            self.db.execute(
                "UPDATE orders SET status = 'closed', ended = ? WHERE id = ? AND status = 'open'", (now, order_id)
            )

    def _cancel(self, client_id: str, fault: str) -> bool:
        found = self.rows(
            "SELECT id, amount, filled, side FROM orders WHERE client_id = ? AND status = 'open'", client_id
        )
        if not found:
            return False
        order_id, amount, filled, side = found[0]
        if fault == "fills after" and side == "sell":
            # Coins that it has given back it cannot sell any more: what it sells, it sells before.
            fault = "filled first"
        rest = Decimal(str(amount)) - Decimal(str(filled))
        if fault == "filled first":
            self._execute(int(str(order_id)), rest)
            return False
        self.db.execute("UPDATE orders SET status = 'canceled', ended = ? WHERE id = ?", (self.second(), order_id))
        if fault == "fills after":
            part = MARKET_RULES.round_amount(rest / 2)
            self.db.execute(
                "INSERT INTO later_fills(order_id, amount, at) VALUES (?, ?, ?)",
                (order_id, str(part), self.second() + 7),
            )
        return True

    def _advance(self, second: float) -> None:
        for at, price in self.rows("SELECT at, price FROM path WHERE at <= ? ORDER BY at", second):
            self._set("now", repr(at))
            self._set("price", str(price))
            self._trigger()
        self.db.execute("DELETE FROM path WHERE at <= ?", (second,))
        self._set("now", repr(second))
        late = "SELECT id, client_id, side, amount, sent_at, stop, limit_price FROM late WHERE arrives <= ?"
        for row in self.rows(late, second):
            self.db.execute("DELETE FROM late WHERE id = ?", (row[0],))
            stop, limit = (Decimal(str(value)) if value else None for value in row[5:])
            try:
                self._accept(
                    Sent(str(row[1]), Side(row[2]), Decimal(str(row[3])), float(str(row[4])), stop, limit), "fill"
                )
            except (ClockSkew, DuplicateOrder, InvalidRequest):
                continue
        for fill in self.rows("SELECT id, order_id, amount FROM later_fills WHERE at <= ?", second):
            self.db.execute("DELETE FROM later_fills WHERE id = ?", (fill[0],))
            self._execute(int(str(fill[1])), Decimal(str(fill[2])))

    def _find(self, client_id: str) -> OrderReport:
        rows = self.rows(
            "SELECT id FROM orders WHERE client_id = ? AND found_from <= ? ORDER BY id", client_id, self.second()
        )
        if not rows:
            raise OrderNotFound("Order does not exist.")
        return self._report(int(str(rows[0][0])))

    def _listed(self, where: str) -> list[OrderReport]:
        rows = self.rows(f"SELECT id FROM orders WHERE {where} AND listed_from <= ? ORDER BY id", self.second())
        return [self._report(int(str(row[0]))) for row in rows]

    def _report(self, order_id: int) -> OrderReport:
        row = self.rows("SELECT client_id, side, status, amount, filled, created FROM orders WHERE id = ?", order_id)[0]
        return OrderReport(
            str(order_id), str(row[0]), MARKET_RULES.symbol, Side(row[1]), ReportStatus(row[2]), Decimal(str(row[3])),
            Decimal(str(row[4])), created_at=instant(float(str(row[5]))),
        )  # fmt: skip

    def _balances(self) -> dict[str, Balance]:
        totals = dict(OWN)
        for side, amount, price, fee, asset in self.rows("SELECT side, amount, price, fee, fee_asset FROM trades"):
            sign = 1 if side == "buy" else -1
            totals["BTC"] += sign * Decimal(str(amount))
            totals["USDT"] -= sign * Decimal(str(amount)) * Decimal(str(price))
            totals[str(asset)] -= Decimal(str(fee))
        locked = self._locked()
        return {asset: Balance(total - locked[asset], locked[asset]) for asset, total in totals.items()}

    def _locked(self) -> dict[str, Decimal]:
        """What resting limits hold back."""
        locked = dict.fromkeys(OWN, Decimal(0))
        for side, limit, amount, filled in self.rows(
            "SELECT side, limit_price, amount, filled FROM orders WHERE status = 'open' AND limit_price <> ''"
        ):
            rest = Decimal(str(amount)) - Decimal(str(filled))
            locked["USDT" if side == "buy" else "BTC"] += rest * (Decimal(str(limit)) if side == "buy" else 1)
        return locked

    def _get(self, name: str) -> str:
        found = self.db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return found[0] if found else ""

    def _set(self, name: str, value: str) -> None:
        self.db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))


def _fill(row: tuple[object, ...]) -> FillReport:
    trade_id, order_id, side, amount, price, fee, asset, at, _ = row
    return FillReport(
        str(trade_id), str(order_id), MARKET_RULES.symbol, Side(side), Decimal(str(amount)), Decimal(str(price)),
        Decimal(str(fee)), str(asset), instant(float(str(at))).astimezone(UTC),
    )  # fmt: skip
