"""Small exchanges on the loopback that take stop orders; here OKX, in the wire shapes that it documents."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from exchanges.core.decimals import plain
from exchanges.tests.local_server import LocalServer, QuietHandler

MS = 1_706_781_601_000
#: They count no requests, so that our own budget need not slow a test down.
QUICK = {"rateLimit": 0.1}


class StopVenue(LocalServer):
    """Keeps what was asked of it. Of a path in ``lose`` the next answer is lost, in ``drop`` the next request, too."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []
        self.lose: list[str] = []
        self.drop: list[str] = []
        self.now = MS
        self.begin()

    def answer(self, method: str, path: str, params: Any) -> Any:
        raise NotImplementedError

    def sent(self, method: str = "POST") -> list[str]:
        return [path for asked, path, _, _ in self.asked if asked == method]


class _Handler(QuietHandler):
    server: StopVenue

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        params: Any = json.loads(body) if body[:1] in {"{", "["} else dict(parse_qsl(url.query) + parse_qsl(body))
        self.server.asked.append((self.command, url.path, params, dict(self.headers.items())))
        if url.path in self.server.drop:
            self.server.drop.remove(url.path)
            self.close_connection = True
            return
        data = json.dumps(self.server.answer(self.command, url.path, params)).encode()
        if url.path in self.server.lose:
            self.server.lose.remove(url.path)
            self.close_connection = True
            return
        self.say(200, data)

    do_GET = do_POST = do_DELETE = _serve  # noqa: N815 - the base class's names


Fields = dict[str, Any]


class OkxVenue(StopVenue):
    """Stops and what they became, as OKX's REST documentation of July 2026 tells of them."""

    def __init__(self) -> None:
        self.stops: list[Fields] = []
        self.orders: list[Fields] = []
        self.fills: list[Fields] = []
        #: What a look-up of one stop says of an unknown id; the documentation does not tell.
        self.no_stop: Fields = _no("51603", "Order does not exist")
        #: A stop in these states is in no list, and an order with these numbers is not to be had.
        self.between: set[str] = {"partially_effective", "partially_failed"}
        self.forgotten: set[str] = set()
        super().__init__()

    def answer(self, method: str, path: str, params: Any) -> Any:
        noun = path.removeprefix("/api/v5/trade/").replace("-", "_")
        return getattr(self, f"{method.lower()}_{noun}")(params)

    # --- Requests ----------------------------------------------------------------------------------

    def post_order_algo(self, sent: Fields) -> Fields:
        number = str(9_000 + len(self.stops))
        known = {"instId": sent["instId"], "instType": "SPOT", "side": sent["side"], "sz": sent["sz"]}
        known |= {"algoId": number, "algoClOrdId": sent["algoClOrdId"], "clOrdId": "", "ordType": sent["ordType"]}
        known |= {"slTriggerPx": sent["slTriggerPx"], "slOrdPx": sent["slOrdPx"], "tdMode": sent["tdMode"]}
        empty = dict.fromkeys(("actualPx", "actualSide", "failCode", "triggerPx", "triggerTime", "ordPx", "tag"), "")
        states = {"state": "live", "ordId": "", "ordIdList": [], "cTime": str(self.now), "uTime": str(self.now)}
        self.stops.append(empty | known | states)
        told = {
            "algoClOrdId": sent["algoClOrdId"],
            "algoId": number,
            "clOrdId": "",
            "sCode": "0",
            "sMsg": "",
            "tag": "",
        }
        return _yes(told)

    def post_order(self, sent: Fields) -> Fields:
        """Filled at once, at 47,000."""
        known = {"instId": sent["instId"], "instType": "SPOT", "side": sent["side"], "sz": sent["sz"], "algoId": ""}
        known |= {"clOrdId": sent["clOrdId"], "ordId": str(7_000 + len(self.orders)), "ordType": sent["ordType"]}
        self.orders.append(known | {"algoClOrdId": "", "accFillSz": "0", "avgPx": "", "cTime": str(self.now)})
        self.fill(sent["sz"], "47000")
        return _yes({"clOrdId": sent["clOrdId"], "ordId": known["ordId"], "sCode": "0", "sMsg": "", "tag": ""})

    def post_cancel_algos(self, sent: list[Fields]) -> Fields:
        for stop in self.stops:
            if stop["algoClOrdId"] == sent[0]["algoClOrdId"] and stop["state"] == "live":
                stop["state"] = "canceled"
                return _yes({"algoId": stop["algoId"], "algoClOrdId": "", "clOrdId": "", "sCode": "0", "sMsg": ""})
        refused = {
            "algoId": "",
            "algoClOrdId": "",
            "sCode": "51400",
            "sMsg": "Cancellation failed as the order is gone.",
        }
        return {"code": "1", "data": [refused], "msg": ""}

    def post_cancel_order(self, sent: Fields) -> Fields:
        refused = {"clOrdId": sent["clOrdId"], "ordId": "", "sCode": "51400", "sMsg": "Cancellation failed."}
        return {"code": "1", "data": [refused], "msg": "All operations failed"}

    def get_order_algo(self, asked: Fields) -> Fields:
        name = "algoId" if "algoId" in asked else "algoClOrdId"
        found = [stop for stop in self.stops if stop[name] == asked[name]]
        return _yes(*found) if found else self.no_stop

    def get_orders_algo_pending(self, asked: Fields) -> Fields:
        return self._listed(asked, {"live", "pause"})

    def get_orders_algo_history(self, asked: Fields) -> Fields:
        return self._listed(asked, {asked["state"]})

    def _listed(self, asked: Fields, states: set[str]) -> Fields:
        assert (asked["ordType"], asked["instId"]) == ("conditional", "BTC-USDT")
        rows = [stop for stop in reversed(self.stops) if stop["state"] in states - self.between]
        before = [stop for stop in rows if int(stop["algoId"]) < int(asked.get("after", 10**9))]
        return _yes(*before[: int(asked["limit"])])

    def get_order(self, asked: Fields) -> Fields:
        name = "clOrdId" if "clOrdId" in asked else "ordId"
        found = [order for order in self.orders if order[name] == asked[name] and order["ordId"] not in self.forgotten]
        return _yes(*found) if found else _no("51603", "Order does not exist")

    def get_orders_pending(self, asked: Fields) -> Fields:
        return _yes(*(order for order in self.orders if order["state"] in {"live", "partially_filled"}))

    def get_orders_history(self, asked: Fields) -> Fields:
        begin = int(asked.get("begin", 0))
        return _yes(*(o for o in self.orders if o["state"] == asked["state"] and int(o["cTime"]) >= begin))

    def get_fills_history(self, asked: Fields) -> Fields:
        begin, number = int(asked.get("begin", 0)), asked.get("ordId")
        return _yes(*(f for f in self.fills if number in {None, f["ordId"]} and int(f["ts"]) >= begin))

    # --- What happens at the exchange --------------------------------------------------------------

    def trigger(self, *parts: str, state: str = "effective") -> None:
        """The newest stop becomes market orders of these amounts: usually one of all of it."""
        stop = self.stops[-1]
        for amount in parts or (stop["sz"],):
            number = str(7_000 + len(self.orders))
            known = {"instId": stop["instId"], "instType": "SPOT", "side": stop["side"], "sz": amount, "ordId": number}
            known |= {"clOrdId": "", "algoId": stop["algoId"], "algoClOrdId": stop["algoClOrdId"], "ordType": "market"}
            self.orders.append(
                known | {"state": "live", "accFillSz": "0", "avgPx": "", "px": "", "cTime": str(self.now)}
            )
            stop["ordIdList"].append(number)
        stop |= {"state": state, "ordId": stop["ordIdList"][-1], "triggerTime": str(self.now), "actualSide": "sl"}

    def fill(self, amount: str, price: str, *, part: int = -1) -> None:
        order = self.orders[part]
        before = Decimal(order["accFillSz"])
        after = before + Decimal(amount)
        spent = before * Decimal(order["avgPx"] or 0) + Decimal(amount) * Decimal(price)
        full = after == Decimal(order["sz"])
        order |= {"accFillSz": plain(after), "avgPx": plain(spent / after)}
        order["state"] = "filled" if full else "partially_filled"
        traded = {"instId": order["instId"], "instType": "SPOT", "ordId": order["ordId"], "side": order["side"]}
        traded |= {"tradeId": str(501 + len(self.fills)), "fillPx": price, "fillSz": amount, "clOrdId": ""}
        self.fills.append(traded | {"fee": "-0.5", "feeCcy": "USDT", "execType": "T", "ts": str(self.now)})


def _yes(*rows: Fields) -> Fields:
    return {"code": "0", "data": list(rows), "msg": ""}


def _no(code: str, text: str) -> Fields:
    return {"code": code, "data": [], "msg": text}
