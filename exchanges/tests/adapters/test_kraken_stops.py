"""Stops on Kraken over HTTP, through the unmodified ccxt: one list, one id before and after it triggers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest

from exchanges import connect
from exchanges.core.errors import OrderNotFound, Unavailable
from exchanges.core.orders import OrderReport, OrderRequest, OrderType, ReportStatus, Side
from exchanges.core.port import Exchange
from exchanges.tests.adapters.kraken_venue import KrakenVenue
from exchanges.tests.adapters.stop_venues import QUICK
from exchanges.tests.adapters.venue_server import in_place_of
from exchanges.vault import Credentials

AT = datetime(2024, 2, 1, 10, 0, 1, tzinfo=UTC)
SYMBOL = "BTC/USDT"
ID, DASHED = "0123456789abcdef0123456789abcdef", "01234567-89ab-cdef-0123-456789abcdef"
NUMBER = "OQCLML-BW3P3-BUCM00"


@pytest.fixture
def kraken() -> Iterator[KrakenVenue]:
    server = KrakenVenue()
    with in_place_of(["kraken"], server, **QUICK):
        yield server


def account() -> Exchange:
    return connect.open_unsaved("kraken", Credentials("the-api-key", "c2VjcmV0c2VjcmV0", ""), AT)


def stop() -> OrderRequest:
    return OrderRequest(ID, SYMBOL, Side.SELL, OrderType.STOP_LOSS, D("0.01"), AT, stop_price=D("47500.1"))


def found() -> OrderReport:
    return account().fetch_order(SYMBOL, ID)


def test_a_stop_is_sent_once_and_expires(kraken: KrakenVenue) -> None:
    report = account().create_order(stop())
    assert (report.exchange_order_id, report.status) == (NUMBER, ReportStatus.OPEN)
    [(_, path, sent, _)] = kraken.asked
    wanted = {"ordertype": "stop-loss", "price": "47500.1", "cl_ord_id": DASHED, "deadline": "2024-02-01T10:00:06Z"}
    assert path == "/0/private/AddOrder"
    assert wanted.items() <= sent.items()
    assert not {"price2", "trigger"} & set(sent)


def test_a_stop_that_waits_is_open_and_its_level_is_no_price_of_a_fill(kraken: KrakenVenue) -> None:
    account().create_order(stop())
    report = found()
    assert (report.exchange_order_id, report.client_order_id) == (NUMBER, ID)
    assert (report.status, report.filled, report.amount) == (ReportStatus.OPEN, 0, D("0.01"))
    assert account().fetch_fills(SYMBOL, exchange_order_id=NUMBER) == []
    assert [row.client_order_id for row in account().fetch_open_orders(SYMBOL)] == [ID]


def test_a_lost_answer_is_unknown_and_then_found(kraken: KrakenVenue) -> None:
    kraken.lose = ["/0/private/AddOrder"]
    with pytest.raises(Unavailable):
        account().create_order(stop())
    assert kraken.sent() == ["/0/private/AddOrder"]
    assert found().exchange_order_id == NUMBER


def test_a_triggered_stop_fills_in_parts_under_the_id_it_had(kraken: KrakenVenue) -> None:
    account().create_order(stop())
    kraken.trigger()
    assert (found().status, found().filled) == (ReportStatus.OPEN, 0)
    kraken.fill("0.00400000", "47400.0")
    report = found()
    assert (report.status, report.filled, report.average) == (ReportStatus.OPEN, D("0.004"), 47400)
    kraken.fill("0.00600000", "47300.0")
    report = found()
    assert (report.exchange_order_id, report.client_order_id, report.status) == (NUMBER, ID, ReportStatus.CLOSED)
    assert (report.filled, report.average) == (D("0.01"), 47340)
    fills = account().fetch_fills(SYMBOL, exchange_order_id=NUMBER)
    assert [(fill.exchange_order_id, fill.side, fill.amount, fill.price, fill.fee_asset) for fill in fills] == [
        (NUMBER, Side.SELL, D("0.004"), 47400, "USDT"),
        (NUMBER, Side.SELL, D("0.006"), 47300, "USDT"),
    ]
    assert [fill.exchange_order_id for fill in account().fetch_fills(SYMBOL, since=AT)] == [NUMBER, NUMBER]
    [recent] = account().fetch_recent_orders(SYMBOL, AT)
    assert (recent.client_order_id, recent.filled) == (ID, D("0.01"))


@pytest.mark.parametrize("executions", [19, 20, 38, 40])
def test_a_stop_that_sold_in_many_pieces_has_them_all(kraken: KrakenVenue, executions: int) -> None:
    account().create_order(stop())
    kraken.trigger()
    for _ in range(executions):
        kraken.fill("0.0001", "47400.0")
    fills = account().fetch_fills(SYMBOL, exchange_order_id=NUMBER)
    assert (len(fills), sum(fill.amount for fill in fills)) == (executions, executions * D("0.0001"))


def test_a_triggered_stop_that_was_canceled_keeps_its_fills(kraken: KrakenVenue) -> None:
    account().create_order(stop())
    kraken.trigger()
    kraken.fill("0.00400000", "47400.0")
    account().cancel_order(SYMBOL, ID)
    assert (found().status, found().filled) == (ReportStatus.CANCELED, D("0.004"))
    assert [fill.amount for fill in account().fetch_fills(SYMBOL, exchange_order_id=NUMBER)] == [D("0.004")]


def test_a_cancel_that_crosses_the_trigger_finds_nothing_and_the_look_up_tells(kraken: KrakenVenue) -> None:
    account().create_order(stop())
    kraken.trigger()
    kraken.fill("0.01", "47400.0")
    with pytest.raises(OrderNotFound):
        account().cancel_order(SYMBOL, ID)
    assert (found().status, found().filled) == (ReportStatus.CLOSED, D("0.01"))


def test_absence_is_told_by_both_lists(kraken: KrakenVenue) -> None:
    with pytest.raises(OrderNotFound):
        found()
    assert kraken.sent() == ["/0/private/OpenOrders", "/0/private/ClosedOrders"]
    assert account().fetch_recent_orders(SYMBOL, AT) == []
