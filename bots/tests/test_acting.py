"""A turn at a run: facts first, one decision, at most one order, and a fault never hides what was sent."""

from decimal import Decimal as D
from functools import partial

import pytest

from bots import acting, leases, orders
from bots.core.order_state import OrderState
from bots.models import BotRun, Decision, Order
from bots.orders import Cause, LeaseLost
from bots.tests.desk import Desk, after, buy, sell
from exchanges.core.errors import ExchangeFault, RateLimited, Unavailable
from exchanges.testing import FakeExchange

S = OrderState


def act(desk: Desk, at: float = 0, key: str = "candle:1", choose: orders.Choose = buy) -> acting.Acted:
    run = BotRun.objects.select_related("account", "account__key").get(pk=desk.run.pk)
    return acting.act(run, Cause(key, "test"), choose, after(at))


def test_a_turn_ends_with_the_order_settled_and_the_lease_free(desk: Desk) -> None:
    order = act(desk).order
    assert order is not None
    order.refresh_from_db()
    assert (order.state, desk.held() > 0) == (S.FILLED, True)
    assert BotRun.objects.get().lease_until is None


def test_a_run_that_another_worker_holds_is_left_alone(desk: Desk) -> None:
    leases.take(BotRun.objects.get(), "another", after(0))
    assert act(desk, 1) == acting.Acted(None)
    assert not Decision.objects.exists()


def test_a_lease_lost_on_the_way_ends_the_turn_quietly(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_: object) -> None:
        raise LeaseLost("another epoch")

    monkeypatch.setattr(orders, "decide_and_place", lost)
    assert act(desk) == acting.Acted(None)


def test_a_fault_after_the_send_does_not_hide_the_order(desk: Desk) -> None:
    desk.books.fail("fetch_order", Unavailable("slow"))
    acted = act(desk)
    assert acted.order is not None
    assert Order.objects.get().state == S.OPEN


@pytest.mark.parametrize("method", ["fetch_quote", "fetch_balances", "fetch_time"])
def test_an_entry_waits_until_the_exchange_answers(desk: Desk, method: str) -> None:
    desk.books.fail(method, Unavailable())
    with pytest.raises(ExchangeFault):
        act(desk)
    assert not Decision.objects.exists()
    assert act(desk, 2).order is not None


@pytest.mark.parametrize("method", ["fetch_balances", "fetch_time"])
def test_an_exit_needs_neither_balance_nor_time(desk: Desk, method: str) -> None:
    act(desk)
    desk.books.fail(method, RateLimited())
    acted = act(desk, 60, "candle:2", sell)
    assert acted.order is not None
    assert desk.held() < D("0.0001")


def test_an_exit_does_not_wait_for_an_answer_about_an_entry(desk: Desk) -> None:
    act(desk)
    Order.objects.update(state=S.PARTIAL)
    desk.books.fail("fetch_order", Unavailable())
    acted = act(desk, 60, "candle:2", sell)
    assert acted.order is not None


def test_nothing_is_sold_twice_while_an_exit_is_in_doubt(desk: Desk) -> None:
    act(desk)
    desk.books.lose_reply()
    desk.books.fail("fetch_order", Unavailable())
    act(desk, 60, "candle:2", sell)
    desk.books.fail("fetch_order", Unavailable())
    acted = act(desk, 61, "risk:stop", partial(sell, purpose=orders.Purpose.STOP))
    assert (acted.order, Decision.objects.get(decision_key="risk:stop").code) == (None, "UNRESOLVED_ORDER")


def test_a_dead_workers_plan_is_sent_once_while_it_is_fresh(desk: Desk) -> None:
    planned = desk.planned()
    act(desk, 5, "candle:1")
    act(desk, 6, "candle:1")
    planned.refresh_from_db()
    assert (planned.state, len(desk.books.sent), desk.books.sent[0].sent_at) == (S.FILLED, 1, after(5))


def test_a_dead_workers_old_plan_ends_unsent(desk: Desk) -> None:
    planned = desk.planned()
    act(desk, 31, "candle:1")
    planned.refresh_from_db()
    assert (planned.state, desk.books.sent) == (S.EXPIRED_UNSENT, [])


def test_the_request_is_signed_with_the_time_that_has_come_since(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter([0.0, *[3.4] * 50])
    monkeypatch.setattr(acting, "monotonic", lambda: next(times))
    monkeypatch.setattr(FakeExchange, "fetch_time", lambda self: after(3.3))
    act(desk)
    assert desk.books.sent[0].sent_at == after(3)


def test_every_candle_three_times_changes_nothing(desk: Desk) -> None:
    for at in (0, 1, 2):
        act(desk, at)
    assert (Order.objects.count(), Decision.objects.count(), len(desk.books.sent)) == (1, 1, 1)
