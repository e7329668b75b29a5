"""A small exchange on the loopback that takes stop orders in the wire shapes that Kraken documents."""

from decimal import Decimal
from typing import Any

from exchanges.tests.adapters.stop_venues import Fields, StopVenue


class KrakenVenue(StopVenue):
    """One list of orders: a stop-loss keeps its id when it triggers, and says "stopped" then."""

    def __init__(self) -> None:
        self.orders: dict[str, Fields] = {}
        self.trades: dict[str, Fields] = {}
        super().__init__()

    def answer(self, method: str, path: str, params: Any) -> Any:
        try:
            return {"error": [], "result": getattr(self, path.removeprefix("/0/private/"))(params)}
        except LookupError as error:
            return {"error": [str(error.args[0])]}

    # --- Requests, by Kraken's names ---------------------------------------------------------------

    def AddOrder(self, sent: Fields) -> Fields:  # noqa: N802
        number = f"OQCLML-BW3P3-BUCM{len(self.orders):02}"
        words = f"{sent['type']} {sent['volume']} {sent['pair']} @ stop loss {sent['price']}"
        descr = {"pair": sent["pair"], "type": sent["type"], "ordertype": sent["ordertype"], "price": sent["price"]}
        descr |= {"price2": "0", "leverage": "none", "order": words, "close": ""}
        times = {"opentm": self.now / 1000, "starttm": 0, "expiretm": 0}
        zero = dict.fromkeys(("vol_exec", "cost", "fee", "price", "limitprice"), "0.00000")
        row = {"refid": None, "userref": None, "cl_ord_id": sent["cl_ord_id"], "status": "open", "descr": descr}
        row |= {"vol": sent["volume"], "stopprice": sent["price"], "misc": "", "oflags": "fciq", "trigger": "last"}
        self.orders[number] = row | times | zero | {"trades": []}
        return {"txid": [number], "descr": {"order": words}}

    def CancelOrder(self, sent: Fields) -> Fields:  # noqa: N802
        for row in self.orders.values():
            if row["cl_ord_id"] == sent["cl_ord_id"] and row["status"] == "open":
                row |= {"status": "canceled", "reason": "User requested", "closetm": self.now / 1000}
                return {"count": 1}
        raise LookupError("EOrder:Unknown order")

    def OpenOrders(self, asked: Fields) -> Fields:  # noqa: N802
        return {"open": self._listed(asked, ended=False)}

    def ClosedOrders(self, asked: Fields) -> Fields:  # noqa: N802
        rows = self._listed(asked, ended=True)
        return {"closed": rows, "count": len(rows)}

    def _listed(self, asked: Fields, *, ended: bool) -> Fields:
        ours = asked.get("cl_ord_id")
        rows = {n: row for n, row in self.orders.items() if ours in {None, row["cl_ord_id"]}}
        shown = {n: row for n, row in rows.items() if (row["status"] != "open") is ended}
        # Trades are told of only where they are asked for.
        return {n: {k: v for k, v in row.items() if k != "trades"} for n, row in shown.items()}

    def QueryOrders(self, asked: Fields) -> Fields:  # noqa: N802
        return {asked["txid"]: self.orders[asked["txid"]]}

    def QueryTrades(self, asked: Fields) -> Fields:  # noqa: N802
        numbers = asked.get("txid", "").split(",")
        if len(numbers) > 20 or numbers == [""]:
            raise LookupError("EGeneral:Invalid arguments")
        return {number: self.trades[number] for number in numbers}

    def TradesHistory(self, asked: Fields) -> Fields:  # noqa: N802
        return {"trades": self.trades, "count": len(self.trades)}

    # --- What happens at the exchange --------------------------------------------------------------

    def trigger(self) -> None:
        """The newest stop sells at the market from here on."""
        [*_, row] = self.orders.values()
        row["misc"] = "stopped"

    def fill(self, amount: str, price: str) -> None:
        [*_, (number, row)] = self.orders.items()
        before = Decimal(row["vol_exec"])
        after = before + Decimal(amount)
        cost = Decimal(row["cost"]) + Decimal(amount) * Decimal(price)
        row |= {"vol_exec": f"{after:.8f}", "cost": f"{cost:.5f}", "price": f"{cost / after:.5f}"}
        if after == Decimal(row["vol"]):
            row |= {"status": "closed", "reason": None, "closetm": self.now / 1000}
        trade = f"TDLH43-DVQXD-2KHV{len(self.trades):02}"
        row["trades"].append(trade)
        traded = {"ordertxid": number, "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": row["descr"]["pair"], "misc": ""}
        traded |= {"time": self.now / 1000, "type": row["descr"]["type"], "ordertype": "stop-loss", "margin": "0.00000"}
        costs = {"price": price, "cost": f"{Decimal(amount) * Decimal(price):.5f}", "fee": "0.50000", "vol": amount}
        self.trades[trade] = traded | costs
