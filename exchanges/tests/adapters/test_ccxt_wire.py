"""What really happens on the wire, through the unmodified ccxt client: the fault, and whether an order exists."""

import logging
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from django.core.cache import cache

from exchanges.adapters import ccxt_transport
from exchanges.adapters.ccxt_clients import client_for
from exchanges.adapters.ccxt_exchange import CcxtExchange
from exchanges.core.errors import (
    ClockSkew,
    DuplicateOrder,
    ExchangeFault,
    InsufficientFunds,
    InvalidRequest,
    KeyInvalid,
    Maintenance,
    NotSent,
    OrderNotFound,
    PermissionMissing,
    RateLimited,
    Refused,
    Unavailable,
)
from exchanges.core.orders import OrderRequest, OrderType, ReportStatus, Side
from exchanges.tests.conftest import AT
from exchanges.tests.loopback import API_KEY, API_SECRET, Fault, Kind, LoopbackExchange
from exchanges.tests.loopback.faults import clock_skew, http_error, maintenance, refusal, too_many
from exchanges.vault import Credentials

SYMBOL = "BTC/USDT"
ORDER = "POST /api/v3/order"
LOOKUP = "GET /api/v3/order"


def account(at=AT, **changes: str) -> CcxtExchange:
    facts = {"api_key": API_KEY, "api_secret": API_SECRET, **changes}
    return CcxtExchange("binance", at, Credentials(**facts))


def order(amount: str = "0.01", **changes: object) -> OrderRequest:
    facts = {
        "client_order_id": uuid.uuid4().hex,
        "symbol": SYMBOL,
        "side": Side.BUY,
        "type": OrderType.MARKET,
        "amount": Decimal(amount),
        "sent_at": AT,
    }
    return OrderRequest(**{**facts, **changes})


UNKNOWN = (
    (Fault(Kind.DROP_BEFORE, ORDER), False),
    (Fault(Kind.DROP_AFTER, ORDER), True),
    (Fault(Kind.RESET_AFTER, ORDER), True),
    (Fault(Kind.TRUNCATE, ORDER), True),
    (Fault(Kind.EMPTY, ORDER), True),
    (Fault(Kind.MALFORMED, ORDER), True),
    (Fault(Kind.ANSWER, ORDER, body="{}", executed=True), True),
    (Fault(Kind.ANSWER, ORDER, body="[]", executed=True), True),
    (Fault(Kind.ANSWER, ORDER, body="null", executed=True), True),
    (Fault(Kind.ANSWER, ORDER, body='{"symbol":"BTCUSDT","status":"NEW"}', executed=True), True),
    (Fault(Kind.ANSWER, ORDER, status=302, headers={"Location": "/api/v3/time"}), False),
    (http_error(ORDER, 500, executed=True), True),
    (http_error(ORDER, 502), False),
    (http_error(ORDER, 503, executed=True), True),
    (http_error(ORDER, 504), False),
    (http_error(ORDER, 403), False),
    (http_error(ORDER, 404), False),
    (http_error(ORDER, 409), False),
    (refusal(ORDER, -1000, "An unknown error occurred while processing the request."), False),
    (refusal(ORDER, -1001, "Internal error; unable to process your request."), False),
    (refusal(ORDER, -1006, "An unexpected response was received from the message bus."), False),
    (refusal(ORDER, -1007, "Timeout waiting for response from backend server."), False),
    (refusal(ORDER, -1008, "Server is currently overloaded with other requests."), False),
    (refusal(ORDER, -1016, "This service is no longer available.", status=503), False),
    (refusal(ORDER, -9999, "A code nobody has seen."), False),
)


@pytest.mark.parametrize(("fault", "exists"), UNKNOWN, ids=lambda part: getattr(part, "kind", part))
def test_doubtful_answer_leaves_the_order_unknown(loopback: LoopbackExchange, fault: Fault, exists: bool):
    ours = order()
    loopback.faults.add(fault)

    with pytest.raises(Unavailable) as raised:
        account().create_order(ours)

    assert not isinstance(raised.value, Refused)
    assert len(loopback.requests("POST")) == 1
    assert [row["client_id"] for row in loopback.orders()] == ([ours.client_order_id] if exists else [])
    if exists:
        assert account().fetch_order(SYMBOL, ours.client_order_id).filled == ours.amount
    else:
        with pytest.raises(OrderNotFound):
            account().fetch_order(SYMBOL, ours.client_order_id)


REFUSED = (
    (clock_skew(ORDER), ClockSkew),
    (too_many(ORDER), RateLimited),
    (too_many(ORDER, banned=True), RateLimited),
    (refusal(ORDER, -1015, "Too many new orders.", status=429), RateLimited),
    (refusal(ORDER, -1003, "Too many requests."), RateLimited),
    (refusal(ORDER, -2010, "Account has insufficient balance for requested action."), InsufficientFunds),
    (refusal(ORDER, -1013, "Filter failure: LOT_SIZE"), InvalidRequest),
    (refusal(ORDER, -1013, "Filter failure: PRICE_FILTER"), InvalidRequest),
    (refusal(ORDER, -1013, "Filter failure: NOTIONAL"), InvalidRequest),
    (refusal(ORDER, -1013, "Market is closed."), Refused),
    (refusal(ORDER, -1121, "Invalid symbol."), InvalidRequest),
    (refusal(ORDER, -2014, "API-key format invalid.", status=401), KeyInvalid),
    (refusal(ORDER, -2015, "Invalid API-key, IP, or permissions for action.", status=401), KeyInvalid),
    (refusal(ORDER, -1022, "Signature for this request is not valid."), KeyInvalid),
    (refusal(ORDER, -1002, "You are not authorized to execute this request."), Refused),
)


@pytest.mark.parametrize(("fault", "expected"), REFUSED, ids=lambda part: getattr(part, "body", part))
def test_refusal_that_proves_nothing_happened_is_refused(
    loopback: LoopbackExchange, fault: Fault, expected: type[ExchangeFault]
):
    loopback.faults.add(fault)

    with pytest.raises(expected):
        account().create_order(order())

    assert loopback.orders() == []


def test_key_revoked_after_it_worked_is_not_taken_for_a_rate_limit(loopback: LoopbackExchange):
    account().fetch_balances()
    loopback.faults.add(refusal("GET /api/v3/account", -2015, "Invalid API-key, IP, or permissions for action."))

    with pytest.raises(KeyInvalid):
        account().fetch_balances()


def test_duplicate_answer_means_our_order_exists(loopback: LoopbackExchange):
    ours = order()
    loopback.faults.add(Fault(Kind.DUPLICATE, ORDER))

    with pytest.raises(DuplicateOrder) as fault:
        account().create_order(ours)

    assert not isinstance(fault.value, Refused)
    assert account().fetch_order(SYMBOL, ours.client_order_id).status is ReportStatus.CLOSED


def test_maintenance_is_told_and_is_no_refusal(loopback: LoopbackExchange):
    loopback.faults.add(maintenance(ORDER))

    with pytest.raises(Maintenance) as fault:
        account().create_order(order())

    assert not isinstance(fault.value, Refused)


def test_connection_never_made_is_not_sent(loopback: LoopbackExchange):
    exchange = account()
    exchange.fetch_balances()
    loopback.stop_listening()
    client_for("binance", Credentials(API_KEY, API_SECRET)).session.close()

    with pytest.raises(NotSent):
        exchange.create_order(order())
    with pytest.raises(NotSent):
        exchange.fetch_balances()


def test_market_rules_that_cannot_be_read_leave_the_order_unsent(loopback: LoopbackExchange):
    loopback.faults.add(http_error("GET /api/v3/exchangeInfo", 502))

    with pytest.raises(NotSent):
        account().create_order(order())

    assert loopback.requests("POST") == []


@pytest.mark.parametrize(
    "fault",
    [
        Fault(Kind.DRIP, ORDER, seconds=0.05),
        Fault(Kind.DELAY, ORDER, seconds=3),
        Fault(Kind.DELAY_AFTER, ORDER, seconds=3),
    ],
    ids=lambda fault: fault.kind,
)
def test_slow_answer_ends_at_the_deadline(loopback: LoopbackExchange, monkeypatch: pytest.MonkeyPatch, fault: Fault):
    exchange = account()
    exchange.markets()
    loopback.faults.add(fault)
    monkeypatch.setattr(ccxt_transport, "CALL_SECONDS", 0.4)
    started = time.monotonic()

    with pytest.raises(Unavailable):
        exchange.create_order(order())

    assert time.monotonic() - started < 3
    until = time.monotonic() + 20
    while len(loopback.orders()) < 1 and time.monotonic() < until:
        time.sleep(0.02)
    assert len(loopback.orders()) == 1


def test_dripping_answer_leaves_no_thread_behind(loopback: LoopbackExchange, monkeypatch: pytest.MonkeyPatch):
    exchange = account()
    exchange.markets()
    loopback.faults.add(Fault(Kind.DRIP, "GET /api/v3/account", seconds=0.2))
    monkeypatch.setattr(ccxt_transport, "CALL_SECONDS", 0.3)

    with pytest.raises(Unavailable):
        exchange.fetch_balances()

    until = time.monotonic() + 20
    while any(thread.name == "exchange-request" for thread in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(thread.name == "exchange-request" for thread in threading.enumerate())


def test_late_execution_is_missing_first_and_there_later(loopback: LoopbackExchange):
    ours = order()
    loopback.faults.add(Fault(Kind.LATE, ORDER, seconds=8))

    with pytest.raises(Unavailable):
        account().create_order(ours)
    with pytest.raises(OrderNotFound):
        account().fetch_order(SYMBOL, ours.client_order_id)
    loopback.clock.advance(8)

    later = account(AT + timedelta(seconds=8))
    assert later.fetch_order(SYMBOL, ours.client_order_id).status is ReportStatus.CLOSED


def test_order_is_seen_by_lookups_only_after_a_while(loopback: LoopbackExchange):
    ours = order()
    loopback.faults.add(Fault(Kind.LAG, ORDER, seconds=3))
    report = account().create_order(ours)

    with pytest.raises(OrderNotFound):
        account().fetch_order(SYMBOL, ours.client_order_id)
    assert account().fetch_fills(SYMBOL, exchange_order_id=report.exchange_order_id) == []
    assert account().fetch_recent_orders(SYMBOL, AT - timedelta(minutes=1)) == []
    loopback.clock.advance(3)

    later = account(AT + timedelta(seconds=3))
    assert later.fetch_order(SYMBOL, ours.client_order_id).filled == ours.amount
    assert len(later.fetch_fills(SYMBOL, exchange_order_id=report.exchange_order_id)) == 1


def test_partly_filled_market_order_ends_with_its_fills(loopback: LoopbackExchange):
    loopback.faults.add(Fault(Kind.PARTIAL, ORDER, fraction="0.3"))

    report = account().create_order(order())

    assert (report.status, report.filled) == (ReportStatus.EXPIRED, Decimal("0.003"))
    assert loopback.balances()["USDT"] == (Decimal("9850"), 0)


def test_fill_after_canceled_appears_among_the_fills(loopback: LoopbackExchange):
    ours = order("0.1", type=OrderType.LIMIT, limit_price=Decimal(40_000))
    report = account().create_order(ours)
    loopback.faults.add(Fault(Kind.FILL_AFTER_CANCEL, "DELETE", seconds=4, fraction="0.5"))
    account().cancel_order(SYMBOL, ours.client_order_id)
    assert account().fetch_fills(SYMBOL, exchange_order_id=report.exchange_order_id) == []
    loopback.clock.advance(4)

    later = account(AT + timedelta(seconds=4))
    found = later.fetch_order(SYMBOL, ours.client_order_id)
    assert (found.status, found.filled) == (ReportStatus.CANCELED, Decimal("0.05"))
    assert [fill.amount for fill in later.fetch_fills(SYMBOL, exchange_order_id=report.exchange_order_id)] == [
        Decimal("0.05")
    ]


@pytest.mark.parametrize("kind", [Kind.EMPTY, Kind.MALFORMED, Kind.TRUNCATE, Kind.DROP_AFTER])
@pytest.mark.parametrize("ask", ["fetch_order", "fetch_open_orders", "fetch_recent_orders", "fetch_fills"])
def test_broken_answer_to_a_look_up_is_never_a_no(loopback: LoopbackExchange, kind: Kind, ask: str):
    ours = order(type=OrderType.LIMIT, limit_price=Decimal(40_000))
    account().create_order(ours)
    loopback.faults.add(Fault(kind, "GET /api/v3/"))
    calls = {
        "fetch_order": lambda: account().fetch_order(SYMBOL, ours.client_order_id),
        "fetch_open_orders": lambda: account().fetch_open_orders(SYMBOL),
        "fetch_recent_orders": lambda: account().fetch_recent_orders(SYMBOL, AT - timedelta(minutes=1)),
        "fetch_fills": lambda: account().fetch_fills(SYMBOL, since=AT),
    }

    with pytest.raises(Unavailable):
        calls[ask]()


def test_lost_cancel_reply_is_not_repeated(loopback: LoopbackExchange):
    ours = order(type=OrderType.LIMIT, limit_price=Decimal(40_000))
    account().create_order(ours)
    loopback.faults.add(Fault(Kind.DROP_AFTER, "DELETE"))

    with pytest.raises(Unavailable):
        account().cancel_order(SYMBOL, ours.client_order_id)

    assert len(loopback.requests("DELETE")) == 1
    assert loopback.orders()[0]["status"] == "CANCELED"


def test_no_request_leaves_during_a_ban(loopback: LoopbackExchange):
    loopback.faults.add(too_many("GET /api/v3/account", retry_after=30))
    with pytest.raises(RateLimited) as first:
        account().fetch_balances()
    sent = len(loopback.requests())

    with pytest.raises(RateLimited) as second:
        account().fetch_balances()
    with pytest.raises(RateLimited):
        account().create_order(order())
    with pytest.raises(RateLimited):
        CcxtExchange("binance", AT + timedelta(seconds=29)).fetch_quote(SYMBOL)

    assert len(loopback.requests()) == sent
    assert second.value.retry_at == first.value.retry_at
    assert timedelta(seconds=29) < first.value.retry_at - AT < timedelta(seconds=33)
    after = account(first.value.retry_at)
    loopback.clock.set(first.value.retry_at)
    assert after.fetch_balances()["USDT"].free == 10_000


def test_order_is_signed_with_the_instant_of_its_claim(loopback: LoopbackExchange):
    claimed = AT - timedelta(seconds=2)

    account().create_order(order(sent_at=claimed))

    params = loopback.requests("POST")[0]["params"]
    assert params["timestamp"] == str(int(claimed.timestamp() * 1000))
    assert int(params["recvWindow"]) <= 5000


def test_reads_are_signed_with_the_instant_of_the_unit_of_work(loopback: LoopbackExchange):
    account().fetch_balances()

    stamp = int(loopback.requests("GET", "/api/v3/account")[0]["params"]["timestamp"])
    assert 0 <= stamp - int(AT.timestamp() * 1000) < 2000


def test_order_goes_out_exactly_as_written(loopback: LoopbackExchange):
    ours = order("0.12345", type=OrderType.LIMIT, limit_price=Decimal("49999.99"), immediate=True)

    account().create_order(ours)

    sent = loopback.requests("POST")[0]["params"]
    assert (sent["quantity"], sent["price"], sent["timeInForce"]) == ("0.12345", "49999.99", "IOC")
    assert sent["newClientOrderId"] == ours.client_order_id


def test_stop_rests_is_found_by_our_id_and_sells_when_the_price_falls_through_it(loopback: LoopbackExchange):
    account().create_order(order("0.02"))
    stop = order(
        "0.01", side=Side.SELL, type=OrderType.STOP_LOSS, stop_price=Decimal(47_500), limit_price=Decimal(46_550)
    )

    assert account().create_order(stop).status is ReportStatus.OPEN
    assert loopback.requests("POST")[-1]["params"]["type"] == "STOP_LOSS_LIMIT"
    assert account().fetch_order(SYMBOL, stop.client_order_id).status is ReportStatus.OPEN
    assert [row.client_order_id for row in account().fetch_open_orders(SYMBOL)] == [stop.client_order_id]
    loopback.set_price("BTC/USDT", "47000")
    loopback.clock.advance(60)

    later = account(AT + timedelta(seconds=60))
    report = later.fetch_order(SYMBOL, stop.client_order_id)
    assert (report.status, report.average) == (ReportStatus.CLOSED, Decimal(47_000))


def test_stop_is_called_back_by_our_id(loopback: LoopbackExchange):
    account().create_order(order("0.02"))
    stop = order(
        "0.01", side=Side.SELL, type=OrderType.STOP_LOSS, stop_price=Decimal(47_500), limit_price=Decimal(46_550)
    )
    account().create_order(stop)

    account().cancel_order(SYMBOL, stop.client_order_id)

    assert account().fetch_order(SYMBOL, stop.client_order_id).status is ReportStatus.CANCELED


def test_market_order_never_carries_a_price(loopback: LoopbackExchange):
    account().create_order(order())

    assert not {"price", "quoteOrderQty"} & set(loopback.requests("POST")[0]["params"])


def test_markets_are_loaded_once_for_all_users(loopback: LoopbackExchange):
    loopback.open_account("another-key-of-bob", "another-secret-of-bob")

    account().fetch_balances()
    account(api_key="another-key-of-bob", api_secret="another-secret-of-bob").fetch_balances()
    CcxtExchange("binance", AT).fetch_quote(SYMBOL)

    paths = [row["path"] for row in loopback.requests()]
    assert paths.count("/api/v3/exchangeInfo") == 1
    assert len(paths) == 4


def test_wrong_secret_is_a_key_problem(loopback: LoopbackExchange):
    with pytest.raises(KeyInvalid):
        account(api_secret="not-the-secret-of-this-key").fetch_balances()


def test_key_without_trading_right_is_refused(loopback: LoopbackExchange):
    loopback.open_account(API_KEY, API_SECRET, enableSpotAndMarginTrading=False)

    with pytest.raises((KeyInvalid, PermissionMissing)):
        account().create_order(order())

    assert loopback.orders() == []


def fault_of(call: Callable[[], object]) -> ExchangeFault | None:
    try:
        call()
    except ExchangeFault as raised:
        return raised
    return None


def test_no_secret_in_any_fault_or_log_line(loopback: LoopbackExchange, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    faults = []
    for bad_luck in [*(fault for fault, _ in UNKNOWN), *(fault for fault, _ in REFUSED)]:
        loopback.faults.add(bad_luck, replace(bad_luck, on="GET /api/v3/account"))
        faults += [fault_of(lambda: account().create_order(order())), fault_of(lambda: account().fetch_balances())]
        loopback.faults.clear()
        cache.clear()

    raised = [fault for fault in faults if fault is not None]
    assert len(raised) > 70
    assert {(fault.__cause__, fault.__context__) for fault in raised} == {(None, None)}
    everything = "\n".join(f"{fault} {fault!r} {fault.detail}" for fault in raised) + caplog.text
    for canary in (API_KEY, API_SECRET, "signature", "http://", "127.0.0.1"):
        assert canary not in everything


def test_redirect_is_not_followed(loopback: LoopbackExchange):
    loopback.faults.add(Fault(Kind.ANSWER, LOOKUP, status=307, headers={"Location": "/api/v3/time"}))

    with pytest.raises(Unavailable):
        account().fetch_order(SYMBOL, uuid.uuid4().hex)

    assert loopback.requests("GET", "/api/v3/time") == []
