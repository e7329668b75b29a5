"""A stop on OKX through the whole protocol: a live run, the unmodified ccxt, and an exchange that loses answers."""

from collections.abc import Iterator
from decimal import Decimal as D

import pytest

from bots.core.codes import Code
from bots.core.order_state import OrderState as S
from bots.models import Decision, Fill, TradeLog
from bots.tests.abroad import abroad, look, price, settle, stops
from bots.tests.desk import Desk
from exchanges.tests.adapters.stop_venues import OkxVenue

PLACE, SELL = "/api/v5/trade/order-algo", "/api/v5/trade/order"


@pytest.fixture
def okx(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[OkxVenue]:
    with abroad(desk, monkeypatch, "okx", OkxVenue()) as server:
        yield server


def test_a_stop_whose_answer_was_lost_is_found_and_not_sent_again(desk: Desk, okx: OkxVenue) -> None:
    okx.lose = [PLACE]
    look(2)
    settle(5)
    look(10)
    [order] = stops()
    assert (order.state, order.exchange_order_id) == (S.OPEN, "algo:9000")
    assert okx.sent() == [PLACE]


def test_a_stop_that_sells_in_parts_is_booked_once_under_its_code(desk: Desk, okx: OkxVenue) -> None:
    look(2)
    [order] = stops()
    okx.trigger()
    okx.fill("0.01", "47400")
    settle(5)
    settle(8)
    order.refresh_from_db()
    assert (order.state, order.filled) == (S.PARTIAL, D("0.01"))
    okx.fill("0.00996", "47300")
    settle(11)
    order.refresh_from_db()
    assert (order.state, order.filled, order.exchange_order_id) == (S.FILLED, D("0.01996"), "algo:9000")
    assert Fill.objects.filter(order=order).count() == 2
    assert Decision.objects.get(order=TradeLog.objects.filter(side="sell").last().order).code == Code.STOP_LOSS
    assert desk.held() < D("0.00001")
    assert SELL not in okx.sent()


def test_a_stop_that_sold_while_it_was_called_back_is_not_sold_again(desk: Desk, okx: OkxVenue) -> None:
    look(2)
    okx.trigger()
    okx.fill("0.01996", "47400")
    price(desk, 52_000)
    look(9)
    [order] = stops()
    assert order.state == S.FILLED
    assert desk.held() < D("0.00001")
    assert SELL not in okx.sent()


def test_a_level_that_climbs_moves_the_stop_by_cancel_and_a_new_one(desk: Desk, okx: OkxVenue) -> None:
    look(2)
    price(desk, 52_000)
    look(9)
    first, second = stops()
    assert (first.state, second.state, second.stop_price) == (S.CANCELED, S.OPEN, D(49_400))
    assert [stop["state"] for stop in okx.stops] == ["canceled", "live"]


def test_a_stop_that_cannot_sell_is_called_back_and_the_rest_is_sold(desk: Desk, okx: OkxVenue) -> None:
    look(2)
    price(desk, 47_000)
    look(5)
    assert SELL not in okx.sent()
    look(10)
    [order] = stops()
    assert (order.state, okx.stops[0]["state"]) == (S.CANCELED, "canceled")
    assert okx.sent().count(SELL) == 1
    assert desk.held() < D("0.00001")


def test_a_stop_that_never_arrived_is_proved_absent_after_the_signature_is_worth_nothing(
    desk: Desk, okx: OkxVenue
) -> None:
    okx.drop = [PLACE]
    look(2)
    seen = []
    for at in (5, 8, 11, 16, 39, 42):
        settle(at)
        seen.append(stops()[0].state)
    assert seen == [S.UNKNOWN] * 5 + [S.NOT_PLACED]
    look(70)
    assert [order.state for order in stops()] == [S.NOT_PLACED, S.OPEN]
    assert okx.stops[0]["algoClOrdId"] == stops()[1].client_order_id


def test_an_exit_waits_while_a_stop_in_doubt_may_still_sell(desk: Desk, okx: OkxVenue) -> None:
    okx.drop = [PLACE]
    look(2)
    price(desk, 47_000)
    look(10)
    assert SELL not in okx.sent()
    for at in (12, 15, 18, 42):
        settle(at)
    look(45)
    assert okx.sent().count(SELL) == 1
    assert desk.held() < D("0.00001")


def test_a_stop_refused_for_its_price_is_rejected_and_watched(desk: Desk, okx: OkxVenue) -> None:
    refused = {
        "algoId": "",
        "algoClOrdId": "",
        "sCode": "51280",
        "sMsg": "SL trigger price cannot be higher than the last price.",
    }
    okx.post_order_algo = lambda sent: {"code": "1", "data": [refused], "msg": ""}  # type: ignore[method-assign]
    look(2)
    [order] = stops()
    assert (order.state, order.reject_code) == (S.REJECTED, "ORDER_REJECTED")
    price(desk, 47_000)
    look(10)
    assert desk.held() < D("0.00001")
