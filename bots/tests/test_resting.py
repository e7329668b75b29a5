"""Orders that rest are looked at in one list, which spares questions and is never evidence of an end."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from bots import acting, lifecycle, settling
from bots.core.codes import Code
from bots.core.decision import Decided, judged
from bots.core.intent import OrderIntent, Purpose
from bots.core.order_state import OrderState
from bots.core.risk import Situation
from bots.models import BotRun, Incident, Order
from bots.orders import Cause
from bots.reconcile import resting
from bots.tests.desk import Desk, after
from exchanges.core.errors import RateLimited, Unavailable
from exchanges.core.orders import OrderType, ReportStatus, Side
from exchanges.testing import FakeExchange

S = OrderState


def lines(desk: Desk, *prices: str) -> list[Order]:
    """A buy of a grid at each price waits at the exchange."""
    found = []
    for number, price in enumerate(prices):

        def choose(now: Situation, number: int = number, price: str = price) -> Decided:
            intent = OrderIntent(
                Purpose.ENTRY, Side.BUY, OrderType.LIMIT, D("0.002"), now.price, limit_price=D(price),
                leg=f"grid:{number}", rests=True,
            )  # fmt: skip
            return judged(intent, now, Code.SIGNAL_BUY, "Wait.")

        run = BotRun.objects.select_related("account", "account__key").get(pk=desk.run.pk)
        order = acting.act(run, Cause(f"candle:{number}", "test"), choose, after(number)).order
        assert order is not None
        order.refresh_from_db()
        assert order.state == S.OPEN
        found.append(order)
    return found


@pytest.fixture
def asked(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The client ids of the orders that were asked about one by one."""
    ids, fetch = list[str](), FakeExchange.fetch_order

    def fetch_order(self: FakeExchange, symbol: str, client_order_id: str) -> object:
        ids.append(client_order_id)
        return fetch(self, symbol, client_order_id)

    monkeypatch.setattr(FakeExchange, "fetch_order", fetch_order)
    return ids


def test_lines_that_rest_undisturbed_are_not_asked_about_one_by_one(desk: Desk, asked: list[str]) -> None:
    one, other = lines(desk, "45000", "46000")
    asked.clear()
    report = settling.settle_all(after(30), "test")
    assert (report.looked_at, asked) == (2, [])
    assert {order.next_settle_at for order in Order.objects.all()} == {after(33)}
    desk.exchange(31).fill(other.client_order_id, D(46_000))
    report = settling.settle_all(after(34), "test")
    assert (report.looked_at, report.fills > 0, asked) == (2, True, [other.client_order_id])
    assert [Order.objects.get(pk=row.pk).state for row in (one, other)] == [S.OPEN, S.FILLED]


def test_a_single_order_is_asked_about_as_ever(desk: Desk, asked: list[str]) -> None:
    (one,) = lines(desk, "45000")
    asked.clear()
    settling.settle_all(after(30), "test")
    assert asked == [one.client_order_id]


def test_what_is_missing_in_the_list_has_not_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    lines(desk, "45000", "46000")
    monkeypatch.setattr(FakeExchange, "fetch_open_orders", lambda self, symbol: [])
    settling.settle_all(after(30), "test")
    assert {order.state for order in Order.objects.all()} == {S.OPEN}


def test_a_list_that_cannot_be_had_is_replaced_by_questions(desk: Desk, asked: list[str]) -> None:
    rows = lines(desk, "45000", "46000")
    asked.clear()
    desk.books.fail("fetch_open_orders", Unavailable())
    report = settling.settle_all(after(30), "test")
    assert (sorted(asked), report.faults) == (sorted(row.client_order_id for row in rows), [])


def test_an_exchange_that_wants_no_requests_is_left_alone(desk: Desk, asked: list[str]) -> None:
    lines(desk, "45000", "46000")
    asked.clear()
    desk.books.fail("fetch_open_orders", RateLimited("no more", retry_at=after(90)))
    report = settling.settle_all(after(30), "test")
    assert (asked, len(report.faults)) == ([], 1)
    assert settling.settle_all(after(89), "test").accounts == 0


@pytest.mark.parametrize("holding", [True, False])
def test_an_exit_does_not_wait_for_the_list(desk: Desk, holding: bool) -> None:
    lines(desk, "45000", "46000")
    run = BotRun.objects.select_related("account", "account__key").get()
    desk.books.fail("fetch_open_orders", RateLimited("no more"))
    with acting.turn_at(run, after(20)) as turn:
        assert turn is not None
        if holding:
            acting.settle_open_orders(turn, holding=True)
        else:
            with pytest.raises(RateLimited):
                acting.settle_open_orders(turn, holding=False)


def test_only_what_is_listed_as_we_booked_it_counts_as_undisturbed(desk: Desk) -> None:
    (order,) = lines(desk, "45000")
    report = desk.books.orders[order.client_order_id]
    assert resting.as_booked(order, report)
    for change in ({"filled": D("0.001")}, {"status": ReportStatus.CANCELED}, {"exchange_order_id": "x"}):
        assert not resting.as_booked(order, replace(report, **change))
    assert not resting.as_booked(order, replace(report, client_order_id="another"))


def test_a_balance_is_compared_while_lines_rest(desk: Desk) -> None:
    lines(desk, "45000", "46000")
    desk.books.deposit("BTC", D(1))
    settling.reconcile_all(after(30), "test")
    desk.books.deposit("BTC", D("0.5"))
    for second in (60, 90):
        settling.reconcile_all(after(second), "test")
    assert [case.kind for case in Incident.objects.all()] == ["balance_mismatch"]


def test_a_balance_is_not_compared_while_a_line_has_moved(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    _, other = lines(desk, "45000", "46000")
    settling.reconcile_all(after(30), "test")
    desk.exchange(31).fill(other.client_order_id, D(46_000))
    monkeypatch.setattr(settling.reconcile.account, "_sweep", lambda *_: None)
    for second in (60, 90, 120):
        settling.reconcile_all(after(second), "test")
    assert not Incident.objects.exists()


def test_a_run_does_not_end_on_an_old_view_of_what_it_holds(desk: Desk) -> None:
    run = BotRun.objects.get()
    BotRun.objects.update(held=D("0.5"), status="stopping", close_requested=True)
    assert not lifecycle.finish_stop(run, after(10))
    run.refresh_from_db()
    assert lifecycle.finish_stop(run, after(11))
