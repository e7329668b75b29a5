"""Makes ccxt clients: markets loaded once per exchange and process, clients kept per thread and credential."""

import functools
import hashlib
import importlib
import json
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.conf import settings

from exchanges.adapters.ccxt_contracts import SPOT_ONLY, Contract, contract_of
from exchanges.adapters.ccxt_reading import market_of
from exchanges.adapters.ccxt_transport import CALL_SECONDS, TransportSession
from exchanges.adapters.rate_budget import RateBudget
from exchanges.core.candles import from_ms, to_ms
from exchanges.core.errors import Unavailable
from exchanges.core.market import Market
from exchanges.vault import Credentials

MARKETS_SECONDS = 3600.0
RETRY_SECONDS = 60.0
CLIENTS_PER_THREAD = 64
log = logging.getLogger(__name__)


class Clock:
    """The caller's instant and what has passed since, or one frozen instant while an order is signed."""

    def __init__(self) -> None:
        self._at_ms = 0
        self._started = 0.0
        self.frozen: int | None = None

    def start(self, at: datetime, started: float) -> None:
        self._at_ms, self._started, self.frozen = to_ms(at), started, None

    def ms(self) -> int:
        if self.frozen is not None:
            return self.frozen
        return self._at_ms + int((time.monotonic() - self._started) * 1000)


@dataclass(slots=True)
class Client:
    """One ccxt client, used by one thread; its clock and deadline are set before every call."""

    api: Any
    contract: Contract
    session: TransportSession
    budget: RateBudget
    clock: Clock = field(default_factory=Clock)
    urgent: bool = False
    markets: Mapping[str, Market] = field(default_factory=dict)


def deep_merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        known = merged.get(key)
        merged[key] = deep_merge(known, value) if isinstance(known, Mapping) and isinstance(value, Mapping) else value
    return merged


def overrides_of(exchange: str) -> dict[str, Any]:
    value: dict[str, Any] = settings.EXCHANGE_OVERRIDES.get(exchange, {})
    return value


def _config(contract: Contract, session: TransportSession, credentials: Credentials | None) -> dict[str, Any]:
    config: dict[str, Any] = {
        "options": deep_merge(SPOT_ONLY, contract.options),
        # load_markets asks `has`: without it, one request instead of two or three.
        "has": {"fetchCurrencies": False},
    }
    config = deep_merge(config, overrides_of(contract.exchange))
    if credentials is not None:
        config |= {
            "apiKey": credentials.api_key,
            "secret": credentials.api_secret,
            "password": credentials.passphrase or None,
        }
    # What may not be overridden: pacing on, nothing printed, nothing sent twice.
    config |= {"session": session, "enableRateLimit": True, "verbose": False, "timeout": int(CALL_SECONDS * 1000)}
    config["options"] = config["options"] | {"maxRetriesOnFailure": 0, "adjustForTimeDifference": False}
    return config


def new_client(exchange: str, credentials: Credentials | None) -> Client:
    contract = contract_of(exchange)
    module = importlib.import_module("ccxt")
    session = TransportSession()
    # ccxt builds nested settings from its defaults, so the class's own urls and options stay where not overridden.
    api = getattr(module, exchange)(_config(contract, session, credentials))
    api.number = str
    budget = RateBudget(exchange, _egress(api), cost_per_second=1000 / float(api.rateLimit))
    client = Client(api, contract, session, budget)
    api.milliseconds = client.clock.ms
    api.throttle = functools.partial(_throttle, client)
    api.parse_json = functools.partial(_parse_json, client)
    if exchange == "binance":
        _know_spot_errors(api)
    return client


def _egress(api: Any) -> str:
    return str(api.httpsProxy or api.httpProxy or api.socksProxy or "")


def _throttle(client: Client, cost: float | None = None) -> None:
    at = now(client)
    client.budget.check(at)
    client.budget.spend(1.0 if cost is None else float(cost), at, client.session.seconds_left, urgent=client.urgent)


def now(client: Client) -> datetime:
    return from_ms(client.clock.ms())


def _parse_json(client: Client, text: str) -> Any:
    """ccxt reads a broken body as no answer and books an order without id: say that there was no answer."""
    value = type(client.api).parse_json(client.api, text)
    if client.session.status >= 400:
        return value
    if not isinstance(value, dict | list) or value == {}:
        raise Unavailable("The answer was empty or not JSON.")
    missing = [key for key in client.contract.envelope if key not in value] if isinstance(value, dict) else []
    if missing or (client.contract.envelope and isinstance(value, list)):
        raise Unavailable("The answer lacked what every answer of this exchange carries.")
    return value


def _know_spot_errors(api: Any) -> None:
    """ccxt picks Binance's spot error table by the official address; behind any other, -1008 would look final."""
    exact = api.exceptions["exact"]
    api.exceptions["exact"] = {**exact, **api.exceptions.get("spot", {}).get("exact", {})}


@dataclass(slots=True)
class _Loaded:
    api: Any
    at: float
    markets: Mapping[str, Market]


_loaded: dict[tuple[str, str], _Loaded] = {}
_loading = threading.Lock()
_clients = threading.local()


def _marks(exchange: str) -> str:
    return json.dumps(overrides_of(exchange), sort_keys=True, default=str)


def share_markets(client: Client) -> None:
    """Give the client its exchange's markets; at most one request per exchange, process and hour."""
    key = (client.contract.exchange, _marks(client.contract.exchange))
    with _loading:
        known = _loaded.get(key)
        if known is None or time.monotonic() - known.at > MARKETS_SECONDS:
            known = _load(client, known)
            _loaded[key] = known
    client.markets = known.markets
    if client.api.markets is not known.api.markets:
        client.api.set_markets_from_exchange(known.api)


def _load(client: Client, known: _Loaded | None) -> _Loaded:
    catalogue = new_client(client.contract.exchange, None)
    catalogue.clock, catalogue.session = client.clock, client.session
    catalogue.api.milliseconds, catalogue.api.session = client.clock.ms, client.session
    try:
        catalogue.api.load_markets(True)
    except Exception:
        if known is None:
            raise
        log.warning("%s: markets could not be refreshed; those of an hour ago stay.", client.contract.exchange)
        return _Loaded(known.api, time.monotonic() - MARKETS_SECONDS + RETRY_SECONDS, known.markets)
    return _Loaded(catalogue.api, time.monotonic(), read_markets(catalogue))


def read_markets(client: Client) -> dict[str, Market]:
    found = (market_of(row, client.contract) for row in client.api.markets.values())
    return {market.symbol: market for market in found if market is not None}


def client_for(exchange: str, credentials: Credentials | None) -> Client:
    """This thread's client for a credential: connections stay open, secrets of the longest unused are dropped."""
    known: OrderedDict[tuple[str, str, bytes], Client] = _clients.__dict__.setdefault("by_key", OrderedDict())
    key = (exchange, _marks(exchange), _digest(credentials))
    client = known.pop(key, None) or new_client(exchange, credentials)
    known[key] = client
    while len(known) > CLIENTS_PER_THREAD:
        _, old = known.popitem(last=False)
        old.session.close()
    return client


def _digest(credentials: Credentials | None) -> bytes:
    if credentials is None:
        return b""
    parts = (credentials.api_key, credentials.api_secret, credentials.passphrase)
    return hashlib.sha256("\0".join(parts).encode()).digest()


def forget_clients() -> None:
    """Drop loaded markets and this thread's clients, for a change of settings and for tests."""
    _loaded.clear()
    _clients.__dict__.clear()
