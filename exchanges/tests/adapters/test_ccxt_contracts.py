"""What the unmodified ccxt sends to each exchange that may trade live, and how its answers are read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from django.core.cache import cache

from exchanges.adapters import ccxt_clients
from exchanges.adapters.ccxt_contracts import (
    CONTRACTS,
    IdStyle,
    canonical_id,
    contract_of,
    render_id,
    supports_live,
)
from exchanges.adapters.ccxt_exchange import CcxtExchange
from exchanges.adapters.ccxt_transport import TransportSession
from exchanges.core.errors import InvalidRequest, OrderNotFound, Unavailable, UnknownExchange
from exchanges.core.orders import OrderRequest, OrderType, Side, StopStyle
from exchanges.tests.adapters.answers import (
    ASKED,
    CANCELED,
    CREATED,
    DASHED,
    FEES,
    FILLS,
    FOUND,
    ID,
    MS,
    PERMISSIONS,
    PLACED,
    SIGNED,
)
from exchanges.vault import Credentials

AT = datetime(2024, 2, 1, 10, 0, 1, tzinfo=UTC)
SYMBOL = "BTC/USDT"
NATIVE = {"okx": "BTC-USDT", "bybit": "BTCUSDT", "kraken": "XBTUSDT", "kucoin": "BTC-USDT", "binance": "BTCUSDT"}
LIVE = ("binance", "okx", "bybit", "kraken", "kucoin")


@dataclass
class Wire:
    """Stands where the network would be: keeps what was sent, answers what it was given."""

    answers: list[Any] = field(default_factory=list)
    sent: list[tuple[str, str, dict[str, str], dict[str, Any]]] = field(default_factory=list)

    def request(self, session: TransportSession, method: str, url: str, **options: Any) -> requests.Response:
        body = options.get("data") or ""
        body = body.decode() if isinstance(body, bytes) else body
        params = dict(parse_qsl(urlsplit(url).query))
        params |= json.loads(body) if body.startswith("{") else dict(parse_qsl(body))
        self.sent.append((method, urlsplit(url).path, dict(options.get("headers") or {}), params))
        response = requests.Response()
        response.status_code = session.status = 200
        response._content = json.dumps(self.answers.pop(0)).encode()
        return response


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[Wire]:
    stub = Wire()
    monkeypatch.setattr(
        TransportSession, "request", lambda session, *target, **options: stub.request(session, *target, **options)
    )
    ccxt_clients.forget_clients()
    cache.clear()
    yield stub
    ccxt_clients.forget_clients()


def account(exchange: str) -> CcxtExchange:
    """An account whose exchange lists one market, known without asking."""
    catalogue = ccxt_clients.new_client(exchange, None)
    info = {"altname": "XBTUSDT", "orderTypes": ["LIMIT", "MARKET", "STOP_LOSS_LIMIT"]}
    market = {
        "id": NATIVE[exchange],
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USDT",
        "baseId": "BTC",
        "quoteId": "USDT",
        "type": "spot",
        "spot": True,
        "margin": False,
        "swap": False,
        "future": False,
        "option": False,
        "linear": None,
        "inverse": None,
        "contract": False,
        "active": True,
        "precision": {"amount": "0.00001", "price": "0.1"},
        "info": info,
        "limits": {"amount": {"min": "0.00001"}, "price": {}, "cost": {"min": "5"}},
    }
    catalogue.api.set_markets([market])
    loaded = ccxt_clients._Loaded(catalogue.api, ccxt_clients.time.monotonic(), ccxt_clients.read_markets(catalogue))
    ccxt_clients._loaded[(exchange, ccxt_clients._marks(exchange))] = loaded
    return CcxtExchange(exchange, AT, Credentials("the-api-key", "c2VjcmV0c2VjcmV0", "words"))


def order(**changes: Any) -> OrderRequest:
    facts = {
        "client_order_id": ID,
        "symbol": SYMBOL,
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "amount": Decimal("0.01"),
        "sent_at": AT,
        "limit_price": Decimal("60000.1"),
        "immediate": True,
    }
    return OrderRequest(**{**facts, **changes})


@pytest.mark.parametrize("exchange", LIVE)
def test_order_is_sent_once_with_our_id_and_expires(wire: Wire, exchange: str):
    wire.answers = [PLACED[exchange]]

    report = account(exchange).create_order(order())

    assert report.exchange_order_id == "7"
    assert (report.side, report.amount) == (Side.BUY, Decimal("0.01"))
    [(method, _, headers, params)] = wire.sent
    assert method == "POST"
    assert CREATED[exchange].items() <= params.items()
    assert SIGNED[exchange].items() <= headers.items()


@pytest.mark.parametrize("exchange", LIVE)
def test_market_order_states_base_amount_and_no_price(wire: Wire, exchange: str):
    wire.answers = [PLACED[exchange]]

    account(exchange).create_order(order(type=OrderType.MARKET, limit_price=None))

    params = wire.sent[0][3]
    assert not {"price", "px", "quoteOrderQty", "funds", "cost"} & set(params)
    assert "0.01" in {params.get(name) for name in ("quantity", "sz", "qty", "volume", "size")}
    assert params.get("tgtCcy", "base_ccy") == "base_ccy"
    assert params.get("marketUnit", "baseCoin") == "baseCoin"


@pytest.mark.parametrize(
    ("exchange", "limit", "sent"),
    [
        ("binance", Decimal("46550.1"), {"type": "STOP_LOSS_LIMIT", "stopPrice": "47500.1", "price": "46550.1"}),
        ("kraken", None, {"ordertype": "stop-loss", "price": "47500.1", "cl_ord_id": DASHED}),
    ],
)
def test_stop_rests_among_the_ordinary_orders_under_our_id(
    wire: Wire, exchange: str, limit: Decimal | None, sent: dict[str, str]
):
    told = {"txid": ["7"], "descr": {"order": "sell 0.01 XBTUSDT @ stop loss 47500.1"}}
    wire.answers = [
        {"binance": {**PLACED["binance"], "side": "SELL"}, "kraken": {"error": [], "result": told}}[exchange]
    ]
    stop = order(
        side=Side.SELL,
        type=OrderType.STOP_LOSS,
        stop_price=Decimal("47500.1"),
        limit_price=limit,
        immediate=False,
    )

    account(exchange).create_order(stop)

    [(_, path, _, params)] = wire.sent
    assert path == {"binance": "/api/v3/order", "kraken": "/0/private/AddOrder"}[exchange]
    assert sent.items() <= params.items()
    assert contract_of(exchange).stops is (StopStyle.LIMIT if limit else StopStyle.MARKET)


@pytest.mark.parametrize("exchange", sorted(CONTRACTS))
def test_a_stop_rests_only_where_live_orders_may(exchange: str):
    assert contract_of(exchange).stops is StopStyle.NONE or supports_live(exchange) is None


@pytest.mark.parametrize("exchange", LIVE)
def test_answer_without_an_order_id_is_no_answer(wire: Wire, exchange: str):
    text = json.dumps(PLACED[exchange]).replace('"7"', "null").replace(": 7", ": null").replace("[null]", "[]")
    wire.answers = [json.loads(text)]

    with pytest.raises(Unavailable):
        account(exchange).create_order(order())


@pytest.mark.parametrize("exchange", ["binance", "okx", "bybit", "kucoin"])
def test_answer_with_another_id_is_no_answer(wire: Wire, exchange: str):
    wire.answers = [json.loads(json.dumps(PLACED[exchange]).replace(ID, "f" * 32))]

    with pytest.raises(Unavailable):
        account(exchange).create_order(order())


@pytest.mark.parametrize("exchange", ["okx", "bybit", "kraken", "kucoin"])
@pytest.mark.parametrize("body", [{}, [], None, {"success": True}])
def test_answer_without_the_exchanges_envelope_is_no_answer(wire: Wire, exchange: str, body: Any):
    for _ in range(2):
        wire.answers = [body, body, body]
        with pytest.raises(Unavailable):
            account(exchange).fetch_order(SYMBOL, ID)
        with pytest.raises(Unavailable):
            account(exchange).fetch_open_orders(SYMBOL)


@pytest.mark.parametrize("exchange", LIVE)
def test_order_is_found_by_our_id_through_the_exchanges_route(wire: Wire, exchange: str):
    wire.answers = list(FOUND[exchange])

    report = account(exchange).fetch_order(SYMBOL, ID)

    assert (report.exchange_order_id, report.client_order_id) == ("7", ID)
    assert (report.filled, report.average, report.status.final) == (Decimal("0.01"), Decimal(60_000), True)
    assert [(method, path) for method, path, _, _ in wire.sent] == [
        (method, path) for method, path, _ in ASKED[exchange]
    ]
    for (_, _, _, params), (_, _, wanted) in zip(wire.sent, ASKED[exchange], strict=True):
        assert wanted.items() <= params.items()
        assert "None" not in params.values()


@pytest.mark.parametrize("exchange", ["bybit", "kraken"])
def test_filter_that_was_ignored_never_attributes_a_strangers_order(wire: Wire, exchange: str):
    other = json.loads(json.dumps(FOUND[exchange]).replace(ID, "e" * 32).replace(DASHED, "e" * 32))
    wire.answers = other

    with pytest.raises(OrderNotFound):
        account(exchange).fetch_order(SYMBOL, ID)


@pytest.mark.parametrize("exchange", LIVE)
def test_order_is_canceled_by_our_id(wire: Wire, exchange: str):
    method, path, wanted, answer = CANCELED[exchange]
    wire.answers = [answer]

    account(exchange).cancel_order(SYMBOL, ID)

    [(sent_method, sent_path, _, params)] = wire.sent
    assert (sent_method, sent_path) == (method, path)
    assert wanted.items() <= params.items()
    assert "None" not in map(str, params.values())


@pytest.mark.parametrize("exchange", LIVE)
def test_fills_of_an_order_are_listed_with_their_fee(wire: Wire, exchange: str):
    wire.answers = list(FILLS[exchange])

    [fill] = account(exchange).fetch_fills(SYMBOL, exchange_order_id="7")

    assert (fill.price, fill.amount, fill.exchange_order_id) == (Decimal(60_000), Decimal("0.01"), "7")
    assert (str(fill.fee), fill.fee_asset) == FEES[exchange]
    assert fill.executed_at == AT


@pytest.mark.parametrize("exchange", LIVE)
def test_reads_are_timed_by_the_unit_of_work(wire: Wire, exchange: str):
    answers = {
        "binance": {"serverTime": MS},
        "okx": {"code": "0", "data": [{"ts": str(MS)}]},
        "bybit": {"retCode": 0, "result": {"timeSecond": "1706781601", "timeNano": "1706781601000000000"}, "time": MS},
        "kraken": {"error": [], "result": {"unixtime": 1_706_781_601}},
        "kucoin": {"code": "200000", "data": MS},
    }
    wire.answers = [answers[exchange]]

    assert account(exchange).fetch_time() == AT


@pytest.mark.parametrize(("exchange", "answer", "expected"), PERMISSIONS)
def test_permissions_are_read_from_the_exchanges_own_call(wire: Wire, exchange: str, answer: Any, expected: Any):
    wire.answers = [answer]

    told = account(exchange).fetch_permissions()

    assert (told.can_trade, told.can_withdraw, told.ip_restricted) == expected


@pytest.mark.parametrize("exchange", ["okx", "bybit", "kraken", "kucoin"])
def test_permissions_that_are_not_told_are_not_guessed(wire: Wire, exchange: str):
    wire.answers = [{"code": "0", "retCode": 0, "error": [], "data": [{}], "result": {}}]

    with pytest.raises(Unavailable):
        account(exchange).fetch_permissions()


def test_live_list_is_exactly_what_is_proved_here():
    assert tuple(name for name in CONTRACTS if supports_live(name) is None) == LIVE
    for name in set(CONTRACTS) - set(LIVE):
        assert name in (supports_live(name) or "")


def test_exchange_without_a_look_up_by_our_id_sends_no_order_there(wire: Wire):
    exchange = CcxtExchange("coinbase", AT, Credentials("the-api-key", "secret-secret"))

    for call in (exchange.fetch_order, exchange.cancel_order):
        with pytest.raises(InvalidRequest, match="coinbase"):
            call(SYMBOL, ID)
    with pytest.raises(InvalidRequest, match="coinbase"):
        exchange.create_order(order())
    assert wire.sent == []


def test_unknown_exchange_lists_those_there_are():
    with pytest.raises(UnknownExchange, match=r"binance.*'nope'"):
        contract_of("nope")


@pytest.mark.parametrize(("style", "text"), [(IdStyle.HEX, ID), (IdStyle.UUID, DASHED), (IdStyle.GATE, f"t-{ID[:28]}")])
def test_id_is_written_as_the_exchange_wants_it_and_read_back(style: IdStyle, text: str):
    assert render_id(style, ID) == text
    assert canonical_id(style, text) == (ID[:28] if style is IdStyle.GATE else ID)
    assert canonical_id(style, "") is None
