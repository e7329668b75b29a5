"""A hand-written exchange in memory, for tests of whatever stands on the port."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import TypeVar

from exchanges.core.candles import TIMEFRAMES, Candles
from exchanges.core.decimals import ZERO
from exchanges.core.errors import (
    ClockSkew,
    DuplicateOrder,
    ExchangeFault,
    InsufficientFunds,
    InvalidRequest,
    OrderNotFound,
    Unavailable,
    UnknownSymbol,
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

BTC_USDT = Market(
    symbol="BTC/USDT",
    base="BTC",
    quote="USDT",
    amount_step=Decimal("0.00001"),
    price_tick=Decimal("0.01"),
    min_amount=Decimal("0.00001"),
    max_amount=Decimal(100),
    min_notional=Decimal(5),
    fee_in_base=True,
)
T = TypeVar("T")
SIGNED_FOR = timedelta(seconds=5)
FEE_STEP = Decimal("0.00000001")


@dataclass(slots=True)
class FakeBooks:
    """The exchange's memory, which outlives the `FakeExchange` that is opened for one unit of work."""

    markets: dict[str, Market] = field(default_factory=lambda: {BTC_USDT.symbol: BTC_USDT})
    prices: dict[str, Decimal] = field(default_factory=lambda: {BTC_USDT.symbol: Decimal(50_000)})
    balances: dict[str, Balance] = field(default_factory=dict)
    orders: dict[str, OrderReport] = field(default_factory=dict)
    limits: dict[str, Decimal] = field(default_factory=dict)
    fills: list[FillReport] = field(default_factory=list)
    sent: list[OrderRequest] = field(default_factory=list)
    candles: dict[tuple[str, str], Candles] = field(default_factory=dict)
    permissions: KeyPermissions = field(default_factory=lambda: KeyPermissions(True, True, False, True))
    troubles: dict[str, deque[tuple[ExchangeFault, bool]]] = field(default_factory=dict)

    def deposit(self, asset: str, amount: Decimal) -> None:
        self.move(asset, amount, ZERO)

    def move(self, asset: str, free: Decimal, locked: Decimal) -> None:
        held = self.balances.get(asset, Balance(ZERO, ZERO))
        moved = Balance(held.free + free, held.locked + locked)
        if moved.free < 0:
            raise InsufficientFunds("The account does not hold enough.")
        self.balances[asset] = moved

    def fail(self, method: str, fault: ExchangeFault, *, executed: bool = False) -> None:
        """The next call of ``method`` raises ``fault``; with ``executed`` only after it has had its effect."""
        self.troubles.setdefault(method, deque()).append((fault, executed))

    def lose_reply(self, method: str = "create_order") -> None:
        self.fail(method, Unavailable("The connection was lost."), executed=True)


class FakeExchange:
    """One account as of ``at``: all of a marketable order fills at the price, the rest stays open."""

    name = "fake"

    def __init__(self, books: FakeBooks, at: datetime) -> None:
        self.books = books
        self.at = at

    def markets(self) -> Mapping[str, Market]:
        return dict(self.books.markets)

    def timeframes(self) -> Sequence[str]:
        return tuple(TIMEFRAMES)

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        return self._call("fetch_candles", lambda: self._candles(symbol, timeframe, since, limit))

    def fetch_quote(self, symbol: str) -> Quote:
        return self._call("fetch_quote", lambda: self._quote(symbol))

    def fetch_time(self) -> datetime:
        return self._call("fetch_time", lambda: self.at)

    def fetch_balances(self) -> Mapping[str, Balance]:
        return self._call("fetch_balances", lambda: dict(self.books.balances))

    def fetch_permissions(self) -> KeyPermissions:
        return self._call("fetch_permissions", lambda: self.books.permissions)

    def create_order(self, order: OrderRequest) -> OrderReport:
        self.books.sent.append(order)
        return self._call("create_order", lambda: self._place(order))

    def cancel_order(self, symbol: str, client_order_id: str) -> None:
        self._call("cancel_order", lambda: self._cancel(symbol, client_order_id))

    def fetch_order(self, symbol: str, client_order_id: str) -> OrderReport:
        return self._call("fetch_order", lambda: self._order(symbol, client_order_id))

    def fetch_open_orders(self, symbol: str) -> Sequence[OrderReport]:
        return self._call("fetch_open_orders", lambda: [row for row in self._orders(symbol) if not row.status.final])

    def fetch_recent_orders(self, symbol: str, since: datetime) -> Sequence[OrderReport]:
        return self._call(
            "fetch_recent_orders",
            lambda: [row for row in self._orders(symbol) if row.created_at is None or row.created_at >= since],
        )

    def fetch_fills(
        self, symbol: str, *, exchange_order_id: str | None = None, since: datetime | None = None
    ) -> Sequence[FillReport]:
        def wanted(fill: FillReport) -> bool:
            of_order = exchange_order_id in {None, fill.exchange_order_id}
            return fill.symbol == symbol and of_order and (since is None or fill.executed_at >= since)

        return self._call("fetch_fills", lambda: [fill for fill in self.books.fills if wanted(fill)])

    # --- Behind the door ---------------------------------------------------------------------------

    def _call(self, method: str, work: Callable[[], T]) -> T:
        troubles = self.books.troubles.get(method)
        if not troubles:
            return work()
        fault, executed = troubles.popleft()
        if executed:
            work()
        raise fault

    def _market(self, symbol: str) -> Market:
        try:
            return self.books.markets[symbol]
        except KeyError:
            raise UnknownSymbol(f"Expected a symbol that {self.name} lists, was {symbol!r}.") from None

    def _candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        self._market(symbol)
        stored = self.books.candles.get((symbol, timeframe), Candles.from_rows([]))
        return stored.since(since)[:limit]

    def _quote(self, symbol: str) -> Quote:
        self._market(symbol)
        price = self.books.prices[symbol]
        return Quote(symbol, price, price, self.at)

    def _orders(self, symbol: str) -> list[OrderReport]:
        self._market(symbol)
        return [order for order in self.books.orders.values() if order.symbol == symbol]

    def _order(self, symbol: str, client_order_id: str) -> OrderReport:
        order = self.books.orders.get(client_order_id)
        if order is None or order.symbol != symbol:
            raise OrderNotFound("No order carries this id.")
        return order

    def _place(self, order: OrderRequest) -> OrderReport:
        if order.symbol not in self.books.markets:
            raise InvalidRequest(f"Expected a symbol that {self.name} lists, was {order.symbol!r}.")
        market = self._market(order.symbol)
        price = self.books.prices[order.symbol]
        self._check(order, market, price)
        paid = market.quote if order.side is Side.BUY else market.base
        needed = order.amount * (order.limit_price or price) if order.side is Side.BUY else order.amount
        self.books.move(paid, -needed, needed)
        report = OrderReport(
            exchange_order_id=str(len(self.books.orders) + 1),
            client_order_id=order.client_order_id,
            symbol=order.symbol,
            side=order.side,
            status=ReportStatus.OPEN,
            amount=order.amount,
            filled=ZERO,
            created_at=self.at,
        )
        self.books.orders[order.client_order_id] = report
        self.books.limits[order.client_order_id] = order.limit_price or price
        if self._marketable(order, price):
            self.fill(order.client_order_id, price)
        elif order.immediate:
            self._end(self.books.orders[order.client_order_id], ReportStatus.EXPIRED)
        return self.books.orders[order.client_order_id]

    def _check(self, order: OrderRequest, market: Market, price: Decimal) -> None:
        if abs(self.at - order.sent_at) > SIGNED_FOR:
            raise ClockSkew("The request was signed too long ago.")
        if order.client_order_id in self.books.orders:
            raise DuplicateOrder("An order carries this id already.")
        limit = order.limit_price
        if not market.tradable(order.amount, limit or price) or order.amount % market.amount_step:
            raise InvalidRequest("The amount breaks the market's rules.")
        if limit is not None and limit % market.price_tick:
            raise InvalidRequest("The price breaks the market's rules.")

    @staticmethod
    def _marketable(order: OrderRequest, price: Decimal) -> bool:
        if order.stop_price is not None:
            return False
        if order.limit_price is None:
            return True
        return order.limit_price >= price if order.side is Side.BUY else order.limit_price <= price

    def fill(self, client_order_id: str, price: Decimal, amount: Decimal | None = None) -> None:
        """Execute an open order, or a part of it."""
        order = self.books.orders[client_order_id]
        market = self.books.markets[order.symbol]
        amount = order.amount - order.filled if amount is None else amount
        cost = amount * price
        if order.side is Side.BUY:
            fee, asset = (amount * market.taker_fee).quantize(FEE_STEP, ROUND_UP), market.base
            self.books.move(market.quote, ZERO, -cost)
            self.books.move(market.base, amount - fee, ZERO)
        else:
            fee, asset = (cost * market.taker_fee).quantize(FEE_STEP, ROUND_UP), market.quote
            self.books.move(market.base, ZERO, -amount)
            self.books.move(market.quote, cost - fee, ZERO)
        trade_id = str(len(self.books.fills) + 1)
        self.books.fills.append(
            FillReport(trade_id, order.exchange_order_id, order.symbol, order.side, amount, price, fee, asset, self.at)
        )
        spent = (order.average or ZERO) * order.filled + cost
        filled = order.filled + amount
        order = replace(order, filled=filled, average=spent / filled)
        self.books.orders[client_order_id] = order
        if filled == order.amount:
            self._end(order, ReportStatus.CLOSED)

    def _cancel(self, symbol: str, client_order_id: str) -> None:
        order = self._order(symbol, client_order_id)
        if order.status.final:
            raise OrderNotFound("The order is not open.")
        self._end(order, ReportStatus.CANCELED)

    def _end(self, order: OrderReport, status: ReportStatus) -> None:
        market = self.books.markets[order.symbol]
        ours = order.client_order_id or ""
        self.books.orders[ours] = replace(order, status=status)
        if order.side is Side.BUY:
            spent = (order.average or ZERO) * order.filled
            rest, asset = order.amount * self.books.limits[ours] - spent, market.quote
        else:
            rest, asset = order.amount - order.filled, market.base
        self.books.move(asset, rest, -rest)
