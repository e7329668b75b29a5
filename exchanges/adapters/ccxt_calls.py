"""One call of ccxt: deadline, clock, budget, shared markets; whatever it raises leaves as one of our faults."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from exchanges.adapters.ccxt_clients import Client, client_for, now, share_markets
from exchanges.adapters.ccxt_contracts import contract_of
from exchanges.adapters.ccxt_errors import classify
from exchanges.core.errors import ExchangeFault, RateLimited, UnknownSymbol, UnknownTimeframe
from exchanges.vault import Credentials

T = TypeVar("T")
BAN_SECONDS = 60


class CcxtCalls:
    """Knows its exchange, its credentials and its instant; the port's methods stand on it."""

    def __init__(self, exchange: str, at: datetime, credentials: Credentials | None = None) -> None:
        self.name = exchange
        self._contract = contract_of(exchange)
        self._credentials = credentials
        self._at = at
        self._started = time.monotonic()

    def _client(self) -> Client:
        return client_for(self.name, self._credentials)

    def _now(self) -> datetime:
        return self._at + timedelta(seconds=time.monotonic() - self._started)

    def _read(self, work: Callable[[Any], T], symbol: str | None = None, *, markets: bool = True) -> T:
        return self._call(lambda client: work(client.api), symbol, markets=markets)

    def _call(
        self, work: Callable[[Client], T], symbol: str | None = None, *, markets: bool = True, writing: bool = False
    ) -> T:
        client = self._client()
        client.clock.start(self._at, self._started)
        client.session.begin()
        client.urgent = writing
        try:
            if markets:
                share_markets(client)
                self._known(client, symbol)
            return work(client)
        except (UnknownSymbol, UnknownTimeframe):
            raise
        except Exception as error:  # noqa: BLE001 - whatever ccxt raises becomes one of our faults
            fault = classify(error, writing=writing, status=client.session.status)
            if isinstance(fault, RateLimited) and not isinstance(error, ExchangeFault):
                self._stay_away(client, fault)
        # Raised out here, so that ccxt's exception, whose text holds the signed address, is not attached to it.
        raise fault

    def _known(self, client: Client, symbol: str | None) -> None:
        if symbol is not None and symbol not in client.api.markets:
            raise UnknownSymbol(f"Expected a symbol that {self.name} lists, was {symbol!r}.")

    def _stay_away(self, client: Client, fault: RateLimited) -> None:
        stated = client.session.answer_headers.get("retry-after", "")
        seconds = int(stated) if stated.isdigit() else BAN_SECONDS
        at = now(client)
        fault.retry_at = fault.retry_at or at + timedelta(seconds=seconds)
        client.budget.ban(fault.retry_at, at)
