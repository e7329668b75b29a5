"""The door to an exchange, as the rest of the product sees it.

Every method may raise `exchanges.core.errors.ExchangeFault`; none retries, none caches, none touches
our database but the simulated exchange's own books. An instance is opened for one unit of work and
knows its instant (``at``), which it uses for signing and simulation.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from exchanges.core.candles import Candles
from exchanges.core.market import Market
from exchanges.core.orders import Balance, FillReport, KeyPermissions, OrderReport, OrderRequest, Quote


class MarketSource(Protocol):
    """What anybody may ask, without a key."""

    name: str

    def markets(self) -> Mapping[str, Market]: ...

    def timeframes(self) -> Sequence[str]: ...

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        """Up to ``limit`` candles opened at or after ``since``, oldest first; the last may be forming."""

    def fetch_quote(self, symbol: str) -> Quote: ...

    def fetch_time(self) -> datetime: ...


class Exchange(MarketSource, Protocol):
    """One account. Look-ups are always by our own client order id."""

    def fetch_balances(self) -> Mapping[str, Balance]: ...

    def create_order(self, order: OrderRequest) -> OrderReport:
        """Send once. Refused: nothing happened. DuplicateOrder: look it up. Anything else: unknown."""

    def cancel_order(self, symbol: str, client_order_id: str) -> None:
        """Ask to cancel; OrderNotFound proves nothing: fetch the order afterwards."""

    def fetch_order(self, symbol: str, client_order_id: str) -> OrderReport:
        """Raises OrderNotFound when this look-up does not know the id (yet)."""

    def fetch_open_orders(self, symbol: str) -> Sequence[OrderReport]: ...

    def fetch_recent_orders(self, symbol: str, since: datetime) -> Sequence[OrderReport]:
        """Open and ended orders created since; the second source of an absence proof."""

    def fetch_fills(
        self, symbol: str, *, exchange_order_id: str | None = None, since: datetime | None = None
    ) -> Sequence[FillReport]:
        """Executions of one order, or all of the account's in the symbol since an instant."""

    def fetch_permissions(self) -> KeyPermissions: ...
