"""OKX, where stop orders have lists of their own and become ordinary orders with other ids when they trigger.

A stop is known here by ``algo:`` and its number there, before and after it triggered; what it became adds up under
that id. `docs/execution.md` tells what OKX's documentation says of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from exchanges.adapters import okx_stops
from exchanges.adapters.ccxt_exchange import in_order
from exchanges.adapters.ccxt_reading import fill_of, report_of
from exchanges.adapters.okx_stops import LISTS, PREFIX, Row, number_of, of_a_stop, told_of
from exchanges.adapters.stops_apart import StopsApart
from exchanges.core.candles import to_ms
from exchanges.core.decimals import ZERO
from exchanges.core.errors import InvalidRequest, OrderNotFound, Unavailable
from exchanges.core.orders import FillReport, OrderReport, OrderRequest, OrderType, ReportStatus
from exchanges.vault import Credentials

PAGE = 100
MAX_PAGES = 20
#: What was canceled without a fill can be asked about for this long.
REMEMBERED = timedelta(hours=2)
#: A stop that triggers sends its market order at once.
BEFORE = timedelta(minutes=1)


class OkxExchange(StopsApart):
    """One account on OKX; all but stop orders is as everywhere."""

    def __init__(self, exchange: str, at: datetime, credentials: Credentials | None = None) -> None:
        super().__init__(exchange, at, credentials)
        #: Numbers of the stops that the ordinary orders read so far have come from.
        self._triggered: set[str] = set()

    # --- Sending -----------------------------------------------------------------------------------

    def _order_params(self, order: OrderRequest) -> dict[str, Any]:
        params = super()._order_params(order)
        if order.type is OrderType.STOP_LOSS:
            # Without the mode ccxt would ask for margin.
            params |= {"algoClOrdId": self._rendered(order.client_order_id), "tdMode": "cash"}
        return params

    def _placed(self, row: Any, order: OrderRequest) -> Any:
        if order.type is not OrderType.STOP_LOSS:
            return row
        ours = self._rendered(order.client_order_id)
        if not number_of(row) or told_of(row).get("algoClOrdId") not in {None, "", ours}:
            raise Unavailable("Expected our own stop order in the answer.")
        return {**row, "id": PREFIX + number_of(row)}

    # --- Looking for one ---------------------------------------------------------------------------

    def fetch_order(self, symbol: str, client_order_id: str) -> OrderReport:
        """Orders first, then stops."""
        ours = self._rendered(client_order_id)
        try:
            row = self._read(lambda api: api.fetch_order(None, symbol, {"clientOrderId": ours}), symbol)
        except OrderNotFound:
            row = None
        if row is not None and not number_of(row):
            return self._asked_for(row, symbol, client_order_id)
        return self._stop(symbol, self._asked(symbol, ours))

    def _asked(self, symbol: str, ours: str) -> Row:
        """How the one call that takes our id says no is not documented: whatever is unclear is left to the lists."""
        try:
            row = self._details(symbol, None, {"clientOrderId": ours})
        except (InvalidRequest, Unavailable):
            return self._listed(symbol, ours)
        return row if told_of(row).get("algoClOrdId") == ours else self._listed(symbol, ours)

    def _details(self, symbol: str, number: str | None, params: Mapping[str, str]) -> Row:
        query = {"trigger": True, **params}
        row: Row = self._read(lambda api: api.fetch_order(number, symbol, query), symbol)
        if not told_of(row):
            raise OrderNotFound("The answer held no stop.")
        if not number_of(row):
            raise Unavailable("Expected the number of a stop in the answer.")
        return row

    def _listed(self, symbol: str, ours: str) -> Row:
        for name, params in LISTS:
            for row in self._page(symbol, name, params):
                if told_of(row).get("algoClOrdId") == ours:
                    return row
        raise OrderNotFound("Neither the orders nor the stops hold this id.")

    def _page(self, symbol: str, name: str, params: Mapping[str, str]) -> list[Row]:
        query = {"trigger": True, "ordType": "conditional", **params}
        rows: list[Row] = self._read(lambda api: getattr(api, name)(symbol, None, PAGE, query), symbol)
        return rows

    # --- Lists -------------------------------------------------------------------------------------

    def _reports(self, rows: Sequence[Any], symbol: str) -> list[OrderReport]:
        """Of ordinary orders: those that a stop became are told of by the stop."""
        self._triggered |= {number_of(row) for row in rows if of_a_stop(row)}
        return super()._reports([okx_stops.ordinary(row) for row in rows if not of_a_stop(row)], symbol)

    def fetch_open_orders(self, symbol: str) -> Sequence[OrderReport]:
        stops = [self._stop(symbol, row) for row in self._page(symbol, *LISTS[0])]
        return [*super().fetch_open_orders(symbol), *stops]

    def fetch_recent_orders(self, symbol: str, since: datetime) -> Sequence[OrderReport]:
        """Also the stops created since, those that triggered by what they became; not those that ended untriggered."""
        found = list(super().fetch_recent_orders(symbol, since))
        rows = {number_of(row): row for row in self._pending(symbol, since)}
        rows |= {number: self._details(symbol, number, {}) for number in sorted(self._triggered - rows.keys())}
        found += [self._stop(symbol, row) for row in rows.values() if okx_stops.created(row) >= since]
        return sorted(found, key=lambda report: (report.created_at or since, report.exchange_order_id))

    def _pending(self, symbol: str, since: datetime) -> list[Row]:
        """The newest come first, a page at a time."""
        found: list[Row] = []
        earlier: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            page = self._page(symbol, LISTS[0][0], earlier)
            found += page
            oldest = min(page, key=okx_stops.created, default=None)
            if oldest is None or len(page) < PAGE or okx_stops.created(oldest) < since:
                return found
            earlier = {"after": number_of(oldest)}
        raise Unavailable(f"Expected at most {MAX_PAGES * PAGE} stops at once.")

    def _ordinary(self, symbol: str, since: datetime) -> list[Row]:
        rows: list[Row] = []
        for name in okx_stops.ORDINARY:
            start = None if name == "fetch_open_orders" else to_ms(since)
            rows += self._read(lambda api, name=name, start=start: getattr(api, name)(symbol, start, PAGE, {}), symbol)  # type: ignore[misc]
        return rows

    # --- Executions --------------------------------------------------------------------------------

    def fetch_fills(
        self, symbol: str, *, exchange_order_id: str | None = None, since: datetime | None = None
    ) -> Sequence[FillReport]:
        """Those of whatever a stop became are the stop's own."""
        if exchange_order_id is not None and exchange_order_id.startswith(PREFIX):
            row = self._details(symbol, exchange_order_id.removeprefix(PREFIX), {})
            return in_order(fill for number in okx_stops.became(row) for fill in self._sold(symbol, number, row))
        fills = super().fetch_fills(symbol, exchange_order_id=exchange_order_id, since=since)
        return fills if exchange_order_id is not None else self._renamed(symbol, fills)

    def _sold(self, symbol: str, number: str, stop: Row) -> list[FillReport]:
        fills = (fill_of(row, symbol) for row in self._fills_of(symbol, number))
        named = PREFIX + number_of(stop)
        return [replace(fill, exchange_order_id=named) for fill in fills if fill.exchange_order_id == number]

    def _renamed(self, symbol: str, fills: Sequence[FillReport]) -> Sequence[FillReport]:
        if not fills:
            return fills
        listed = self._ordinary(symbol, fills[0].executed_at - BEFORE)
        owners = {told_of(row)["ordId"]: PREFIX + number_of(row) for row in listed if of_a_stop(row)}
        return [
            replace(fill, exchange_order_id=owners.get(fill.exchange_order_id, fill.exchange_order_id))
            for fill in fills
        ]

    # --- What became of one ------------------------------------------------------------------------

    def _stop(self, symbol: str, row: Row) -> OrderReport:
        parts = [self._part(symbol, number, row) for number in okx_stops.became(row)]
        return okx_stops.added_up(report_of(row, self._contract, symbol), row, parts)

    def _part(self, symbol: str, number: str, stop: Row) -> OrderReport:
        try:
            row: Row = self._read(lambda api: api.fetch_order(number, symbol, {}), symbol)
        except OrderNotFound:
            return self._forgotten(symbol, number, stop)
        if told_of(row).get("ordId") != number or number_of(row) not in {"", number_of(stop)}:
            raise Unavailable("Expected the order that the stop became in the answer.")
        return report_of(okx_stops.ordinary(row), self._contract, symbol)

    def _forgotten(self, symbol: str, number: str, stop: Row) -> OrderReport:
        """Not listed yet, or canceled so long ago that only its executions are left."""
        report = replace(report_of(stop, self._contract, symbol), exchange_order_id=number)
        at = okx_stops.triggered(stop)
        if at is None or self._now() - at < REMEMBERED:
            return replace(report, status=ReportStatus.OPEN, filled=ZERO)
        fills = self._sold(symbol, number, stop)
        filled = sum((fill.amount for fill in fills), ZERO)
        spent = sum((fill.amount * fill.price for fill in fills), ZERO)
        average = spent / filled if filled else None
        return replace(report, status=ReportStatus.CANCELED, filled=filled, average=average)
