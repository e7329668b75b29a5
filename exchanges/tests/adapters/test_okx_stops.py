"""Stops on OKX over HTTP, through the unmodified ccxt: placed, found, triggered, split, called back, absent."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from exchanges import connect
from exchanges.adapters import okx_exchange
from exchanges.core.errors import InvalidRequest, OrderNotFound, Unavailable
from exchanges.core.orders import OrderReport, OrderRequest, OrderType, ReportStatus, Side
from exchanges.core.port import Exchange
from exchanges.tests.adapters.stop_venues import MS, QUICK, OkxVenue
from exchanges.tests.adapters.venue_server import in_place_of
from exchanges.vault import Credentials

AT = datetime(2024, 2, 1, 10, 0, 1, tzinfo=UTC)
SYMBOL = "BTC/USDT"
ID, OTHER = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"
PLACE, CANCEL = "/api/v5/trade/order-algo", "/api/v5/trade/cancel-algos"


@pytest.fixture
def okx() -> Iterator[OkxVenue]:
    server = OkxVenue()
    with in_place_of(["okx"], server, **QUICK):
        yield server


def account(at: datetime = AT) -> Exchange:
    return connect.open_unsaved("okx", Credentials("the-api-key", "c2VjcmV0c2VjcmV0", "words"), at)


def stop(ours: str = ID, amount: str = "0.01") -> OrderRequest:
    return OrderRequest(ours, SYMBOL, Side.SELL, OrderType.STOP_LOSS, D(amount), AT, stop_price=D("47500.1"))


def found(ours: str = ID, at: datetime = AT) -> OrderReport:
    return account(at).fetch_order(SYMBOL, ours)


def test_a_stop_is_sent_once_under_our_id_without_margin(okx: OkxVenue) -> None:
    report = account().create_order(stop())
    assert (report.exchange_order_id, report.status, report.amount) == ("algo:9000", ReportStatus.OPEN, D("0.01"))
    [(method, path, sent, headers)] = okx.asked
    wanted = {
        "algoClOrdId": ID, "instId": "BTC-USDT", "tdMode": "cash", "side": "sell", "ordType": "conditional",
        "sz": "0.01", "slTriggerPx": "47500.1", "slOrdPx": "-1", "slTriggerPxType": "last",
    }  # fmt: skip
    assert (method, path) == ("POST", PLACE)
    assert wanted.items() <= sent.items()
    assert {name.lower(): value for name, value in headers.items()}["ok-access-timestamp"] == "2024-02-01T10:00:01.000Z"


def test_a_stop_is_found_by_our_id_before_it_triggers(okx: OkxVenue) -> None:
    account().create_order(stop())
    report = found()
    assert (report.exchange_order_id, report.client_order_id, report.status) == ("algo:9000", ID, ReportStatus.OPEN)
    assert (report.filled, report.average, report.created_at) == (0, None, AT)
    assert [row.client_order_id for row in account().fetch_open_orders(SYMBOL)] == [ID]
    assert account().fetch_fills(SYMBOL, exchange_order_id="algo:9000") == []


def test_a_lost_answer_is_unknown_and_then_found(okx: OkxVenue) -> None:
    okx.lose = [PLACE]
    with pytest.raises(Unavailable):
        account().create_order(stop())
    assert okx.sent() == [PLACE]
    assert found().exchange_order_id == "algo:9000"
    assert [row.client_order_id for row in account().fetch_recent_orders(SYMBOL, AT)] == [ID]


def test_a_triggered_stop_fills_in_parts_under_the_id_it_had(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.trigger()
    assert (found().status, found().filled) == (ReportStatus.OPEN, 0)
    okx.fill("0.004", "47400")
    assert (found().status, found().filled, found().average) == (ReportStatus.OPEN, D("0.004"), 47400)
    okx.fill("0.006", "47300")
    report = found()
    assert (report.exchange_order_id, report.status, report.filled) == ("algo:9000", ReportStatus.CLOSED, D("0.01"))
    assert report.average == D("47340")
    fills = account().fetch_fills(SYMBOL, exchange_order_id="algo:9000")
    assert [(fill.exchange_order_id, fill.amount, fill.price) for fill in fills] == [
        ("algo:9000", D("0.004"), 47400),
        ("algo:9000", D("0.006"), 47300),
    ]


def test_a_split_stop_ends_when_all_its_parts_have(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.trigger("0.006", "0.004")
    okx.fill("0.006", "47400", part=0)
    assert (found().status, found().filled) == (ReportStatus.OPEN, D("0.006"))
    okx.orders[1]["state"] = "canceled"
    assert (found().status, found().filled) == (ReportStatus.CANCELED, D("0.006"))
    assert [f.amount for f in account().fetch_fills(SYMBOL, exchange_order_id="algo:9000")] == [D("0.006")]


@pytest.mark.parametrize("state", ["partially_effective", "partially_failed"])
def test_a_stop_between_two_states_is_in_no_list_and_known_all_the_same(okx: OkxVenue, state: str) -> None:
    account().create_order(stop())
    okx.trigger("0.006", state=state)
    okx.fill("0.006", "47400")
    ended = state == "partially_failed"
    assert (found().status, found().filled) == (ReportStatus.CANCELED if ended else ReportStatus.OPEN, D("0.006"))
    [listed] = account().fetch_recent_orders(SYMBOL, AT)
    assert (listed.exchange_order_id, listed.client_order_id, listed.filled) == ("algo:9000", ID, D("0.006"))


def test_a_stop_that_triggered_and_does_not_tell_what_it_became_is_open(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.stops[-1]["state"] = "effective"
    assert found().status is ReportStatus.OPEN


def test_a_stop_that_could_not_sell_ended_without_a_fill(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.stops[-1] |= {"state": "order_failed", "failCode": "51008"}
    assert (found().status, found().filled) == (ReportStatus.CANCELED, 0)
    assert account().fetch_open_orders(SYMBOL) == []


@pytest.mark.parametrize(("later", "status"), [(60, ReportStatus.OPEN), (7201, ReportStatus.CANCELED)])
def test_an_order_that_is_listed_no_more_ends_by_its_executions(
    okx: OkxVenue, later: int, status: ReportStatus
) -> None:
    account().create_order(stop())
    okx.trigger()
    okx.fill("0.004", "47400")
    okx.forgotten = {"7000"}
    report = found(at=AT + timedelta(seconds=later))
    assert (report.status, report.filled) == (status, D("0.004") if status.final else 0)


def test_an_order_of_another_stop_is_no_answer(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.trigger()
    okx.orders[0]["algoId"] = "1"
    with pytest.raises(Unavailable):
        found()


def test_a_stop_is_called_back_by_our_id(okx: OkxVenue) -> None:
    account().create_order(stop())
    account().cancel_order(SYMBOL, ID)
    assert okx.asked[-1][:3] == ("POST", CANCEL, [{"instId": "BTC-USDT", "algoClOrdId": ID}])
    assert found().status is ReportStatus.CANCELED
    assert account().fetch_open_orders(SYMBOL) == []


def test_a_cancel_that_crosses_the_trigger_finds_nothing_and_the_look_up_tells(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.trigger()
    okx.fill("0.01", "47400")
    with pytest.raises(OrderNotFound):
        account().cancel_order(SYMBOL, ID)
    assert (found().status, found().filled) == (ReportStatus.CLOSED, D("0.01"))


def test_a_cancel_whose_answer_is_lost_is_in_doubt(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.lose = [CANCEL]
    with pytest.raises(Unavailable):
        account().cancel_order(SYMBOL, ID)
    assert found().status is ReportStatus.CANCELED


def test_a_cancel_that_only_the_stops_deny_is_no_not_found(okx: OkxVenue) -> None:
    okx.lose = ["/api/v5/trade/cancel-order"]
    with pytest.raises(Unavailable):
        account().cancel_order(SYMBOL, ID)


@pytest.mark.parametrize(
    "answer", [{"code": "51603", "data": [], "msg": "Order does not exist"}, {"code": "0", "data": [], "msg": ""}]
)
def test_absence_is_told_by_the_look_ups_and_by_the_lists(okx: OkxVenue, answer: dict[str, Any]) -> None:
    okx.no_stop = answer
    with pytest.raises(OrderNotFound):
        found()
    assert account().fetch_recent_orders(SYMBOL, AT) == []
    asked = [path.rpartition("/")[2] for path in okx.sent("GET")]
    assert asked == ["order", "order-algo", "orders-pending", *["orders-history"] * 2, "orders-algo-pending"]


@pytest.mark.parametrize(
    "answer",
    [
        {"code": "51000", "data": [], "msg": "Parameter algoClOrdId error"},
        {"code": "59999", "data": [], "msg": "A code that no document names."},
        {"code": "0", "data": [{"instId": "BTC-USDT"}], "msg": ""},
        {"code": "0", "data": [{"instId": "BTC-USDT", "algoId": "1", "algoClOrdId": OTHER}], "msg": ""},
    ],
)
def test_absence_is_told_by_all_lists_where_the_look_up_is_unclear(okx: OkxVenue, answer: dict[str, Any]) -> None:
    okx.no_stop = answer
    account().create_order(stop(OTHER))
    with pytest.raises(OrderNotFound):
        found()
    asked = [path.rpartition("/")[2] for path in okx.sent("GET")]
    assert asked == ["order", "order-algo", "orders-algo-pending", *["orders-algo-history"] * 3]
    assert [row.client_order_id for row in account().fetch_recent_orders(SYMBOL, AT)] == [OTHER]


@pytest.mark.parametrize("states", [1, 2, 3, 4])
def test_a_list_that_does_not_answer_is_no_miss(okx: OkxVenue, states: int) -> None:
    okx.no_stop = {"code": "59999", "data": [], "msg": "A code that no document names."}
    lists = ["orders-algo-pending", *["orders-algo-history"] * 3]
    answer, seen = okx.answer, 0

    def broken(method: str, path: str, params: Any) -> Any:
        nonlocal seen
        seen += path.rpartition("/")[2] in lists
        return (
            {"code": "50001", "data": [], "msg": "Service temporarily unavailable."}
            if seen == states
            else answer(method, path, params)
        )

    okx.answer = broken  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        found()


@pytest.mark.parametrize("state", ["live", "effective", "canceled", "order_failed"])
def test_a_stop_is_found_in_the_lists_where_the_look_up_says_no(okx: OkxVenue, state: str) -> None:
    account().create_order(stop())
    okx.stops[-1]["state"] = state
    answer, unclear = okx.get_order_algo, {"code": "51000", "data": [], "msg": "Parameter algoClOrdId error"}
    okx.get_order_algo = lambda asked: unclear if "algoClOrdId" in asked else answer(asked)  # type: ignore[method-assign]
    assert found().exchange_order_id == "algo:9000"


def test_executions_of_the_account_belong_to_the_stop(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.trigger()
    okx.fill("0.01", "47400")
    by_hand = okx.orders[0] | {"ordId": "8000", "algoId": "", "algoClOrdId": "", "clOrdId": "byhand"}
    okx.orders.append(by_hand)
    okx.fills.append(okx.fills[0] | {"tradeId": "502", "ordId": "8000"})
    fills = account().fetch_fills(SYMBOL, since=AT)
    assert [(fill.trade_id, fill.exchange_order_id) for fill in fills] == [("501", "algo:9000"), ("502", "8000")]
    recent = account().fetch_recent_orders(SYMBOL, AT)
    assert {(row.exchange_order_id, row.client_order_id) for row in recent} == {("algo:9000", ID), ("8000", "byhand")}


def test_an_order_of_somebodys_own_stop_is_named_as_its_executions_are(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.stops[-1]["algoClOrdId"] = ""
    okx.trigger()
    okx.fill("0.01", "47400")
    [fill] = account().fetch_fills(SYMBOL, since=AT)
    names = {row.exchange_order_id for row in account().fetch_recent_orders(SYMBOL, AT)}
    assert fill.exchange_order_id == "7000"
    assert "7000" in names


def test_recent_stops_are_read_as_far_back_as_asked(okx: OkxVenue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(okx_exchange, "PAGE", 2)
    for number in range(5):
        okx.now = MS + 1000 * number
        account().create_order(stop(f"{number:032x}"))
    assert len(account().fetch_recent_orders(SYMBOL, AT)) == 5
    assert len(account().fetch_recent_orders(SYMBOL, AT + timedelta(seconds=3))) == 2
    monkeypatch.setattr(okx_exchange, "MAX_PAGES", 1)
    with pytest.raises(Unavailable):
        account().fetch_recent_orders(SYMBOL, AT)


def test_an_order_that_a_stop_became_is_found_as_the_stop_even_under_our_id(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.trigger()
    okx.orders[0]["clOrdId"] = ID
    assert found().exchange_order_id == "algo:9000"


@pytest.mark.parametrize("changes", [{"algoId": ""}, {"algoClOrdId": OTHER}])
def test_an_answer_that_names_no_stop_of_ours_is_no_answer(okx: OkxVenue, changes: dict[str, str]) -> None:
    answer = okx.post_order_algo

    def other(sent: dict[str, Any]) -> dict[str, Any]:
        told = answer(sent)
        told["data"][0] |= changes
        return told

    okx.post_order_algo = other  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        account().create_order(stop())


def test_a_stop_without_its_time_is_no_answer(okx: OkxVenue) -> None:
    account().create_order(stop())
    okx.stops[-1]["cTime"] = ""
    with pytest.raises(Unavailable):
        account().fetch_recent_orders(SYMBOL, AT)


def test_an_order_that_is_no_stop_is_sent_and_read_as_ever(okx: OkxVenue) -> None:
    with pytest.raises(InvalidRequest):
        account().create_order(OrderRequest(ID, SYMBOL, Side.SELL, OrderType.LIMIT, D("0.01"), AT))
    okx.orders.append(
        {"ordId": "5", "clOrdId": ID, "algoId": "", "algoClOrdId": "", "instId": "BTC-USDT", "instType": "SPOT",
         "side": "sell", "sz": "0.01", "accFillSz": "0", "avgPx": "", "state": "live", "ordType": "limit",
         "cTime": str(MS)}
    )  # fmt: skip
    assert (found().exchange_order_id, found().status) == ("5", ReportStatus.OPEN)
    assert [row.exchange_order_id for row in account().fetch_open_orders(SYMBOL)] == ["5"]
    assert account().fetch_fills(SYMBOL, exchange_order_id="5") == []
