"""Nothing is ordered on an account that nobody has compared for a while before its market's lists were read."""

from decimal import Decimal as D

import pytest

from bots import acting, exits, orders, reconcile
from bots.acting import Acted
from bots.models import BotRun, Incident, Order, TradingAccount
from bots.orders import Cause, Choose
from bots.reconcile import overdue
from bots.tests.desk import Desk, after, buy, sell
from exchanges.core.errors import ExchangeFault, RateLimited, Unavailable
from exchanges.core.orders import OrderRequest, OrderType, Side

#: Seconds: the last complete pass was at the beginning.
SOON, LATE = 80, 100


@pytest.fixture(autouse=True)
def compared(desk: Desk) -> None:
    TradingAccount.objects.update(reconciled_at=after(0))


def act(choose: Choose, at: float, *, full_exit: bool = False) -> Acted:
    run = BotRun.objects.select_related("account__key", "account__wallet").get()
    return acting.act(run, Cause(f"test:{at}", "test"), choose, after(at), full_exit=full_exit)


def holding(desk: Desk) -> None:
    assert desk.sent(buy, 1).state == "OPEN"
    assert act(lambda now: None, 2).placed is not None
    assert desk.held() > 0


def forgotten(desk: Desk, side: Side, amount: str) -> None:
    """An order of ours that a restored backup does not know."""
    order = OrderRequest(orders.new_client_order_id(), "BTC/USDT", side, OrderType.MARKET, D(amount), after(50))
    desk.exchange(50).create_order(order)
    desk.books.sent.clear()


def fail(desk: Desk, fault: ExchangeFault, times: int) -> None:
    for _ in range(times):
        desk.books.fail("fetch_recent_orders", fault)


def test_no_exit_sells_what_a_forgotten_order_has_sold(desk: Desk) -> None:
    holding(desk)
    forgotten(desk, Side.SELL, "0.01")
    acted = act(sell, LATE, full_exit=True)
    assert acted.placed is not None
    assert acted.placed.decision is not None
    assert acted.placed.decision.code == "POSITION_MISMATCH"
    assert desk.books.sent == []
    assert Incident.objects.get().kind == "orphan"


def test_no_entry_is_made_beside_a_forgotten_one(desk: Desk) -> None:
    forgotten(desk, Side.BUY, "0.01")
    assert act(buy, LATE).order is None
    assert desk.books.sent == []


def test_an_account_that_was_just_compared_is_not_asked_again(desk: Desk) -> None:
    fail(desk, Unavailable("never asked"), 1)
    assert act(buy, SOON).order is not None


def test_a_pass_that_has_come_meanwhile_counts(desk: Desk) -> None:
    run = BotRun.objects.select_related("account__key", "account__wallet").get()
    TradingAccount.objects.update(reconciled_at=after(LATE - 5))
    fail(desk, Unavailable("never asked"), 1)
    assert acting.act(run, Cause("test", "test"), buy, after(LATE)).order is not None


def test_an_entry_waits_for_the_lists(desk: Desk) -> None:
    fail(desk, Unavailable("no lists"), 3)
    with pytest.raises(Unavailable):
        act(buy, LATE)
    assert not Order.objects.exists()
    assert act(buy, LATE).order is not None


def test_an_exit_does_not_wait_for_ever(desk: Desk) -> None:
    holding(desk)
    fail(desk, Unavailable("no lists"), 3)
    acted = act(sell, LATE, full_exit=True)
    assert acted.order is not None
    assert acted.order.side == "sell"
    assert not desk.books.troubles["fetch_recent_orders"]


def test_lists_that_time_out_are_not_tried_until_the_lease_is_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    holding(desk)
    fail(desk, Unavailable("timed out"), 3)
    seconds = iter([0.0, overdue.PATIENCE])
    monkeypatch.setattr(overdue, "monotonic", lambda: next(seconds))
    assert act(sell, LATE, full_exit=True).order is not None
    assert len(desk.books.troubles["fetch_recent_orders"]) == 2


def test_a_further_stake_waits_though_something_is_held(desk: Desk) -> None:
    holding(desk)
    fail(desk, Unavailable("no lists"), 3)
    acted = act(buy, LATE)
    assert acted.order is None
    assert acted.placed is not None
    assert acted.placed.decision is not None
    assert acted.placed.decision.code == "DATA_STALE"


def test_a_ban_is_not_tried_again(desk: Desk) -> None:
    holding(desk)
    fail(desk, RateLimited("slow down"), 2)
    with pytest.raises(RateLimited):
        act(sell, LATE, full_exit=True)
    assert len(desk.books.troubles["fetch_recent_orders"]) == 1


def test_after_a_worker_s_start_the_lists_come_first(desk: Desk) -> None:
    exits.begin(after(SOON))
    fail(desk, Unavailable("no lists"), 3)
    with pytest.raises(Unavailable):
        act(buy, SOON)
    reconcile.reconcile_account(TradingAccount.objects.get(), desk.exchange(SOON), "test", after(SOON))
    fail(desk, Unavailable("never asked"), 1)
    assert act(buy, SOON).order is not None


def test_an_account_that_was_never_compared_is_asked_after_a_start_alone(desk: Desk) -> None:
    TradingAccount.objects.update(reconciled_at=None)
    fail(desk, Unavailable("no lists"), 3)
    assert act(lambda now: None, LATE).placed is not None
    assert len(desk.books.troubles["fetch_recent_orders"]) == 3
    exits.begin(after(LATE))
    with pytest.raises(Unavailable):
        act(buy, LATE + 1)
