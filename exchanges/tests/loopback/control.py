"""Steers a loopback exchange that runs in another process: clock, prices, faults, and a look into its books."""

import json
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from exchanges.core.decimals import plain
from exchanges.tests.loopback.faults import from_json

if TYPE_CHECKING:
    from exchanges.tests.loopback.exchange import LoopbackExchange


def answer(exchange: "LoopbackExchange", method: str, path: str, body: str) -> tuple[int, str]:
    noun = path.removeprefix("/control/")
    if method == "GET" and noun in {"orders", "trades", "requests"}:
        return 200, json.dumps(getattr(exchange, noun)())
    if method == "GET" and noun == "balances":
        held = exchange.balances()
        return 200, json.dumps({asset: [plain(free), plain(locked)] for asset, (free, locked) in held.items()})
    if method == "POST" and noun in {"clock", "price", "fault", "faults/clear"}:
        _change(exchange, noun, json.loads(body or "{}"))
        return 200, '{"ok": true}'
    return 404, '{"error": "Expected /control/{orders,trades,requests,balances,clock,price,fault,faults/clear}."}'


def _change(exchange: "LoopbackExchange", noun: str, value: dict[str, Any]) -> None:
    if noun == "fault":
        exchange.faults.add(from_json(value))
    elif noun == "faults/clear":
        exchange.faults.clear()
    elif noun == "price":
        exchange.set_price(value["symbol"], None if value["price"] is None else Decimal(value["price"]))
    elif "set" in value:
        exchange.clock.set(datetime.fromisoformat(value["set"]))
    elif "advance" in value:
        exchange.clock.advance(float(value["advance"]))
    else:
        exchange.clock.run()
