"""Takes orders, locks balances and fills against the price at the server's clock."""

import json
from dataclasses import asdict, dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal

from exchanges.core.decimals import floor_to, plain
from exchanges.tests.loopback.books import OPEN, Books, Row
from exchanges.tests.loopback.faults import Fault, Kind
from exchanges.tests.loopback.prices import Prices
from exchanges.tests.loopback.rules import Rejected, Rules

EIGHT = Decimal("0.00000001")
FOREVER = 2**62


@dataclass(frozen=True, slots=True)
class NewOrder:
    account: int
    client_id: str
    symbol: str
    side: str
    type: str
    tif: str
    amount: str
    price: str | None = None
    stop_price: str | None = None


class Matching:
    """Every method is one transaction of the books; ``ms`` is the server's clock."""

    def __init__(self, books: Books, prices: Prices, rules: dict[str, Rules]) -> None:
        self.books = books
        self.prices = prices
        self.rules = rules
        self.taker_fee = Decimal("0.001")
        self.maker_fee = Decimal("0.001")
        self.fee_asset: str | None = None  # a third coin, such as BNB, that pays the fees
        self.fee_asset_price = Decimal(1)

    def place(self, new: NewOrder, ms: int, fault: Fault | None = None) -> Row:
        """Raises Rejected, and then nothing has changed."""
        with self.books.transaction():
            rules = self.rules[new.symbol]
            amount, price = Decimal(new.amount), None if new.price is None else Decimal(new.price)
            market_price = self.prices.at(new.symbol, ms)
            rules.check(amount, price, market_price)
            self._check_client_id(new)
            lag = int(fault.seconds * 1000) if fault and fault.kind is Kind.LAG else 0
            order_id = self.books.insert(
                "orders", **asdict(new), status="NEW", created_ms=ms, updated_ms=ms, visible_ms=ms + lag, checked_ms=ms
            )
            self._lock_funds(self._order(order_id), rules, price or market_price)
            if new.stop_price is None:
                self._take(order_id, ms, fault if fault and fault.kind is Kind.PARTIAL else None)
            return self._order(order_id)

    def place_later(self, new: NewOrder, due_ms: int) -> None:
        self.books.insert("later", due_ms=due_ms, what="place", detail=json.dumps(asdict(new)))

    def cancel(self, order: Row, ms: int, fault: Fault | None = None) -> Row:
        with self.books.transaction():
            order = self._order(order["id"])
            if order["status"] not in OPEN:
                raise Rejected(-2011, "Unknown order sent.")
            self._end(order, "CANCELED", ms)
            if fault is not None and fault.kind is Kind.FILL_AFTER_CANCEL:
                detail = json.dumps({"order": order["id"], "fraction": fault.fraction})
                self.books.insert("later", due_ms=ms + int(fault.seconds * 1000), what="fill", detail=detail)
            return self._order(order["id"])

    def sweep(self, ms: int) -> None:
        """What the passing of time brings: late orders, late fills, resting orders that the price has met."""
        with self.books.transaction():
            for row in self.books.rows("SELECT * FROM later WHERE due_ms <= ? ORDER BY due_ms, id", ms):
                self.books.delete("later", row["id"])
                self._happen(row["what"], json.loads(row["detail"]), row["due_ms"])
            resting = "SELECT * FROM orders WHERE status IN ('NEW', 'PARTIALLY_FILLED') ORDER BY id"
            for order in self.books.rows(resting):
                if order["held_until"] <= ms and order["checked_ms"] < ms:
                    self._rest(order, ms)

    def release(self, order_id: int) -> None:
        """Let the held rest of a partly filled order trade again."""
        self.books.update("orders", order_id, held_until=0, checked_ms=0)

    # --- Inside a transaction ----------------------------------------------------------------------

    def _order(self, order_id: int) -> Row:
        return self.books.rows("SELECT * FROM orders WHERE id = ?", order_id)[0]

    def _check_client_id(self, new: NewOrder) -> None:
        """Binance: unique among open orders only; a filled order's id is accepted again."""
        open_too = "SELECT 1 FROM orders WHERE account = ? AND client_id = ? AND status IN ('NEW', 'PARTIALLY_FILLED')"
        if self.books.row(open_too, new.account, new.client_id):
            raise Rejected(-2010, "Duplicate order sent.")

    def _lock_funds(self, order: Row, rules: Rules, price: Decimal) -> None:
        amount = Decimal(order["amount"])
        asset, needed = (rules.quote, amount * price) if order["side"] == "BUY" else (rules.base, amount)
        self.books.move(order["account"], asset, -needed, needed)
        self.books.update("orders", order["id"], locked=plain(needed))

    def _take(self, order_id: int, ms: int, partial: Fault | None) -> None:
        """An order that arrives meets the book: all of it at the current price, or the fault's fraction."""
        order = self._order(order_id)
        price = self.prices.at(order["symbol"], ms)
        if self._marketable(order, price):
            amount = Decimal(order["amount"])
            if partial is not None:
                amount = floor_to(amount * Decimal(partial.fraction), self.rules[order["symbol"]].step)
            self._fill(order, price, amount, ms, maker=False)
            order = self._order(order_id)
        if order["status"] in OPEN and (order["type"] == "MARKET" or order["tif"] in {"IOC", "FOK"}):
            self._end(order, "EXPIRED", ms)
        elif order["status"] in OPEN and partial is not None:
            until = ms + int(partial.seconds * 1000) if partial.seconds else FOREVER
            self.books.update("orders", order_id, held_until=until)

    def _rest(self, order: Row, ms: int) -> None:
        low, high = self.prices.range(order["symbol"], order["created_ms"], order["checked_ms"], ms)
        self.books.update("orders", order["id"], checked_ms=ms)
        if order["stop_price"] is not None:
            stop = Decimal(order["stop_price"])
            if (low <= stop) if order["side"] == "SELL" else (high >= stop):
                self.books.update(
                    "orders",
                    order["id"],
                    stop_price=None,
                    type=order["type"].replace("STOP_LOSS_", "") if order["price"] else "MARKET",
                )
                self._take(order["id"], ms, None)
            return
        limit = Decimal(order["price"])
        if (low <= limit) if order["side"] == "BUY" else (high >= limit):
            self._fill(order, limit, Decimal(order["amount"]) - Decimal(order["filled"]), ms, maker=True)

    @staticmethod
    def _marketable(order: Row, price: Decimal) -> bool:
        if order["price"] is None:
            return True
        limit = Decimal(order["price"])
        return limit >= price if order["side"] == "BUY" else limit <= price

    def _fill(self, order: Row, price: Decimal, amount: Decimal, ms: int, *, maker: bool, late: bool = False) -> None:
        if amount <= 0:
            return
        rules, account = self.rules[order["symbol"]], order["account"]
        cost = (price * amount).quantize(EIGHT, ROUND_UP if order["side"] == "BUY" else ROUND_DOWN)
        paid, got = (rules.quote, rules.base) if order["side"] == "BUY" else (rules.base, rules.quote)
        spent, received = (cost, amount) if order["side"] == "BUY" else (amount, cost)
        locked = Decimal(order["locked"])
        from_lock = min(spent, locked)
        self.books.move(account, paid, from_lock - spent, -from_lock)
        fee, fee_asset = self._fee(received, cost, got, maker)
        self.books.move(account, got, received)
        self.books.move(account, fee_asset, -fee)
        filled = Decimal(order["filled"]) + amount
        whole = filled >= Decimal(order["amount"])
        self.books.insert(
            "trades", order_id=order["id"], account=account, symbol=order["symbol"], side=order["side"],
            price=plain(price), amount=plain(amount), fee=plain(fee), fee_asset=fee_asset, maker=int(maker), at_ms=ms,
        )  # fmt: skip
        status = order["status"] if late else "FILLED" if whole else "PARTIALLY_FILLED"
        self.books.update(
            "orders", order["id"], filled=plain(filled), cost=plain(Decimal(order["cost"]) + cost),
            locked=plain(locked - from_lock), status=status, updated_ms=ms,
        )  # fmt: skip
        if whole and not late:
            self._release_lock(self._order(order["id"]))

    def _fee(self, received: Decimal, cost: Decimal, asset: str, maker: bool) -> tuple[Decimal, str]:
        rate = self.maker_fee if maker else self.taker_fee
        if self.fee_asset is not None:
            return (cost * rate / self.fee_asset_price).quantize(EIGHT, ROUND_UP), self.fee_asset
        return (received * rate).quantize(EIGHT, ROUND_UP), asset

    def _end(self, order: Row, status: str, ms: int) -> None:
        self.books.update("orders", order["id"], status=status, updated_ms=ms)
        self._release_lock(self._order(order["id"]))

    def _release_lock(self, order: Row) -> None:
        rules, locked = self.rules[order["symbol"]], Decimal(order["locked"])
        self.books.move(order["account"], rules.quote if order["side"] == "BUY" else rules.base, locked, -locked)
        self.books.update("orders", order["id"], locked="0")

    def _happen(self, what: str, detail: Row, ms: int) -> None:
        if what == "place":
            try:
                self.place(NewOrder(**detail), ms)
            except Rejected:
                return  # refused in the book, long after its sender was told nothing
        else:
            order = self._order(detail["order"])
            rest = Decimal(order["amount"]) - Decimal(order["filled"])
            amount = floor_to(rest * Decimal(detail["fraction"]), self.rules[order["symbol"]].step)
            price = Decimal(order["price"]) if order["price"] else self.prices.at(order["symbol"], ms)
            self._fill(order, price, amount, ms, maker=True, late=True)
