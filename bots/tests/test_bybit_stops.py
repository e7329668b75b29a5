"""A stop on Bybit through the whole protocol: a live run, the unmodified ccxt, and an exchange that loses answers."""

from collections.abc import Iterator
from decimal import Decimal as D

import pytest

from bots.core.codes import Code
from bots.core.order_state import OrderState as S
from bots.models import Decision, Fill, TradeLog
from bots.tests.abroad import abroad, look, price, settle, stops
from bots.tests.desk import Desk
from exchanges.tests.adapters.bybit_venue import BybitVenue

PLACE = "/v5/order/create"


@pytest.fixture
def bybit(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Iterator[BybitVenue]:
    with abroad(desk, monkeypatch, "bybit", BybitVenue()) as server:
        yield server


def sales(bybit: BybitVenue) -> list[str]:
    """Amounts of the orders that are no stops."""
    return [order["qty"] for order in bybit.orders if not order["stopOrderType"]]


def test_a_stop_whose_answer_was_lost_is_found_and_not_sent_again(desk: Desk, bybit: BybitVenue) -> None:
    bybit.lose = [PLACE]
    look(2)
    settle(5)
    look(10)
    [order] = stops()
    assert (order.state, order.exchange_order_id) == (S.OPEN, bybit.orders[0]["orderId"])
    assert bybit.sent() == [PLACE]


def test_a_stop_that_sells_in_parts_is_booked_once_under_its_code(desk: Desk, bybit: BybitVenue) -> None:
    look(2)
    bybit.trigger()
    bybit.fill("0.01", "47400")
    settle(5)
    settle(8)
    assert (stops()[0].state, stops()[0].filled) == (S.PARTIAL, D("0.01"))
    bybit.fill("0.00996", "47300")
    settle(11)
    [order] = stops()
    assert (order.state, order.filled, Fill.objects.filter(order=order).count()) == (S.FILLED, D("0.01996"), 2)
    assert Decision.objects.get(order=TradeLog.objects.filter(side="sell").last().order).code == Code.STOP_LOSS
    assert desk.held() < D("0.00001")
    assert sales(bybit) == []


def test_a_stop_that_sold_while_it_was_called_back_is_not_sold_again(desk: Desk, bybit: BybitVenue) -> None:
    look(2)
    bybit.trigger()
    bybit.fill("0.01996", "47400")
    price(desk, 52_000)
    look(9)
    assert [order.state for order in stops()] == [S.FILLED]
    assert sales(bybit) == []


def test_a_level_that_climbs_moves_the_stop_by_cancel_and_a_new_one(desk: Desk, bybit: BybitVenue) -> None:
    look(2)
    price(desk, 52_000)
    look(9)
    first, second = stops()
    assert (first.state, second.state, second.stop_price) == (S.CANCELED, S.OPEN, D(49_400))
    assert [order["orderStatus"] for order in bybit.orders] == ["Deactivated", "Untriggered"]


def test_a_stop_that_waits_for_the_price_to_rise_is_called_back_and_all_is_sold(desk: Desk, bybit: BybitVenue) -> None:
    look(2)
    price(desk, 47_000)
    look(5)
    assert sales(bybit) == []
    look(10)
    assert [order.state for order in stops()] == [S.CANCELED]
    assert sales(bybit) == ["0.01996"]
    assert desk.held() < D("0.00001")


@pytest.mark.parametrize("doubted", [False, True])
def test_a_stop_that_goes_on_under_another_number_is_followed(desk: Desk, bybit: BybitVenue, doubted: bool) -> None:
    look(2)
    if doubted:
        bybit.orders[-1]["orderStatus"] = "Triggered"
        settle(4)
    bybit.orders[-1]["orderId"] = "77"
    bybit.trigger()
    bybit.fill("0.01996", "47400")
    settle(5)
    [order] = stops()
    assert (order.state, order.exchange_order_id, order.filled) == (S.FILLED, "77", D("0.01996"))
    assert [event.to_state for event in order.events.all()][-3:] == [S.UNKNOWN, S.OPEN, S.FILLED]
    assert desk.held() < D("0.00001")


def test_a_stop_that_stays_between_waiting_and_working_is_in_doubt_and_told(desk: Desk, bybit: BybitVenue) -> None:
    look(2)
    bybit.orders[-1]["orderStatus"] = "Triggered"
    settle(5)
    assert stops()[0].state == S.UNKNOWN
    settle(310)
    assert stops()[0].account.incidents.filter(kind="unresolved").count() == 1
    bybit.trigger()
    bybit.fill("0.01996", "47400")
    settle(313)
    assert stops()[0].state == S.FILLED


def test_a_stop_that_never_arrived_is_proved_absent_as_soon_as_any_order(desk: Desk, bybit: BybitVenue) -> None:
    bybit.drop = [PLACE]
    look(2)
    seen = []
    for at in (5, 8, 11, 14, 17):
        settle(at)
        seen.append(stops()[0].state)
    assert seen == [S.UNKNOWN] * 4 + [S.NOT_PLACED]
