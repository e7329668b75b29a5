"""The loopback exchange as a test or a person holds it: its address, clock, prices, books and faults."""

import json
import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any

from exchanges.core.candles import Candles
from exchanges.tests.loopback.books import Books, Row
from exchanges.tests.loopback.faults import Fault, Faults
from exchanges.tests.loopback.matching import Matching
from exchanges.tests.loopback.prices import Prices, ServerClock
from exchanges.tests.loopback.rules import recorded_rules
from exchanges.tests.loopback.server import Server

API_KEY = "loopbackkey0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"
API_SECRET = "loopbacksecretABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwx"
TRADE_ONLY: Mapping[str, Any] = {
    "ipRestrict": True,
    "enableReading": True,
    "enableSpotAndMarginTrading": True,
    "enableWithdrawals": False,
    "enableInternalTransfer": False,
    "permitsUniversalTransfer": False,
    "enableMargin": False,
    "enableFutures": False,
    "enableVanillaOptions": False,
}


class LoopbackExchange:
    """Serves from construction until `close`; its books outlive it in ``path`` and are taken up again from there.

    One account exists from the start (`API_KEY`, `API_SECRET`), which may trade and not withdraw.
    """

    def __init__(self, path: Path, port: int = 0) -> None:
        self.clock = ServerClock()
        self.prices = Prices()
        self.rules = recorded_rules()
        self.books = Books(path)
        self.matching = Matching(self.books, self.prices, self.rules)
        self.faults = Faults()
        self.account = self.open_account(API_KEY, API_SECRET)
        self._server = Server(self, port)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True, name="loopback")
        self._thread.start()

    def __enter__(self) -> "LoopbackExchange":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stop_listening(self) -> None:
        """New connections are refused from here on; the books stay readable."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def close(self) -> None:
        self.stop_listening()
        self.books.close()

    # --- Where it is -------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def overrides(self) -> dict[str, Any]:
        """What EXCHANGE_OVERRIDES has to say for the unmodified ccxt client to talk to it."""
        api = dict.fromkeys(("public", "private"), f"{self.url}/api/v3")
        # Its own limits are none, so ours need not slow a test down.
        return {"binance": {"rateLimit": 0.1, "urls": {"api": {**api, "sapi": f"{self.url}/sapi/v1"}}}}

    # --- What it has -------------------------------------------------------------------------------

    def open_account(self, api_key: str, api_secret: str, **rights: Any) -> int:
        return self.books.open_account(api_key, api_secret, {**TRADE_ONLY, **rights})

    def deposit(self, asset: str, amount: Decimal | str, account: int | None = None) -> None:
        with self.books.transaction():
            self.books.move(account or self.account, asset, Decimal(amount))

    def load_candles(self, symbol: str, timeframe: str, candles: Candles) -> None:
        self.prices.load(self._id(symbol), timeframe, candles)

    def set_price(self, symbol: str, price: Decimal | str | None) -> None:
        self.prices.set(self._id(symbol), None if price is None else Decimal(price))

    def sweep(self) -> None:
        """Let what is due by the clock happen now instead of at the next request."""
        self.matching.sweep(self.clock.ms)

    # --- What happened -----------------------------------------------------------------------------

    def orders(self) -> list[Row]:
        return self.books.rows("SELECT * FROM orders ORDER BY id")

    def trades(self) -> list[Row]:
        return self.books.rows("SELECT * FROM trades ORDER BY id")

    def requests(self, method: str = "", path: str = "") -> list[Row]:
        """Every request that arrived, also those that were dropped; ``params`` without signature."""
        rows = self.books.rows(
            "SELECT * FROM requests WHERE method LIKE ? AND path LIKE ? ORDER BY id", method or "%", path or "%"
        )
        return [row | {"params": json.loads(row["params"])} for row in rows]

    def balances(self, account: int | None = None) -> dict[str, tuple[Decimal, Decimal]]:
        return self.books.balances(account or self.account)

    def journal(self, method: str, path: str, params: dict[str, str], fault: Fault | None) -> int:
        kept = {name: value for name, value in params.items() if name != "signature"}
        client_id = params.get("newClientOrderId") or params.get("origClientOrderId")
        return self.books.insert(
            "requests", at_ms=self.clock.ms, method=method, path=path, client_id=client_id,
            params=json.dumps(kept), fault=fault.kind.value if fault else None,
        )  # fmt: skip

    def _id(self, symbol: str) -> str:
        known = {rules.symbol: rules.id for rules in self.rules.values()}
        return known[symbol]
