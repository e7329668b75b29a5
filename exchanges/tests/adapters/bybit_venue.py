"""A small exchange on the loopback that takes spot stop orders in the wire shapes that Bybit documents."""

from decimal import Decimal
from typing import Any

from exchanges.core.decimals import plain
from exchanges.tests.adapters.stop_venues import Fields, StopVenue

OPEN = {"New", "PartiallyFilled", "Untriggered"}


class BybitVenue(StopVenue):
    """One list of orders of a unified account: a stop keeps its ids when it triggers."""

    def __init__(self) -> None:
        self.orders: list[Fields] = []
        self.fills: list[Fields] = []
        super().__init__()

    def answer(self, method: str, path: str, params: Any) -> Any:
        result = getattr(self, path.removeprefix("/v5/").replace("/", "_"))(params)
        said = {"retCode": 0, "retMsg": "OK", "result": result} if isinstance(result, dict) else _no(*result)
        return said | {"retExtInfo": {}, "time": self.now}

    # --- Requests ----------------------------------------------------------------------------------

    def order_create(self, sent: Fields) -> Fields:
        stop = sent.get("orderFilter") == "StopOrder"
        known = {name: sent[name] for name in ("symbol", "side", "orderType", "orderLinkId", "qty")}
        known |= {"orderId": str(1_523_347_543_495_541_248 + len(self.orders)), "price": "0", "timeInForce": "IOC"}
        known |= {"orderStatus": "Untriggered" if stop else "New", "stopOrderType": "Stop" if stop else ""}
        known |= {"triggerPrice": sent.get("triggerPrice", ""), "marketUnit": sent.get("marketUnit", "")}
        zero = {"cumExecQty": "0", "cumExecValue": "0", "avgPrice": "", "createdTime": str(self.now)}
        self.orders.append(known | zero)
        if not stop:
            self.fill(sent["qty"], "47000")
        return {"orderId": known["orderId"], "orderLinkId": known["orderLinkId"]}

    def order_cancel(self, sent: Fields) -> Any:
        for order in self.orders:
            stands = order["stopOrderType"] == ("Stop" if sent["orderFilter"] == "StopOrder" else "")
            if order["orderLinkId"] == sent["orderLinkId"] and stands and order["orderStatus"] in OPEN:
                order["orderStatus"] = "Deactivated" if order["orderStatus"] == "Untriggered" else "Cancelled"
                return {"orderId": order["orderId"], "orderLinkId": order["orderLinkId"]}
        return 170213, "Order does not exist."

    def order_realtime(self, asked: Fields) -> Fields:
        return self._listed(asked, ended=False)

    def order_history(self, asked: Fields) -> Fields:
        return self._listed(asked, ended=True)

    def _listed(self, asked: Fields, *, ended: bool) -> Fields:
        assert "orderFilter" not in asked  # all kinds by default
        ours = asked.get("orderLinkId")
        rows = [order for order in self.orders if ours in {None, order["orderLinkId"]}]
        return {"category": "spot", "list": [row for row in rows if (row["orderStatus"] in OPEN) is not ended]}

    def execution_list(self, asked: Fields) -> Fields:
        rows = [fill for fill in self.fills if asked.get("orderId") in {None, fill["orderId"]}]
        return {"category": "spot", "list": rows}

    # --- What happens at the exchange --------------------------------------------------------------

    def trigger(self) -> None:
        self.orders[-1]["orderStatus"] = "New"

    def fill(self, amount: str, price: str) -> None:
        order = self.orders[-1]
        after = Decimal(order["cumExecQty"]) + Decimal(amount)
        spent = Decimal(order["cumExecValue"]) + Decimal(amount) * Decimal(price)
        order |= {"cumExecQty": plain(after), "cumExecValue": plain(spent), "avgPrice": plain(spent / after)}
        order["orderStatus"] = "Filled" if after == Decimal(order["qty"]) else "PartiallyFilled"
        traded = {
            name: order[name] for name in ("symbol", "side", "orderId", "orderLinkId", "stopOrderType", "orderType")
        }
        traded |= {"execId": str(901 + len(self.fills)), "execPrice": price, "execQty": amount, "execType": "Trade"}
        self.fills.append(traded | {"execFee": "0.5", "feeCurrency": "USDT", "execTime": str(self.now)})


def _no(code: int, text: str) -> Fields:
    return {"retCode": code, "retMsg": text, "result": {}}
