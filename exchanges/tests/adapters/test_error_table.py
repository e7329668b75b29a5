"""Hundreds of answers that exchanges give to an order, over HTTP, through the unmodified ccxt: what each may mean."""

import contextlib
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from exchanges import connect
from exchanges.adapters.ccxt_contracts import CONTRACTS, contract_of, supports_live
from exchanges.adapters.ccxt_exchange import CcxtExchange
from exchanges.core import errors
from exchanges.core.errors import ExchangeFault, OrderNotFound, RateLimited, Refused, Unavailable
from exchanges.core.orders import OrderReport, OrderRequest, OrderType, Side, StopStyle
from exchanges.tests.adapters.venue_server import SYMBOL, VenueServer, body, in_place_of
from exchanges.vault import Credentials

AT = datetime(2024, 2, 1, 10, 0, 1, tzinfo=UTC)
TABLE: dict[str, Any] = json.loads((Path(__file__).parent / "error_table.json").read_text(encoding="utf-8"))["venues"]
LIVE = sorted(name for name in CONTRACTS if supports_live(name) is None)
PAPER = sorted(set(TABLE) - set(LIVE))
STOPS = sorted(name for name, venue in TABLE.items() if "stops" in venue)
PAGE = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>cloudflare</body></html>"
#: Status and body that no exchange documents: gateways, caches, half-written and foreign answers.
NONSENSE = [
    *((status, PAGE.format(status)) for status in (400, 403, 404, 405, 408, 409, 410, 413, 451)),
    *((status, PAGE.format(status)) for status in (500, 501, 502, 503, 504, 520, 521, 522, 523, 524, 525, 530)),
    (200, ""), (200, "null"), (200, "[]"), (200, "{}"), (200, "true"), (200, "7"), (200, '"ok"'), (200, "OK"),
    (200, '{"orderId": 7, "clientOrd'), (200, PAGE.format("Just a moment")), (200, '{"hello": "world"}'),
    (200, '{"error": null}'), (200, '{"code": "0"}'), (201, ""), (204, ""), (301, ""), (302, ""), (307, ""), (500, ""),
    (500, '{"message": "boom"}'), (502, '{"code": -1102, "msg": "Mandatory parameter was not sent."}'),
    (503, "upstream connect error or disconnect/reset before headers"), (504, "stream timeout"),
]  # fmt: skip
#: Where the status alone is documented as "too many requests from this address": nothing was looked at.
LIMITS = {("bybit", 403)}


@pytest.fixture(scope="module")
def server() -> Iterator[VenueServer]:
    with in_place_of(CONTRACTS, VenueServer()) as started:
        yield started


def account(exchange: str) -> CcxtExchange:
    cache.clear()
    opened = connect.open_unsaved(exchange, Credentials("the-api-key", "c2VjcmV0c2VjcmV0", "words"), AT)
    assert isinstance(opened, CcxtExchange)
    return opened


def place(exchange: str) -> OrderReport | dict[str, Any]:
    """An order; where we offer paper only, ccxt's own call through the same door."""
    if exchange in PAPER:
        call: dict[str, Any] = account(exchange)._call(
            lambda client: client.api.create_order(SYMBOL, "limit", "buy", "0.01", "60000", {}), writing=True
        )
        return call
    request = OrderRequest(
        uuid.uuid4().hex, SYMBOL, Side.BUY, OrderType.LIMIT, Decimal("0.01"), AT, limit_price=Decimal(60_000),
        immediate=True,
    )  # fmt: skip
    return account(exchange).create_order(request)


def fault_of(exchange: str) -> ExchangeFault:
    with pytest.raises(ExchangeFault) as raised:
        place(exchange)
    assert raised.value.__cause__ is None
    return raised.value


@pytest.mark.parametrize("exchange", TABLE)
def test_documented_answers_mean_what_the_table_says(server: VenueServer, exchange: str) -> None:
    wrong = []
    for status, code, text, expected in TABLE[exchange]["answers"]:
        server.say(200 if status == "order" else status, body(exchange, code, text, of_order=status == "order"))
        fault = fault_of(exchange)
        sends = [request for request in server.requests if request[0] == "POST"]
        if type(fault).__name__ != expected or len(sends) != 1:
            wrong.append((code, text, expected, type(fault).__name__, sends))
    assert wrong == []


@pytest.mark.parametrize("exchange", STOPS)
def test_documented_answers_to_a_stop_mean_what_the_table_says(server: VenueServer, exchange: str) -> None:
    wrong = []
    assert contract_of(exchange).stops is StopStyle.MARKET
    for status, code, text, expected in TABLE[exchange]["stops"]:
        server.say(200 if status == "order" else status, body(exchange, code, text, of_order=status == "order"))
        stop = OrderRequest(
            uuid.uuid4().hex, SYMBOL, Side.SELL, OrderType.STOP_LOSS, Decimal("0.01"), AT, stop_price=Decimal(47_500)
        )
        with pytest.raises(ExchangeFault) as raised:
            account(exchange).create_order(stop)
        sends = [request for request in server.requests if request[0] == "POST"]
        if type(raised.value).__name__ != expected or len(sends) != 1:
            wrong.append((code, text, expected, type(raised.value).__name__, sends))
    assert wrong == []


def test_the_table_is_large_and_names_its_sources() -> None:
    assert sum(len(venue["answers"]) for venue in TABLE.values()) >= 400
    assert len(TABLE) >= 6
    assert set(LIVE) <= set(TABLE)
    for venue in TABLE.values():
        assert venue["source"].startswith("https://")
        faults = {getattr(errors, expected) for *_, expected in venue["answers"]}
        # No list without answers of which one must not believe that nothing was placed.
        assert any(not issubclass(fault, Refused) for fault in faults)


@pytest.mark.parametrize("exchange", LIVE)
def test_nonsense_leaves_an_order_unknown(server: VenueServer, exchange: str) -> None:
    wrong = []
    for status, text in NONSENSE:
        server.say(status, text)
        fault = fault_of(exchange)
        if not isinstance(fault, Unavailable) and (exchange, status) not in LIMITS:
            wrong.append((status, text[:40], type(fault).__name__))
    assert wrong == []


@pytest.mark.parametrize("exchange", PAPER)
def test_nonsense_is_no_refusal_where_we_offer_paper_only_either(server: VenueServer, exchange: str) -> None:
    for status, text in NONSENSE:
        server.say(status, text)
        answer: object = None
        with contextlib.suppress(OrderNotFound, Unavailable):
            answer = place(exchange)
        assert not isinstance(answer, OrderReport), (status, text)


@pytest.mark.parametrize("exchange", LIVE)
def test_too_many_requests_are_followed_by_none(server: VenueServer, exchange: str) -> None:
    server.say(429, PAGE.format(429), Retry_After="30")
    first = fault_of(exchange)
    exchange_again = CcxtExchange(exchange, AT, Credentials("the-api-key", "c2VjcmV0c2VjcmV0", "words"))
    server.say(200, "{}")
    with pytest.raises(RateLimited) as raised:
        exchange_again.fetch_balances()
    assert isinstance(first, RateLimited)
    assert (raised.value.retry_at, server.requests) == (first.retry_at, [])


@pytest.mark.parametrize("exchange", LIVE)
def test_a_look_up_that_is_refused_is_no_miss(server: VenueServer, exchange: str) -> None:
    """Only "not found" says that an order may be absent, never a key, limit, clock or argument that was refused."""
    for status, code, text, expected in TABLE[exchange]["answers"]:
        if issubclass(getattr(errors, expected), Refused | Unavailable):
            server.say(200 if status == "order" else status, body(exchange, code, text))
            with pytest.raises(ExchangeFault) as raised:
                account(exchange).fetch_order(SYMBOL, uuid.uuid4().hex)
            assert not isinstance(raised.value, OrderNotFound), (code, text)
