"""The loopback exchange keeps its own books straight, whatever is done to it."""

import json
import subprocess
import sys
import time
import urllib.request
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exchanges.core.candles import Candles
from exchanges.tests.conftest import AT
from exchanges.tests.loopback import API_KEY, Fault, Kind, LoopbackExchange
from exchanges.tests.loopback.matching import NewOrder
from exchanges.tests.loopback.rules import RECORDED, STAND_IN, Rejected, recorded_rules

HOUR = 3_600_000


def new(exchange: LoopbackExchange, **changes: str | None) -> NewOrder:
    facts = {
        "client_id": uuid.uuid4().hex,
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "MARKET",
        "tif": "GTC",
        "amount": "0.1",
    }
    return NewOrder(exchange.account, **{**facts, **changes})


def worth(exchange: LoopbackExchange, price: Decimal) -> Decimal:
    held = exchange.balances()
    fees = sum(
        (Decimal(row["fee"]) * (price if row["fee_asset"] == "BTC" else 1) for row in exchange.trades()), Decimal(0)
    )
    return sum((sum(held.get(asset, (Decimal(0),))) * at for asset, at in (("USDT", Decimal(1)), ("BTC", price))), fees)


def test_books_survive_their_process(tmp_path: Path):
    path = tmp_path / "books.sqlite3"
    with LoopbackExchange(path) as first:
        first.clock.set(AT)
        first.deposit("USDT", "10000")
        first.matching.place(new(first), first.clock.ms)
        orders, balances = first.orders(), first.balances()
    with LoopbackExchange(path) as second:
        assert second.orders() == orders
        assert second.balances() == balances


def test_money_is_neither_made_nor_lost(loopback: LoopbackExchange):
    price = Decimal(50_000)
    for change in (
        {},
        {"type": "LIMIT", "price": "40000"},
        {"type": "LIMIT", "price": "50000", "tif": "IOC", "amount": "0.02"},
        {"side": "SELL", "amount": "0.05"},
        {"side": "SELL", "type": "LIMIT", "price": "60000", "amount": "0.01"},
    ):
        loopback.matching.place(new(loopback, **change), loopback.clock.ms)
    assert worth(loopback, price) == 10_000
    for order in loopback.orders():
        if order["status"] == "NEW":
            loopback.matching.cancel(order, loopback.clock.ms)

    assert worth(loopback, price) == 10_000
    assert all(locked == 0 for _, locked in loopback.balances().values())


def test_resting_order_fills_when_a_candle_in_between_met_its_price(loopback: LoopbackExchange):
    start = int(AT.replace(second=0).timestamp() * 1000)
    rows = [[start + i * HOUR, 100, 110, 90 if i == 2 else 99, 100, 1] for i in range(6)]
    loopback.set_price("BTC/USDT", None)
    loopback.load_candles("BTC/USDT", "1h", Candles.from_rows(rows))
    order = loopback.matching.place(new(loopback, type="LIMIT", price="95", amount="1"), loopback.clock.ms)
    loopback.clock.advance(timedelta(hours=2))
    loopback.sweep()
    assert loopback.orders()[0]["status"] == "NEW"

    loopback.clock.advance(timedelta(hours=1))
    loopback.sweep()

    assert loopback.orders()[0]["status"] == "FILLED"
    assert [(row["order_id"], row["price"], row["maker"]) for row in loopback.trades()] == [(order["id"], "95", 1)]


def test_stop_sells_at_the_market_once_it_is_touched(loopback: LoopbackExchange):
    loopback.matching.place(new(loopback), loopback.clock.ms)
    stop = new(loopback, side="SELL", type="STOP_LOSS", stop_price="45000", amount="0.05")
    loopback.matching.place(stop, loopback.clock.ms)
    loopback.clock.advance(60)
    loopback.sweep()
    assert len(loopback.trades()) == 1

    loopback.set_price("BTC/USDT", "44000")
    loopback.clock.advance(60)
    loopback.sweep()

    assert [row["price"] for row in loopback.trades()] == ["50000", "44000"]


def test_fees_may_be_taken_in_a_third_coin(loopback: LoopbackExchange):
    loopback.deposit("BNB", "1")
    loopback.matching.fee_asset, loopback.matching.fee_asset_price = "BNB", Decimal(500)

    loopback.matching.place(new(loopback), loopback.clock.ms)

    assert loopback.balances()["BTC"] == (Decimal("0.1"), 0)
    assert loopback.balances()["BNB"] == (Decimal("0.99"), 0)


def test_order_refused_late_leaves_no_trace(loopback: LoopbackExchange):
    loopback.matching.place_later(new(loopback, amount="1"), loopback.clock.ms + 1000)
    loopback.clock.advance(2)

    loopback.sweep()

    assert loopback.orders() == []
    assert loopback.balances()["USDT"] == (10_000, 0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"amount": "0.000001"}, "LOT_SIZE"),
        ({"amount": "200"}, "MARKET_LOT_SIZE"),
        ({"type": "LIMIT", "price": "50000.001"}, "PRICE_FILTER"),
        ({"type": "LIMIT", "price": "1"}, "PERCENT_PRICE"),
        ({"amount": "0.00001"}, "NOTIONAL"),
        ({"amount": "1"}, "insufficient balance"),
    ],
)
def test_rules_are_enforced_without_effect(loopback: LoopbackExchange, change: dict[str, str], text: str):
    with pytest.raises(Rejected) as refusal:
        loopback.matching.place(new(loopback, **change), loopback.clock.ms)

    assert text in refusal.value.text
    assert loopback.orders() == []
    assert loopback.balances()["USDT"] == (10_000, 0)


def test_forming_candle_knows_only_its_open(loopback: LoopbackExchange):
    start = int(AT.replace(second=0).timestamp() * 1000)
    rows = [[start - HOUR, 1, 4, 1, 3, 9], [start, 5, 9, 4, 8, 9], [start + HOUR, 8, 9, 7, 8, 9]]
    loopback.load_candles("BTC/USDT", "1h", Candles.from_rows(rows))

    with urllib.request.urlopen(f"{loopback.url}/api/v3/klines?symbol=BTCUSDT&interval=1h") as answer:
        found = json.load(answer)

    assert [row[1:6] for row in found] == [["1", "4", "1", "3", "9"], ["5", "5", "5", "5", "0"]]


def test_built_in_numbers_equal_the_recorded_ones():
    if not RECORDED.is_file():
        pytest.skip("recorded filters are not here")
    for symbol, (step, most, market, tick) in STAND_IN.items():
        rules = recorded_rules()[symbol.replace("/", "")]
        assert (rules.step, rules.max_amount, rules.max_market, rules.tick) == tuple(
            map(Decimal, (step, most, market, tick))
        )


def test_faults_are_taken_in_order_and_counted(loopback: LoopbackExchange):
    once, later = Fault(Kind.EMPTY, "GET /a", skip=1), Fault(Kind.DROP_AFTER, "GET /", times=0)
    loopback.faults.add(once, later)

    taken = [loopback.faults.take("GET", "/a") for _ in range(3)]

    assert [fault.kind if fault else None for fault in taken] == [None, Kind.EMPTY, Kind.DROP_AFTER]
    assert loopback.faults.take("POST", "/a") is None
    assert loopback.faults.pending() == [later]


def test_it_runs_for_a_person_and_is_steered_over_http(tmp_path: Path):
    command = [
        sys.executable,
        "-m",
        "exchanges.tests.loopback",
        "--port",
        "0",
        "--books",
        str(tmp_path / "b"),
        "--deposit",
        "USDT=7",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines = []
            while not lines or lines[-1] != "}":
                lines.append(process.stdout.readline().rstrip("\n"))
            facts = json.loads("\n".join(lines))
            url = facts["EXCHANGE_OVERRIDES"]["binance"]["urls"]["api"]["public"].removesuffix("/api/v3")
            post(f"{url}/control/clock", {"set": AT.isoformat()})
            post(f"{url}/control/price", {"symbol": "BTC/USDT", "price": "123.45"})
            post(f"{url}/control/fault", {"kind": "answer", "on": "GET /api/v3/depth", "status": 503, "body": "down"})

            assert facts["api_key"] == API_KEY
            assert get(f"{url}/api/v3/time") == {"serverTime": int(AT.timestamp() * 1000)}
            assert get(f"{url}/api/v3/ticker/price?symbol=BTCUSDT")["price"] == "123.45000000"
            assert get(f"{url}/control/balances") == {"USDT": ["7", "0"]}
            assert [row["path"] for row in get(f"{url}/control/requests")] == ["/api/v3/time", "/api/v3/ticker/price"]
        finally:
            process.terminate()


def get(url: str) -> dict[str, str]:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def post(url: str, value: dict[str, object]) -> None:
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(value).encode(), method="POST")).close()


def test_clock_of_its_own_runs_until_it_is_set(tmp_path: Path):
    with LoopbackExchange(tmp_path / "books") as exchange:
        first = exchange.clock.ms
        time.sleep(0.01)
        assert exchange.clock.ms > first
        exchange.clock.advance(60)
        assert exchange.clock.now - datetime.now(UTC) > timedelta(seconds=58)
        exchange.clock.set(AT)
        assert exchange.clock.now == AT
        exchange.clock.run()
        assert abs(exchange.clock.now - datetime.now(UTC)) < timedelta(seconds=1)
