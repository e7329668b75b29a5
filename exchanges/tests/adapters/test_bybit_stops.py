"""Stops on Bybit over HTTP, through the unmodified ccxt: one id before and after the trigger, called back as stops."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest

from exchanges import connect
from exchanges.core.errors import OrderNotFound, Unavailable
from exchanges.core.orders import OrderReport, OrderRequest, OrderType, ReportStatus, Side
from exchanges.core.port import Exchange
from exchanges.tests.adapters.bybit_venue import BybitVenue
from exchanges.tests.adapters.stop_venues import QUICK
from exchanges.tests.adapters.venue_server import in_place_of
from exchanges.vault import Credentials

AT = datetime(2024, 2, 1, 10, 0, 1, tzinfo=UTC)
SYMBOL = "BTC/USDT"
ID, NUMBER = "0123456789abcdef0123456789abcdef", "1523347543495541248"
PLACE, CANCEL = "/v5/order/create", "/v5/order/cancel"


@pytest.fixture
def bybit() -> Iterator[BybitVenue]:
    server = BybitVenue()
    with in_place_of(["bybit"], server, **QUICK):
        yield server


def account() -> Exchange:
    return connect.open_unsaved("bybit", Credentials("the-api-key", "c2VjcmV0c2VjcmV0", ""), AT)


def stop() -> OrderRequest:
    return OrderRequest(ID, SYMBOL, Side.SELL, OrderType.STOP_LOSS, D("0.01"), AT, stop_price=D("47500.1"))


def found() -> OrderReport:
    return account().fetch_order(SYMBOL, ID)


def test_a_stop_is_sent_once_as_spot_knows_it_and_expires(bybit: BybitVenue) -> None:
    report = account().create_order(stop())
    assert (report.exchange_order_id, report.status) == (NUMBER, ReportStatus.OPEN)
    [(_, path, sent, headers)] = bybit.asked
    wanted = {"orderLinkId": ID, "category": "spot", "side": "Sell", "orderType": "Market", "orderFilter": "StopOrder"}
    wanted |= {"triggerPrice": "47500.1", "qty": "0.01", "marketUnit": "baseCoin", "symbol": "BTCUSDT"}
    assert path == PLACE
    assert wanted.items() <= sent.items()
    assert not {"triggerDirection", "reduceOnly", "stopLoss", "price", "isLeverage"} & set(sent)
    assert {name.lower(): value for name, value in headers.items()}["x-bapi-recv-window"] == "5000"


def test_a_stop_that_waits_is_open_and_listed(bybit: BybitVenue) -> None:
    account().create_order(stop())
    report = found()
    assert (report.exchange_order_id, report.client_order_id, report.created_at) == (NUMBER, ID, AT)
    assert (report.status, report.filled, report.amount) == (ReportStatus.OPEN, D(0), D("0.01"))
    assert [row.client_order_id for row in account().fetch_open_orders(SYMBOL)] == [ID]
    assert account().fetch_fills(SYMBOL, exchange_order_id=NUMBER) == []


def test_a_lost_answer_is_unknown_and_then_found(bybit: BybitVenue) -> None:
    bybit.lose = [PLACE]
    with pytest.raises(Unavailable):
        account().create_order(stop())
    assert bybit.sent() == [PLACE]
    assert found().exchange_order_id == NUMBER


def test_a_triggered_stop_fills_in_parts_under_the_ids_it_had(bybit: BybitVenue) -> None:
    account().create_order(stop())
    bybit.trigger()
    assert (found().status, found().filled) == (ReportStatus.OPEN, D(0))
    bybit.fill("0.004", "47400")
    assert (found().status, found().filled, found().average) == (ReportStatus.OPEN, D("0.004"), D(47_400))
    bybit.fill("0.006", "47300")
    report = found()
    assert (report.exchange_order_id, report.client_order_id, report.status) == (NUMBER, ID, ReportStatus.CLOSED)
    assert (report.filled, report.average) == (D("0.01"), D(47_340))
    fills = account().fetch_fills(SYMBOL, exchange_order_id=NUMBER)
    assert [(fill.exchange_order_id, fill.amount, fill.price, fill.fee_asset) for fill in fills] == [
        (NUMBER, D("0.004"), D(47_400), "USDT"),
        (NUMBER, D("0.006"), D(47_300), "USDT"),
    ]
    [recent] = account().fetch_recent_orders(SYMBOL, AT)
    assert (recent.client_order_id, recent.filled) == (ID, D("0.01"))


def test_a_stop_in_the_moment_of_its_trigger_is_neither_open_nor_ended(bybit: BybitVenue) -> None:
    account().create_order(stop())
    bybit.orders[-1]["orderStatus"] = "Triggered"
    with pytest.raises(OrderNotFound):
        found()
    assert account().fetch_recent_orders(SYMBOL, AT) == []


@pytest.mark.parametrize(
    ("word", "filled", "status"),
    [
        ("Rejected", "", ReportStatus.REJECTED),
        ("Cancelled", "", ReportStatus.CANCELED),
        ("PartiallyFilledCanceled", "0.004", ReportStatus.CLOSED),
    ],
)
def test_a_stop_that_could_not_sell_all_ended_with_what_it_sold(
    bybit: BybitVenue, word: str, filled: str, status: ReportStatus
) -> None:
    account().create_order(stop())
    bybit.trigger()
    if filled:
        bybit.fill(filled, "47400")
    bybit.orders[-1]["orderStatus"] = word
    assert (found().status, found().filled) == (status, D(filled or 0))


def test_a_stop_is_called_back_by_our_id(bybit: BybitVenue) -> None:
    account().create_order(stop())
    account().cancel_order(SYMBOL, ID)
    filters = [sent["orderFilter"] for _, path, sent, _ in bybit.asked if path == CANCEL]
    assert filters == ["Order", "StopOrder"]
    assert found().status is ReportStatus.CANCELED
    assert account().fetch_open_orders(SYMBOL) == []


def test_a_cancel_that_crosses_the_trigger_finds_nothing_and_the_look_up_tells(bybit: BybitVenue) -> None:
    account().create_order(stop())
    bybit.trigger()
    bybit.fill("0.01", "47400")
    with pytest.raises(OrderNotFound):
        account().cancel_order(SYMBOL, ID)
    assert (found().status, found().filled) == (ReportStatus.CLOSED, D("0.01"))


def test_absence_is_told_by_both_lists(bybit: BybitVenue) -> None:
    with pytest.raises(OrderNotFound):
        found()
    assert bybit.sent("GET") == ["/v5/order/realtime", "/v5/order/history"]
    assert account().fetch_recent_orders(SYMBOL, AT) == []
