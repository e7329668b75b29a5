"""Binance's endpoints: parameters in, the exchange's JSON out."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from exchanges.core.candles import TIMEFRAMES, timeframe_ms
from exchanges.core.decimals import from_float, plain
from exchanges.tests.loopback.books import Row
from exchanges.tests.loopback.faults import Fault, Kind
from exchanges.tests.loopback.matching import NewOrder
from exchanges.tests.loopback.rules import Rejected

if TYPE_CHECKING:
    from exchanges.tests.loopback.exchange import LoopbackExchange


@dataclass(frozen=True, slots=True)
class Call:
    """One request, after its signature was verified; ``account`` is None for public paths."""

    exchange: "LoopbackExchange"
    params: dict[str, str]
    ms: int
    account: Row | None = None
    fault: Fault | None = None

    @property
    def account_id(self) -> int:
        return int((self.account or {})["id"])

    def need(self, name: str) -> str:
        if not self.params.get(name):
            raise Rejected(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")
        return self.params[name]

    def number(self, name: str) -> str:
        """A decimal without exponent, as Binance's pattern demands."""
        text = self.need(name)
        try:
            if "e" in text.lower() or Decimal(text) < 0:
                raise InvalidOperation
        except InvalidOperation:
            raise Rejected(-1100, f"Illegal characters found in parameter '{name}'.") from None
        return text

    def symbol(self) -> str:
        symbol = self.need("symbol")
        if symbol not in self.exchange.rules:
            raise Rejected(-1121, "Invalid symbol.")
        return symbol

    def whole(self, name: str, default: int | None = None) -> int | None:
        return int(self.params[name]) if self.params.get(name) else default


def money(text: str | Decimal) -> str:
    return f"{Decimal(text):.8f}"


# --- Public ----------------------------------------------------------------------------------------


def ping(call: Call) -> Any:
    return {}


def server_time(call: Call) -> Any:
    return {"serverTime": call.ms}


def exchange_info(call: Call) -> Any:
    symbols = [rules.exchange_info() for rules in call.exchange.rules.values()]
    return {"timezone": "UTC", "serverTime": call.ms, "rateLimits": [], "exchangeFilters": [], "symbols": symbols}


def klines(call: Call) -> Any:
    symbol, interval = call.symbol(), call.need("interval")
    if interval not in TIMEFRAMES:
        raise Rejected(-1120, "Invalid interval.")
    end = min(call.whole("endTime", call.ms) or 0, call.ms)
    limit = min(call.whole("limit", 500) or 500, 1000)
    step = timeframe_ms(interval)
    candles = call.exchange.prices.klines(symbol, interval, call.whole("startTime"), end, limit)
    rows = []
    for opened, *values in candles.rows():
        texts = [plain(from_float(value)) for value in values]
        if opened + step > call.ms:
            # Still forming: it knows its open, and nothing of what is to come.
            texts = [texts[0]] * 4 + ["0"]
        rows.append([opened, *texts, opened + step - 1, "0", 0, "0", "0", "0"])
    return rows


def ticker_day(call: Call) -> Any:
    symbol = call.symbol()
    price = money(call.exchange.prices.at(symbol, call.ms))
    same = (
        "lastPrice",
        "bidPrice",
        "askPrice",
        "openPrice",
        "highPrice",
        "lowPrice",
        "prevClosePrice",
        "weightedAvgPrice",
    )
    row: Row = dict.fromkeys(same, price)
    zero = ("priceChange", "priceChangePercent", "volume", "quoteVolume", "lastQty")
    row |= dict.fromkeys(zero, "0.00000000") | {"bidQty": "100.00000000", "askQty": "100.00000000"}
    return row | {"symbol": symbol, "openTime": call.ms - 86_400_000, "closeTime": call.ms, "count": 1}


def ticker_book(call: Call) -> Any:
    symbol = call.symbol()
    price = money(call.exchange.prices.at(symbol, call.ms))
    return {"symbol": symbol, "bidPrice": price, "bidQty": "100.0", "askPrice": price, "askQty": "100.0"}


def ticker_price(call: Call) -> Any:
    symbol = call.symbol()
    return {"symbol": symbol, "price": money(call.exchange.prices.at(symbol, call.ms))}


def depth(call: Call) -> Any:
    price = money(call.exchange.prices.at(call.symbol(), call.ms))
    return {"lastUpdateId": call.ms, "bids": [[price, "100.00000000"]], "asks": [[price, "100.00000000"]]}


# --- Account ---------------------------------------------------------------------------------------


def account(call: Call) -> Any:
    held = call.exchange.books.balances(call.account_id)
    rows = [{"asset": asset, "free": money(free), "locked": money(locked)} for asset, (free, locked) in held.items()]
    return {
        "makerCommission": 10, "takerCommission": 10, "buyerCommission": 0, "sellerCommission": 0,
        "canTrade": True, "canWithdraw": True, "canDeposit": True, "updateTime": call.ms, "accountType": "SPOT",
        "balances": rows,
        "permissions": ["SPOT"],
    }  # fmt: skip


def api_restrictions(call: Call) -> Any:
    return {"createTime": 0, **json.loads((call.account or {})["rights"])}


def place_order(call: Call) -> Any:
    _only_known_parameters(call)
    new = _new_order(call)
    exchange, fault = call.exchange, call.fault
    if fault is not None and fault.kind is Kind.LATE:
        exchange.matching.place_later(new, call.ms + int(fault.seconds * 1000))
        raise Rejected(-1007, "Timeout waiting for response from backend server. Send status unknown.", 504)
    order = exchange.matching.place(new, call.ms, fault)
    if fault is not None and fault.kind is Kind.DUPLICATE:
        raise Rejected(-2010, "Duplicate order sent.")
    trades = exchange.books.rows("SELECT * FROM trades WHERE order_id = ?", order["id"])
    fills = [
        {"price": money(row["price"]), "qty": money(row["amount"]), "commission": money(row["fee"]),
         "commissionAsset": row["fee_asset"], "tradeId": row["id"]}
        for row in trades
    ]  # fmt: skip
    return order_json(order) | {"transactTime": order["created_ms"], "fills": fills}


_PLACE = frozenset(
    {"symbol", "side", "type", "timeInForce", "quantity", "price", "newClientOrderId", "stopPrice"}
    | {"newOrderRespType", "recvWindow", "timestamp", "signature", "selfTradePreventionMode"}
)


def _only_known_parameters(call: Call) -> None:
    unknown = sorted(set(call.params) - _PLACE)
    if unknown:
        raise Rejected(-1104, f"Not all sent parameters were read; unknown: {', '.join(unknown)}.")


def _new_order(call: Call) -> NewOrder:
    kind, side = call.need("type"), call.need("side")
    if side not in {"BUY", "SELL"}:
        raise Rejected(-1117, "Invalid side.")
    if kind not in {"LIMIT", "MARKET", "STOP_LOSS", "STOP_LOSS_LIMIT"}:
        raise Rejected(-1116, "Invalid orderType.")
    rights = json.loads((call.account or {})["rights"])
    if not rights.get("enableSpotAndMarginTrading", True):
        raise Rejected(-2015, "Invalid API-key, IP, or permissions for action.", 401)
    limit = kind.endswith("LIMIT")
    if not limit and "price" in call.params:
        raise Rejected(-1106, "Parameter 'price' sent when not required.")
    return NewOrder(
        account=call.account_id,
        client_id=call.params.get("newClientOrderId") or f"auto{call.ms}",
        symbol=call.symbol(),
        side=side,
        type=kind,
        tif=call.need("timeInForce") if limit else "GTC",
        amount=call.number("quantity"),
        price=call.number("price") if limit else None,
        stop_price=call.number("stopPrice") if kind.startswith("STOP") else None,
    )


def order_json(order: Row) -> Row:
    return {
        "symbol": order["symbol"],
        "orderId": order["id"],
        "orderListId": -1,
        "clientOrderId": order["client_id"],
        "price": money(order["price"] or "0"),
        "origQty": money(order["amount"]),
        "executedQty": money(order["filled"]),
        "cummulativeQuoteQty": money(order["cost"]),
        "status": order["status"],
        "timeInForce": order["tif"],
        "type": order["type"],
        "side": order["side"],
        "stopPrice": money(order["stop_price"] or "0"),
        "time": order["created_ms"],
        "updateTime": order["updated_ms"],
        "isWorking": True,
        "origQuoteOrderQty": "0.00000000",
    }


def _visible(call: Call, where: str, *values: Any) -> list[Row]:
    query = f"SELECT * FROM orders WHERE account = ? AND visible_ms <= ? AND {where} ORDER BY id"
    return call.exchange.books.rows(query, call.account_id, call.ms, *values)


def _named(call: Call, code: int, text: str) -> Row:
    """By orderId, else the newest order that ever carried the client id."""
    symbol = call.symbol()
    if call.params.get("orderId"):
        found = _visible(call, "symbol = ? AND id = ?", symbol, int(call.params["orderId"]))
    else:
        found = _visible(call, "symbol = ? AND client_id = ?", symbol, call.need("origClientOrderId"))
    if not found:
        raise Rejected(code, text)
    return found[-1]


def get_order(call: Call) -> Any:
    return order_json(_named(call, -2013, "Order does not exist."))


def cancel_order(call: Call) -> Any:
    order = _named(call, -2011, "Unknown order sent.")
    row = order_json(call.exchange.matching.cancel(order, call.ms, call.fault))
    return row | {"origClientOrderId": row["clientOrderId"], "clientOrderId": f"cancel{call.ms}"}


def open_orders(call: Call) -> Any:
    where = "status IN ('NEW', 'PARTIALLY_FILLED')"
    if call.params.get("symbol"):
        return [order_json(row) for row in _visible(call, f"symbol = ? AND {where}", call.symbol())]
    return [order_json(row) for row in _visible(call, where)]


def all_orders(call: Call) -> Any:
    start, limit = call.whole("startTime"), min(call.whole("limit", 500) or 500, 1000)
    rows = _visible(call, "symbol = ? AND created_ms >= ?", call.symbol(), start or 0)
    return [order_json(row) for row in (rows[:limit] if start is not None else rows[-limit:])]


def my_trades(call: Call) -> Any:
    query = (
        "SELECT trades.* FROM trades JOIN orders ON orders.id = order_id WHERE trades.account = ? AND visible_ms <= ? "
        "AND trades.symbol = ? AND (? IS NULL OR order_id = ?) AND trades.id >= ? AND at_ms >= ? ORDER BY trades.id"
    )
    order, start, first = call.whole("orderId"), call.whole("startTime"), call.whole("fromId")
    limit = min(call.whole("limit", 500) or 500, 1000)
    rows = call.exchange.books.rows(
        query, call.account_id, call.ms, call.symbol(), order, order, first or 0, start or 0
    )
    page = rows[-limit:] if start is None and first is None and order is None else rows[:limit]
    return [
        {"symbol": row["symbol"], "id": row["id"], "orderId": row["order_id"], "orderListId": -1,
         "price": money(row["price"]), "qty": money(row["amount"]),
         "quoteQty": money(Decimal(row["price"]) * Decimal(row["amount"])), "commission": money(row["fee"]),
         "commissionAsset": row["fee_asset"], "time": row["at_ms"], "isBuyer": row["side"] == "BUY",
         "isMaker": bool(row["maker"]), "isBestMatch": True}
        for row in page
    ]  # fmt: skip


Route = Callable[[Call], Any]
PUBLIC: dict[str, Route] = {
    "GET /api/v3/ping": ping,
    "GET /api/v3/time": server_time,
    "GET /api/v3/exchangeInfo": exchange_info,
    "GET /api/v3/klines": klines,
    "GET /api/v3/ticker/24hr": ticker_day,
    "GET /api/v3/ticker/bookTicker": ticker_book,
    "GET /api/v3/ticker/price": ticker_price,
    "GET /api/v3/depth": depth,
}
SIGNED: dict[str, Route] = {
    "GET /api/v3/account": account,
    "POST /api/v3/order": place_order,
    "GET /api/v3/order": get_order,
    "DELETE /api/v3/order": cancel_order,
    "GET /api/v3/openOrders": open_orders,
    "GET /api/v3/allOrders": all_orders,
    "GET /api/v3/myTrades": my_trades,
    "GET /sapi/v1/account/apiRestrictions": api_restrictions,
}
