"""An HTTP server on the loopback that says whatever it is told to, in the place of any exchange that ccxt knows."""

import contextlib
import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import ccxt
from django.core.cache import cache
from django.test import override_settings

from exchanges.adapters import ccxt_clients
from exchanges.adapters.ccxt_clients import forget_clients
from exchanges.adapters.ccxt_contracts import CONTRACTS
from exchanges.tests.local_server import LocalServer, QuietHandler

SYMBOL = "BTC/USDT"
#: How each exchange itself calls the symbol.
NATIVE = {"binance": "BTCUSDT", "bybit": "BTCUSDT", "kraken": "XBTUSDT", "gate": "BTC_USDT", "bitget": "BTCUSDT"}

Server = TypeVar("Server", bound=LocalServer)


class VenueServer(LocalServer):
    """Answers every request with ``status`` and ``body`` and counts them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.body, self.headers = 200, "{}", dict[str, str]()
        self.requests: list[tuple[str, str]] = []
        self.begin()

    def say(self, status: int, body: str, **headers: str) -> None:
        self.status, self.body, self.requests = status, body, []
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class _Handler(QuietHandler):
    server: VenueServer

    def _serve(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append((self.command, urlsplit(self.path).path))
        kind = {"Content-Type": "text/html"} if self.server.body.startswith("<") else {}
        self.say(self.server.status, self.server.body.encode(), **kind, **self.server.headers)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the base class's names


def overrides(url: str) -> dict[str, Any]:
    """EXCHANGE_OVERRIDES that send every request of every exchange here, under the path of the real one."""
    return {name: {"urls": {"api": _moved(getattr(ccxt, name)().urls["api"], url)}} for name in CONTRACTS}


def _moved(place: Any, url: str) -> Any:
    if isinstance(place, dict):
        return {name: _moved(value, url) for name, value in place.items()}
    return url + urlsplit(place).path


@contextlib.contextmanager
def in_place_of(exchanges: Iterable[str], server: Server, **settings: object) -> Iterator[Server]:
    """Nothing is known from an earlier exchange, and each lists one market without being asked."""
    places = overrides(server.url)
    with override_settings(EXCHANGE_OVERRIDES={name: places[name] | settings for name in exchanges}):
        forget_clients()
        cache.clear()
        for name in exchanges:
            _list_market(name)
        try:
            yield server
        finally:
            forget_clients()
            cache.clear()
            server.shutdown()
            server.server_close()


def _list_market(exchange: str) -> None:
    catalogue = ccxt_clients.new_client(exchange, None)
    kinds = dict.fromkeys(("margin", "swap", "future", "option", "contract"), False)
    market = {
        "id": NATIVE.get(exchange, "BTC-USDT"), "symbol": SYMBOL, "base": "BTC", "quote": "USDT", "baseId": "BTC",
        "quoteId": "USDT", "type": "spot", "spot": True, **kinds, "linear": None, "inverse": None, "active": True,
        "precision": {"amount": "0.00001", "price": "0.1"},
        "info": {"altname": "XBTUSDT", "orderTypes": ["LIMIT", "MARKET"]},
        "limits": {"amount": {"min": "0.00001"}, "price": {}, "cost": {"min": "5"}},
    }  # fmt: skip
    catalogue.api.set_markets([market])
    loaded = ccxt_clients._Loaded(catalogue.api, ccxt_clients.time.monotonic(), ccxt_clients.read_markets(catalogue))
    ccxt_clients._loaded[(exchange, ccxt_clients._marks(exchange))] = loaded


def body(exchange: str, code: str, text: str, *, of_order: bool = False) -> str:
    """An error as this exchange writes it; ``of_order``: one level down, in an answer that looks like a success."""
    match exchange:
        case "binance":
            return json.dumps({"code": int(code), "msg": text})
        case "okx" if of_order:
            row = {"clOrdId": "", "ordId": "", "sCode": code, "sMsg": text, "tag": ""}
            return json.dumps({"code": "1", "data": [row], "msg": "All operations failed"})
        case "okx":
            return json.dumps({"code": code, "data": [], "msg": text})
        case "bybit":
            answer = {"retCode": int(code), "retMsg": text, "result": {}, "retExtInfo": {}, "time": 1706781661000}
            return json.dumps(answer)
        case "kraken":
            return json.dumps({"error": [code]})
        case "gate":
            return json.dumps({"label": code, "message": text})
        case "coinbase" if of_order:
            error = {"error": code, "message": text, "error_details": ""}
            return json.dumps({"success": False, "failure_reason": code, "order_id": "", "error_response": error})
        case "coinbase":
            return json.dumps({"error": code, "error_details": text, "message": text})
        case "bitget":
            return json.dumps({"code": code, "msg": text, "requestTime": 1706781661000, "data": None})
        case _:
            return json.dumps({"code": code, "msg": text})
