"""The exchange's own books in one SQLite file: the ground truth, whatever happens to anybody else's process."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from exchanges.core.decimals import plain
from exchanges.tests.loopback.rules import Rejected

SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (
    id INTEGER PRIMARY KEY, api_key TEXT UNIQUE NOT NULL, api_secret TEXT NOT NULL, rights TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS balances (
    account INTEGER NOT NULL, asset TEXT NOT NULL, free TEXT NOT NULL, locked TEXT NOT NULL,
    PRIMARY KEY (account, asset));
CREATE TABLE IF NOT EXISTS orders (
    id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, client_id TEXT NOT NULL, symbol TEXT NOT NULL,
    side TEXT NOT NULL, type TEXT NOT NULL, tif TEXT NOT NULL, price TEXT, stop_price TEXT, amount TEXT NOT NULL,
    filled TEXT NOT NULL DEFAULT '0', cost TEXT NOT NULL DEFAULT '0', locked TEXT NOT NULL DEFAULT '0',
    status TEXT NOT NULL, created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL,
    checked_ms INTEGER NOT NULL, held_until INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS order_by_client ON orders (account, client_id);
CREATE INDEX IF NOT EXISTS order_by_status ON orders (status);
CREATE TABLE IF NOT EXISTS trades (
    id INTEGER PRIMARY KEY AUTOINCREMENT, order_id INTEGER NOT NULL, account INTEGER NOT NULL, symbol TEXT NOT NULL,
    side TEXT NOT NULL, price TEXT NOT NULL, amount TEXT NOT NULL, fee TEXT NOT NULL, fee_asset TEXT NOT NULL,
    maker INTEGER NOT NULL, at_ms INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS later (
    id INTEGER PRIMARY KEY AUTOINCREMENT, due_ms INTEGER NOT NULL, what TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL,
    client_id TEXT, params TEXT NOT NULL, fault TEXT, status INTEGER);
"""
OPEN = ("NEW", "PARTIALLY_FILLED")
Row = dict[str, Any]


class Books:
    """One writer at a time; every change of orders and balances is one transaction, its journal its own."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=20)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA journal_mode=WAL")
        # Survives the death of a process; not of the machine, which no test pulls the plug of.
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nests: what fails inside leaves what is around it as it was."""
        with self._lock:
            self._depth += 1
            outermost, name = self._depth == 1, f"inner{self._depth}"
            self._db.execute("BEGIN IMMEDIATE" if outermost else f"SAVEPOINT {name}")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK" if outermost else f"ROLLBACK TO {name}")
                raise
            else:
                self._db.execute("COMMIT" if outermost else f"RELEASE {name}")
            finally:
                self._depth -= 1

    def rows(self, query: str, *values: Any) -> list[Row]:
        with self._lock:
            return [dict(row) for row in self._db.execute(query, values)]

    def row(self, query: str, *values: Any) -> Row | None:
        found = self.rows(query, *values)
        return found[0] if found else None

    def insert(self, table: str, **values: Any) -> int:
        marks = ", ".join("?" * len(values))
        with self._lock:
            cursor = self._db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", [*values.values()])
            return int(cursor.lastrowid or 0)

    def update(self, table: str, key: int, **values: Any) -> None:
        marks = ", ".join(f"{name} = ?" for name in values)
        with self._lock:
            self._db.execute(f"UPDATE {table} SET {marks} WHERE id = ?", [*values.values(), key])

    def delete(self, table: str, key: int) -> None:
        with self._lock:
            self._db.execute(f"DELETE FROM {table} WHERE id = ?", [key])

    # --- Accounts and balances ---------------------------------------------------------------------

    def open_account(self, api_key: str, api_secret: str, rights: dict[str, Any]) -> int:
        known = self.row("SELECT id FROM accounts WHERE api_key = ?", api_key)
        if known:
            self.update("accounts", known["id"], api_secret=api_secret, rights=json.dumps(rights))
            return int(known["id"])
        return self.insert("accounts", api_key=api_key, api_secret=api_secret, rights=json.dumps(rights))

    def balances(self, account: int) -> dict[str, tuple[Decimal, Decimal]]:
        rows = self.rows("SELECT * FROM balances WHERE account = ? ORDER BY asset", account)
        return {row["asset"]: (Decimal(row["free"]), Decimal(row["locked"])) for row in rows}

    def move(self, account: int, asset: str, free: Decimal, locked: Decimal = Decimal(0)) -> None:
        """Add to a balance; what would go below zero is refused as Binance does."""
        old_free, old_locked = self.balances(account).get(asset, (Decimal(0), Decimal(0)))
        if old_free + free < 0 or old_locked + locked < 0:
            raise Rejected(-2010, "Account has insufficient balance for requested action.")
        with self._lock:
            self._db.execute(
                "INSERT INTO balances VALUES (?, ?, ?, ?) ON CONFLICT (account, asset) "
                "DO UPDATE SET free = excluded.free, locked = excluded.locked",
                [account, asset, plain(old_free + free), plain(old_locked + locked)],
            )
