"""The simulated exchange: real or recorded prices, our own books, the port's full contract.

It behaves as a good exchange does. A client order id is used once for ever; every change of the books is one short
transaction that locks its wallet; a look-up first lets open orders meet the prices since they were looked at last.
Prices are asked for outside of transactions, and while there are none, orders wait.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Final, Protocol, runtime_checkable

from django.db import transaction

from exchanges.adapters.paper_books import Books
from exchanges.core import simulated
from exchanges.core.candles import TIMEFRAMES, Candles, from_ms
from exchanges.core.decimals import from_float
from exchanges.core.errors import (
    ClockSkew,
    DuplicateOrder,
    ExchangeFault,
    InvalidRequest,
    NotSent,
    OrderNotFound,
    Refused,
)
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
from exchanges.core.port import MarketSource
from exchanges.core.simulated import Point, SimulationModel
from exchanges.models import SimulatedOrder, SimulatedWallet

# A request that was signed longer ago is refused, as exchanges do: what was not accepted in time never will be.
SIGNED_FOR: Final = timedelta(seconds=5)
CANDLES_PER_LOOK: Final = 1_000


@runtime_checkable
class RemembersPrices(Protocol):
    """A source that knows past prices to the instant, so that a fill does not depend on when one looks."""

    def first_price_after(self, symbol: str, at: datetime) -> tuple[Decimal, datetime] | None: ...


class PaperExchange:
    """One simulated account as of ``at``, on the prices of ``source``."""

    def __init__(
        self, wallet: SimulatedWallet, source: MarketSource, at: datetime, model: SimulationModel | None = None
    ) -> None:
        self.books = Books(wallet)
        self.source = source
        self.at = at
        self.model = model or SimulationModel()
        self.name = source.name
        self._advanced_to: datetime | None = None

    def markets(self) -> Mapping[str, Market]:
        return self._markets

    @cached_property
    def _markets(self) -> Mapping[str, Market]:
        return self.source.markets()

    def timeframes(self) -> Sequence[str]:
        return self.source.timeframes()

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        return self.source.fetch_candles(symbol, timeframe, since, limit)

    def fetch_quote(self, symbol: str) -> Quote:
        return self.source.fetch_quote(symbol)

    def fetch_time(self) -> datetime:
        return self.at

    def fetch_permissions(self) -> KeyPermissions:
        return KeyPermissions(can_read=True, can_trade=True, can_withdraw=False)

    def create_order(self, order: OrderRequest) -> OrderReport:
        market = self._rules_for(order)
        if self.at - order.sent_at > SIGNED_FOR:
            raise ClockSkew(f"The request was signed at {order.sent_at:%H:%M:%S} UTC, too long ago.")
        self.advance()
        price = self._present_price(order.symbol, order.side)
        with transaction.atomic():
            self.books.lock()
            if self.books.knows(order.client_order_id):
                raise DuplicateOrder(f"An order {order.client_order_id} exists.")
            simulated.check(order, market, price)
            reserve = self.books.reserve(simulated.working(order), market, price, self.model)
            row = self.books.accept(order, reserve, self.at)
        self._match(row)
        return self.books.report(self.books.reread(row))

    def cancel_order(self, symbol: str, client_order_id: str) -> None:
        self.advance()
        with transaction.atomic():
            self.books.lock()
            row = self._found(symbol, client_order_id)
            if ReportStatus(row.status).final:
                raise OrderNotFound(f"The order {client_order_id} has ended.")
            self.books.end(row, ReportStatus.CANCELED, self.at)

    def fetch_order(self, symbol: str, client_order_id: str) -> OrderReport:
        self.advance()
        return self.books.report(self._found(symbol, client_order_id))

    def fetch_open_orders(self, symbol: str) -> Sequence[OrderReport]:
        self.advance()
        return [self.books.report(row) for row in self.books.open_orders().filter(symbol=symbol)]

    def fetch_recent_orders(self, symbol: str, since: datetime) -> Sequence[OrderReport]:
        self.advance()
        return [self.books.report(row) for row in self.books.orders_since(symbol, since)]

    def fetch_fills(
        self, symbol: str, *, exchange_order_id: str | None = None, since: datetime | None = None
    ) -> Sequence[FillReport]:
        self.advance()
        return self.books.fills(symbol, exchange_order_id, since)

    def fetch_balances(self) -> Mapping[str, Balance]:
        self.advance()
        return self.books.balances()

    def advance(self) -> None:
        """Let every open order meet the prices up to ``at``, once for all of an instant's look-ups."""
        if self._advanced_to == self.at:
            return
        for row in self.books.open_orders():
            self._match(row)
        self._advanced_to = self.at

    def _match(self, row: SimulatedOrder) -> None:
        try:
            market = self._market(row.symbol)
            points, seen_until = self._points(row)
        except ExchangeFault:
            return  # no prices, no trading: the order waits
        if not points:
            return
        with transaction.atomic():
            self.books.lock()
            fresh = self.books.reread(row)
            if fresh.status == ReportStatus.OPEN and fresh.matched_until == row.matched_until:
                funds = self.books.funds(fresh)
                progress = simulated.advance(self.books.working(fresh), points, market, self.model, funds)
                self.books.record(fresh, progress, market, seen_until)

    def _points(self, row: SimulatedOrder) -> tuple[list[Point], datetime]:
        """What the order has not met yet, and up to when that covers the candles."""
        since = max(row.matched_until, row.accepted_at + self.model.latency)
        if since > self.at:
            return [], since
        if self.books.working(row).rests or self.model.volume_share is not None:
            return self._range(row, since)
        first = self._first_price(row, since)
        return ([first], since) if first else ([], since)

    def _first_price(self, row: SimulatedOrder, since: datetime) -> Point | None:
        if not isinstance(self.source, RemembersPrices):
            return Point.of(self.at, self.source.fetch_quote(row.symbol).price_for(Side(row.side)))
        found = self.source.first_price_after(row.symbol, since)
        return Point.of(found[1], found[0]) if found and found[1] <= self.at else None

    def _range(self, row: SimulatedOrder, since: datetime) -> tuple[list[Point], datetime]:
        """Closed candles since, at the finest timeframe that shows them all at once, then the present price."""
        span = (self.at - since) // timedelta(milliseconds=1)
        offered = sorted(self.source.timeframes(), key=TIMEFRAMES.__getitem__)
        timeframe = next((each for each in offered if span <= CANDLES_PER_LOOK * TIMEFRAMES[each]), offered[-1])
        fetched = self.source.fetch_candles(row.symbol, timeframe, since, CANDLES_PER_LOOK)
        candles = fetched.closed(self.at, timeframe).since(since)
        points = [_candle_point(candle) for candle in candles.rows()]
        until = from_ms(int(candles.opened_at[-1]) + TIMEFRAMES[timeframe]) if points else since
        if self.model.volume_share is None:
            points += self._last_price(row)
        return points, until

    def _last_price(self, row: SimulatedOrder) -> list[Point]:
        if isinstance(self.source, RemembersPrices):
            # Across a gap its quote is the next price there will be, which an order that rests has not met yet.
            known = self._first_price(row, self.at)
            return [known] if known else []
        price = self._present_price(row.symbol, Side(row.side))
        return [] if price is None else [Point.of(self.at, price)]

    def _present_price(self, symbol: str, side: Side) -> Decimal | None:
        try:
            return self.source.fetch_quote(symbol).price_for(side)
        except ExchangeFault:
            return None

    def _rules_for(self, order: OrderRequest) -> Market:
        try:
            return self._market(order.symbol)
        except Refused:
            raise
        except ExchangeFault as fault:
            raise NotSent(fault.detail) from fault

    def _market(self, symbol: str) -> Market:
        market = self._markets.get(symbol)
        if market is None:
            raise InvalidRequest(f"{self.name} lists no {symbol!r}.")
        return market

    def _found(self, symbol: str, client_order_id: str) -> SimulatedOrder:
        row = self.books.find(symbol, client_order_id)
        if row is None:
            raise OrderNotFound(f"There is no order {client_order_id} in {symbol}.")
        return row


def _candle_point(row: Sequence[float]) -> Point:
    opened_at, open_, high, low, _, volume = row
    return Point(from_ms(int(opened_at)), from_float(open_), from_float(high), from_float(low), from_float(volume))
