"""The exchange port over the unmodified, synchronous ccxt client: one send per call, exact numbers, our own faults."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from exchanges.adapters.ccxt_calls import CcxtCalls
from exchanges.adapters.ccxt_clients import Client
from exchanges.adapters.ccxt_contracts import Route, render_id
from exchanges.adapters.ccxt_permissions import read_permissions
from exchanges.adapters.ccxt_reading import (
    balances_of,
    decimal,
    fill_of,
    quote_of,
    report_of,
    same_order,
)
from exchanges.core.candles import TIMEFRAMES, Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.decimals import plain
from exchanges.core.errors import (
    ExchangeFault,
    InvalidRequest,
    NotSent,
    OrderNotFound,
    Refused,
    Unavailable,
    UnknownSymbol,
    UnknownTimeframe,
)
from exchanges.core.market import Market
from exchanges.core.orders import (
    Balance,
    FillReport,
    KeyPermissions,
    OrderReport,
    OrderRequest,
    OrderType,
    Quote,
)

MAX_PAGES = 50
#: ccxt asks Kraken for twenty executions at a time, and for none after the last full twenty, which Kraken refuses.
TRADES_AT_ONCE = 19


class CcxtExchange(CcxtCalls):
    """One account (or, without credentials, the public side) of one exchange, for one unit of work at ``at``."""

    # --- Public ------------------------------------------------------------------------------------

    def markets(self) -> Mapping[str, Market]:
        return self._call(lambda client: client.markets)

    def timeframes(self) -> Sequence[str]:
        offered = self._client().api.timeframes or {}
        return [timeframe for timeframe in TIMEFRAMES if timeframe in offered]

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        if timeframe not in self.timeframes():
            raise UnknownTimeframe(f"Expected one of {', '.join(self.timeframes())} on {self.name}, was {timeframe!r}.")
        self._read(lambda api: None, symbol)
        rows: dict[int, list[Any]] = {}
        step, cursor = timeframe_ms(timeframe), to_ms(since)
        cursor += -cursor % step
        for _ in range(MAX_PAGES):
            want = min(limit - len(rows), self._contract.candles_per_call)
            if want <= 0 or cursor > to_ms(self._now()):
                break
            page = self._candle_page(symbol, timeframe, cursor, want)
            rows |= {int(row[0]): row for row in page if row[0] >= cursor}
            # An empty page may be a gap in the middle: look behind it.
            cursor = max((int(row[0]) for row in page), default=cursor + (want - 1) * step) + step
        return Candles.from_rows([rows[opened] for opened in sorted(rows)][:limit])

    def _candle_page(self, symbol: str, timeframe: str, cursor: int, want: int) -> list[list[Any]]:
        return self._read(lambda api: api.fetch_ohlcv(symbol, timeframe, cursor, want, {}), symbol)

    def fetch_quote(self, symbol: str) -> Quote:
        return self._read(lambda api: quote_of(api.fetch_ticker(symbol, {}), symbol, api.milliseconds()), symbol)

    def fetch_time(self) -> datetime:
        return self._read(lambda api: from_ms(int(decimal(api.fetch_time({}), "server time"))), markets=False)

    # --- Account -----------------------------------------------------------------------------------

    def fetch_balances(self) -> Mapping[str, Balance]:
        return self._read(lambda api: balances_of(api.fetch_balance({})))

    def fetch_permissions(self) -> KeyPermissions:
        return self._read(lambda api: read_permissions(self.name, api), markets=False)

    # --- Orders ------------------------------------------------------------------------------------

    def create_order(self, order: OrderRequest) -> OrderReport:
        self._with_route()
        try:
            self._call(lambda client: self._check_steps(client, order), order.symbol)
        except Refused:
            raise
        except UnknownSymbol as gone:
            # Whoever sends tells by the fault whether the exchange may have the order: it never heard of this one.
            raise InvalidRequest(str(gone)) from None
        except ExchangeFault as fault:
            # The market rules could not be read, so the order was never built.
            raise NotSent(fault.detail) from None
        row = self._placed(self._call(lambda client: self._send(client, order), writing=True), order)
        report = report_of(row, self._contract, order.symbol, sent=order)
        if not same_order(report, self._own(order.client_order_id)):
            raise Unavailable("Expected our own order id in the answer.")
        return report

    def _placed(self, row: Any, order: OrderRequest) -> Any:
        """The answer to an order that was sent, as ccxt reads it."""
        return row

    def _check_steps(self, client: Client, order: OrderRequest) -> None:
        """ccxt would silently send another amount or price than the one that was written down."""
        market = client.markets.get(order.symbol)
        if market is None:
            raise InvalidRequest(f"{order.symbol} cannot be traded on {self.name}.")
        for name, value, step in (
            ("amount", order.amount, market.amount_step),
            ("limit price", order.limit_price, market.price_tick),
            ("stop price", order.stop_price, market.price_tick),
        ):
            if value is not None and value % step:
                raise InvalidRequest(f"Expected the {name} in steps of {plain(step)}, was {plain(value)}.")

    def _send(self, client: Client, order: OrderRequest) -> Any:
        params = self._order_params(order)
        price = None if order.limit_price is None else plain(order.limit_price)
        kind = "market" if price is None else "limit"
        if self.name == "kraken":
            # Its nonce must only grow, so the horizon is stated as a deadline instead.
            params["deadline"] = f"{order.sent_at + timedelta(seconds=self._contract.horizon or 0):%Y-%m-%dT%H:%M:%SZ}"
        else:
            client.clock.frozen = to_ms(order.sent_at)
        headers = client.api.headers
        if self.name == "okx":
            client.api.headers = {
                **headers,
                "expTime": str(to_ms(order.sent_at) + 1000 * (self._contract.horizon or 0)),
            }
        try:
            return client.api.create_order(order.symbol, kind, order.side.value, plain(order.amount), price, params)
        finally:
            client.clock.frozen = None
            client.api.headers = headers

    def _order_params(self, order: OrderRequest) -> dict[str, Any]:
        if order.limit_price is None and order.type is OrderType.LIMIT:
            raise InvalidRequest("Expected a limit price for a limit order.")
        params: dict[str, Any] = {self._contract.id_param: self._rendered(order.client_order_id)}
        if order.immediate and order.type is not OrderType.MARKET:
            params["timeInForce"] = "IOC"
        if order.type is OrderType.STOP_LOSS:
            if order.stop_price is None:
                raise InvalidRequest("Expected a stop price for a stop-loss order.")
            params["stopLossPrice"] = plain(order.stop_price)
        return params

    def cancel_order(self, symbol: str, client_order_id: str) -> None:
        params = {self._contract.cancel_param: self._rendered(client_order_id)}
        self._with_route()
        self._call(lambda client: client.api.cancel_order(None, symbol, params), symbol, writing=True)

    def fetch_order(self, symbol: str, client_order_id: str) -> OrderReport:
        self._with_route()
        params = {self._contract.route_param: self._rendered(client_order_id)}
        if self._contract.route is Route.ORDER:
            row = self._read(lambda api: api.fetch_order(None, symbol, params), symbol)
            return self._asked_for(row, symbol, client_order_id)
        return self._found_in_lists(symbol, client_order_id, params)

    def _asked_for(self, row: Any, symbol: str, client_order_id: str) -> OrderReport:
        report = report_of(row, self._contract, symbol)
        if not same_order(report, self._own(client_order_id)):
            raise Unavailable("Expected the order that was asked for in the answer.")
        return report

    def _found_in_lists(self, symbol: str, client_order_id: str, params: dict[str, Any]) -> OrderReport:
        for name in ("fetch_open_orders", *self._contract.ended):
            for report in self._orders(name, symbol, None, None, params):
                # The filter may be ignored: only the id itself counts, never what else looks alike.
                if report.client_order_id == self._own(client_order_id):
                    return report
        raise OrderNotFound("Neither the open nor the ended orders hold this id.")

    def fetch_open_orders(self, symbol: str) -> Sequence[OrderReport]:
        return self._orders("fetch_open_orders", symbol, None, None, {})

    def fetch_recent_orders(self, symbol: str, since: datetime) -> Sequence[OrderReport]:
        ended = self._contract.ended
        found: dict[str, OrderReport] = {}
        for name in ended if "fetch_orders" in ended else ("fetch_open_orders", *ended):
            start = None if name == "fetch_open_orders" else to_ms(since)
            found |= {row.exchange_order_id: row for row in self._all_orders(name, symbol, start)}
        recent = [row for row in found.values() if row.created_at is None or row.created_at >= since]
        return sorted(recent, key=lambda row: (row.created_at or since, row.exchange_order_id))

    def _all_orders(self, name: str, symbol: str, since: int | None) -> list[OrderReport]:
        """Binance lists the oldest first, so a full page hides the newest; the others list the newest first."""
        found: list[OrderReport] = []
        for _ in range(MAX_PAGES):
            page = self._orders(name, symbol, since, None if since is None else self._contract.orders_per_call, {})
            found += page
            last = page[-1].created_at if page else None
            if name != "fetch_orders" or len(page) < self._contract.orders_per_call or last is None:
                break
            since = to_ms(last)
        return found

    def _orders(
        self, name: str, symbol: str, since: int | None, limit: int | None, params: dict[str, Any]
    ) -> list[OrderReport]:
        rows = self._read(lambda api: getattr(api, name)(symbol, since, limit, dict(params)), symbol)
        return self._reports(rows, symbol)

    def _reports(self, rows: Sequence[Any], symbol: str) -> list[OrderReport]:
        return [report_of(row, self._contract, symbol) for row in rows]

    def fetch_fills(
        self, symbol: str, *, exchange_order_id: str | None = None, since: datetime | None = None
    ) -> Sequence[FillReport]:
        start = None if since is None else to_ms(since)
        if exchange_order_id is None:
            rows = self._all_fills(symbol, start)
        elif self.name == "kraken":
            rows = self._fills_by_ids(symbol, exchange_order_id)
        else:
            rows = self._fills_of(symbol, exchange_order_id)
        fills = {fill.trade_id: fill for fill in (fill_of(row, symbol) for row in rows)}
        return in_order(fill for fill in fills.values() if exchange_order_id in {None, fill.exchange_order_id})

    def _fills_of(self, symbol: str, order_id: str) -> list[Any]:
        limit = self._contract.fills_per_call
        rows = self._read(lambda api: api.fetch_order_trades(order_id, symbol, None, limit, {}), symbol)
        return rows if len(rows) < limit else self._more_fills(symbol, rows, None, {"orderId": order_id})

    def _fills_by_ids(self, symbol: str, order_id: str) -> list[Any]:
        order = self._read(lambda api: api.fetch_order(order_id, symbol, {}), symbol)
        ids = list((order.get("info") or {}).get("trades") or ())
        found: list[Any] = []
        for start in range(0, len(ids), TRADES_AT_ONCE):
            query = {"trades": ids[start : start + TRADES_AT_ONCE]}
            found += self._read(lambda api, q=query: api.fetch_order_trades(order_id, symbol, None, None, q), symbol)  # type: ignore[misc]
        return found

    def _all_fills(self, symbol: str, since: int | None) -> list[Any]:
        limit = self._contract.fills_per_call
        rows = self._read(lambda api: api.fetch_my_trades(symbol, since, limit, {}), symbol)
        return rows if len(rows) < limit else self._more_fills(symbol, rows, since, {})

    def _more_fills(self, symbol: str, rows: list[Any], since: int | None, params: dict[str, Any]) -> list[Any]:
        """A full page may hide a rest: Binance pages by trade id, ccxt pages the others (each page asked once)."""
        limit = self._contract.fills_per_call
        if self.name != "binance":
            paged = params | {"paginate": True, "maxRetries": 1}
            return self._read(lambda api: api.fetch_my_trades(symbol, since, limit, paged), symbol)
        found = list(rows)
        for _ in range(MAX_PAGES):
            following = str(max(int(row["id"]) for row in found) + 1)
            query = params | {"fromId": following}
            page = self._read(lambda api, query=query: api.fetch_my_trades(symbol, None, limit, query), symbol)  # type: ignore[misc]
            found += page
            if len(page) < limit:
                return found
        raise Unavailable(f"Expected at most {MAX_PAGES * limit} executions at once.")

    def _with_route(self) -> None:
        if self._contract.route is Route.NONE:
            raise InvalidRequest(f"{self.name} offers no look-up by our own order id.")

    def _rendered(self, client_order_id: str) -> str:
        return render_id(self._contract.id_style, client_order_id)

    def _own(self, client_order_id: str) -> str:
        return client_order_id[:28] if self._rendered(client_order_id).startswith("t-") else client_order_id


def in_order(fills: Iterable[FillReport]) -> list[FillReport]:
    return sorted(fills, key=lambda fill: (fill.executed_at, len(fill.trade_id), fill.trade_id))
