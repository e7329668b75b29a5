"""Doubt is settled by asking; absence has to be proved, ends have to add up, and what is odd is told."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.conf import settings

from accounts.audit import CONSOLE
from bots import gates, orders, reconcile
from bots.core.order_state import OrderState
from bots.models import Incident, Level, Order, TradingAccount
from bots.reconcile import absence, incidents, one_order
from bots.situation import worst_gate
from bots.tests.desk import Desk, after, buy, sell
from exchanges.core.errors import OrderNotFound, Unavailable
from exchanges.core.orders import FillReport, OrderReport, ReportStatus, Side

S = OrderState


def settle(desk: Desk, order: Order, at: float, **options: bool) -> int:
    order.refresh_from_db()
    found = reconcile.settle(order, desk.exchange(at), "test", after(at), **options)
    order.refresh_from_db()
    return found


def lost(desk: Desk) -> Order:
    """Sent, executed, and the reply was lost."""
    desk.books.lose_reply()
    return desk.sent()


def never_arrived(desk: Desk) -> Order:
    desk.books.fail("create_order", Unavailable("gone"))
    return desk.sent()


def compare(desk: Desk, at: float) -> reconcile.Reconciled:
    account = TradingAccount.objects.get()
    return reconcile.reconcile_account(account, desk.exchange(at), "test", after(at))


def gate_of(desk: Desk) -> str:
    return worst_gate(desk.run)[0].value


def test_a_lost_reply_is_found_by_our_own_id(desk: Desk) -> None:
    order = lost(desk)
    assert settle(desk, order, 1) == 1
    assert desk.walk(order) == ["PLANNED", "SENDING", "UNKNOWN", "OPEN", "FILLED"]
    assert desk.held() > 0
    assert len(desk.books.sent) == 1


def test_settling_again_changes_nothing(desk: Desk) -> None:
    order = lost(desk)
    settle(desk, order, 1)
    held = desk.held()
    assert [settle(desk, order, at) for at in (2, 3)] == [0, 0]
    assert desk.held() == held


def test_absence_needs_three_spaced_misses_and_the_horizon(desk: Desk) -> None:
    order = never_arrived(desk)
    seen = []
    for at in (1, 1.5, 3.5, 6, 12.9, 13):
        settle(desk, order, at)
        seen.append((order.miss_count, order.state))
    assert [count for count, _ in seen] == [1, 1, 2, 3, 4, 4]
    assert [state for _, state in seen] == [S.UNKNOWN] * 5 + [S.NOT_PLACED]


def test_an_error_is_no_miss(desk: Desk) -> None:
    order = never_arrived(desk)
    for at in (5, 10, 15):
        desk.books.fail("fetch_order", Unavailable())
        with pytest.raises(Unavailable):
            settle(desk, order, at)
    assert (order.state, order.miss_count) == (S.UNKNOWN, 0)


def test_what_the_look_up_does_not_know_is_looked_for_in_the_lists(desk: Desk) -> None:
    order = lost(desk)
    desk.books.fail("fetch_order", OrderNotFound())
    settle(desk, order, 1)
    assert order.state == S.FILLED


def test_an_unexplained_execution_forbids_the_proof_of_absence(desk: Desk) -> None:
    order = never_arrived(desk)
    desk.books.fills.append(FillReport("t1", "77", "BTC/USDT", Side.BUY, D("0.01"), D(50000), D(0), "USDT", after(2)))
    for at in (5, 10, 15, 20):
        settle(desk, order, at)
    assert order.state == S.UNKNOWN
    foreign = OrderReport("77", "by hand", "BTC/USDT", Side.BUY, ReportStatus.CLOSED, D("0.01"), D("0.01"))
    desk.books.orders["by hand"] = replace(foreign, created_at=after(-3600))
    settle(desk, order, 25)
    assert order.state == S.NOT_PLACED


def test_an_open_order_that_vanishes_is_in_doubt_and_never_absent(desk: Desk) -> None:
    order = desk.sent()
    vanished = dict(desk.books.orders)
    desk.books.orders.clear()
    for at in (1, 20, 40, 60):
        settle(desk, order, at)
    assert order.state == S.UNKNOWN
    desk.books.orders.update(vanished)
    settle(desk, order, 80)
    assert order.state == S.FILLED


@pytest.mark.parametrize(
    ("status", "reported", "booked", "state"),
    [
        (ReportStatus.OPEN, "0", "0", S.OPEN),
        (ReportStatus.OPEN, "0.4", "0.4", S.PARTIAL),
        (ReportStatus.OPEN, "0", "1", S.FILLED),
        (ReportStatus.CLOSED, "1", "1", S.FILLED),
        (ReportStatus.CLOSED, "1", "0.4", S.PARTIAL),
        (ReportStatus.CLOSED, "0", "0", S.OPEN),
        (ReportStatus.CLOSED, "0.4", "0.4", S.CANCELED),
        (ReportStatus.CANCELED, "0", "0", S.CANCELED),
        (ReportStatus.CANCELED, "0.4", "0", S.OPEN),
        (ReportStatus.CANCELED, "0.4", "0.4", S.CANCELED),
        (ReportStatus.EXPIRED, "0.4", "0.4", S.EXPIRED),
        (ReportStatus.EXPIRED, "1", "1", S.FILLED),
        (ReportStatus.REJECTED, "0.4", "0.4", S.CANCELED),
    ],
)
def test_an_end_counts_when_the_fills_add_up(
    status: ReportStatus, reported: str, booked: str, state: OrderState
) -> None:
    order = Order(state=S.OPEN, amount=D(1), filled=D(booked))
    report = OrderReport("1", "x", "BTC/USDT", Side.BUY, status, D(1), D(reported))
    assert one_order.state_after(order, report) == state


def test_a_sender_is_waited_for_and_then_not(desk: Desk) -> None:
    order = desk.planned()
    assert desk.claim(order)
    settle(desk, order, 12)
    assert order.state == S.SENDING
    settle(desk, order, 12.1)
    assert order.state == S.UNKNOWN


def test_at_boot_no_sender_is_waited_for(desk: Desk) -> None:
    order = desk.planned()
    assert desk.claim(order)
    settle(desk, order, 1, boot=True)
    assert order.state == S.UNKNOWN


def test_whoever_comes_second_leaves_a_known_end_alone(desk: Desk) -> None:
    order = lost(desk)
    orders.transition(order, S.OPEN, "found", "a", after(1), exchange_order_id="1")
    stale = Order.objects.select_related("run", "account").get(pk=order.pk)
    settle(desk, order, 2)
    report = OrderReport("1", order.client_order_id, "BTC/USDT", Side.BUY, ReportStatus.OPEN, order.amount, D(0))
    assert one_order.adopt(stale, report, desk.exchange(3), "b", after(3)) == 0
    assert stale.state == S.FILLED


def test_an_order_in_doubt_for_long_is_told_once_and_entries_stop(desk: Desk) -> None:
    order = desk.sent()
    desk.books.orders.clear()
    for at in (100, 301, 400):
        settle(desk, order, at)
    assert [row.kind for row in Incident.objects.all()] == ["unresolved"]
    assert gate_of(desk) == "REDUCING"


def test_a_look_that_was_overtaken_tells_nobody(desk: Desk) -> None:
    order = lost(desk)
    stale = Order.objects.select_related("run", "account").get(pk=order.pk)
    settle(desk, order, 301)
    desk.books.fail("fetch_order", Unavailable())
    with pytest.raises(Unavailable):
        one_order.settle(stale, desk.exchange(301), "b", after(301))
    assert (order.state, stale.state) == (S.FILLED, S.UNKNOWN)
    assert not Incident.objects.exists()


def test_a_stricter_switch_is_never_loosened(desk: Desk) -> None:
    gates.switch(Level.KEY, desk.run.key_id or 0, "halt", "drill", after(0), CONSOLE)
    incidents.tell(desk.run.account, "unresolved", "order:1", "In doubt.", {}, after(1), incidents.Gate.REDUCING)
    assert gate_of(desk) == "HALTED"


def late_fill(desk: Desk, order: Order) -> None:
    report = desk.books.orders[order.client_order_id]
    desk.books.fills.append(
        FillReport("late", report.exchange_order_id, "BTC/USDT", Side.BUY, D("0.001"), D(50000), D(0), "USDT", after(9))
    )


def ended_unfilled(desk: Desk) -> Order:
    """Accepted, not filled at all, expired."""
    desk.books.prices["BTC/USDT"] = D(60000)
    order = desk.sent()
    settle(desk, order, 1)
    assert (order.state, order.filled) == (S.EXPIRED, 0)
    return order


def test_a_fill_after_the_end_is_booked_and_halts(desk: Desk) -> None:
    order = ended_unfilled(desk)
    late_fill(desk, order)
    assert compare(desk, 30).late_fills == 1
    order.refresh_from_db()
    assert (order.state, order.filled, desk.held()) == (S.EXPIRED, D("0.001"), D("0.001"))
    assert [row.kind for row in Incident.objects.all()] == ["late_fill"]
    assert gate_of(desk) == "HALTED"


def test_an_order_that_was_proved_absent_and_stands_is_booked_and_halts(desk: Desk) -> None:
    order = never_arrived(desk)
    for at in (5, 10, 15):
        settle(desk, order, at)
    assert order.state == S.NOT_PLACED
    # The exchange lied: it is there after all.
    FakeOrder(desk).stand(order)
    assert compare(desk, 30).late_fills == 1
    order.refresh_from_db()
    assert order.filled == order.amount == desk.books.fills[-1].amount
    assert "late_order" in {row.kind for row in Incident.objects.all()}
    assert gate_of(desk) == "HALTED"


class FakeOrder:
    """Puts orders into the exchange's books behind our back."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def stand(self, order: Order) -> None:
        request = replace(order.request, sent_at=after(16))
        self.desk.exchange(16).create_order(request)

    def place(self, client_id: str, at: float = 5) -> None:
        order = Order(
            client_order_id=client_id, symbol="BTC/USDT", side="buy", type="limit", amount=D("0.002"),
            limit_price=D(50000), price=D(50000), send_at=after(at),
        )  # fmt: skip
        self.desk.exchange(at).create_order(order.request)


def test_an_order_with_our_tag_and_no_row_is_adopted_and_halts(desk: Desk) -> None:
    FakeOrder(desk).place(settings.INSTALL_TAG + "0" * 24)
    assert compare(desk, 30).orphans == 1
    assert compare(desk, 90).orphans == 0
    order = Order.objects.get()
    assert (order.created_by, order.state, order.decision_key[:6]) == ("reconcile", S.UNKNOWN, "orphan")
    settle(desk, order, 100)
    assert (order.state, desk.held()) == (S.FILLED, D("0.002") - desk.books.fills[0].fee)
    assert gate_of(desk) == "HALTED"
    denied = desk.place(at=120, key="candle:9")
    assert (denied.order, denied.decision and denied.decision.code) == (None, "POSITION_MISMATCH")


def test_somebody_elses_order_is_left_alone(desk: Desk) -> None:
    compare(desk, 1)
    desk.books.deposit("USDT", D(1))
    FakeOrder(desk).place("f" * 8 + "0" * 24)
    assert compare(desk, 30).orphans == 0
    assert not Order.objects.exists()


def test_a_restored_backup_looks_back_to_its_own_last_pass(desk: Desk) -> None:
    compare(desk, 1)
    FakeOrder(desk).place(settings.INSTALL_TAG + "0" * 24, at=50)
    assert compare(desk, 50 + 7 * 86400).orphans == 1


Drift = Callable[[Desk], None]


@pytest.mark.parametrize(
    "drift",
    [
        lambda desk: desk.books.deposit("BTC", D("0.01")),
        lambda desk: desk.books.deposit("BTC", D("-0.01")),
        lambda desk: FakeOrder(desk).place("somebody else"),
    ],
    ids=["coins came", "coins went", "a trade by hand"],
)
def test_a_balance_that_drifts_is_told_in_the_second_pass(desk: Desk, drift: Drift) -> None:
    desk.books.deposit("BTC", D("0.5"))
    order = desk.sent()
    settle(desk, order, 1)
    assert [compare(desk, at).mismatches for at in (30, 60)] == [0, 0]
    drift(desk)
    assert [compare(desk, at).mismatches for at in (90, 120, 150, 180)] == [0, 1, 0, 0]
    assert [row.kind for row in Incident.objects.all()] == ["balance_mismatch"]
    assert gate_of(desk) == "REDUCING"


def test_missing_coins_are_told_even_before_anything_is_known(desk: Desk) -> None:
    order = desk.sent()
    settle(desk, order, 1)
    desk.books.move("BTC", -desk.books.balances["BTC"].free, D(0))
    assert [compare(desk, at).mismatches for at in (30, 60)] == [0, 1]


def test_clean_passes_raise_no_alarm(desk: Desk) -> None:
    for turn in range(6):
        order = desk.sent(buy if turn % 2 == 0 else sell, at=turn * 90, key=f"candle:{turn}")
        settle(desk, order, turn * 90 + 1)
        assert order.state == S.FILLED
        for minute in range(3):
            assert compare(desk, turn * 90 + 10 + minute * 20).mismatches == 0
    assert not Incident.objects.exists()


def test_balances_are_not_compared_while_an_order_is_in_flight(desk: Desk) -> None:
    lost(desk)
    assert [compare(desk, at).mismatches for at in (1, 2)] == [0, 0]
    assert TradingAccount.objects.get().outside == {}


def test_one_orders_trouble_does_not_stop_the_next(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order = lost(desk)
    account = TradingAccount.objects.get()
    ask, tried = one_order._ask, []

    def trouble(*given: object) -> int:
        tried.append(given)
        if len(tried) == 1:
            raise RuntimeError("a bug")
        return ask(*given)

    monkeypatch.setattr(one_order, "_ask", trouble)
    done = reconcile.settle_account(account, desk.exchange(1), after(1), "test")
    assert (done.looked_at, done.fills, "could not be settled" in done.fault) == (1, 0, True)
    done = reconcile.settle_account(account, desk.exchange(9), after(9), "test")
    assert (done.looked_at, done.ended, done.fault) == (1, 1, "")
    order.refresh_from_db()
    assert order.state == S.FILLED


def test_look_ups_are_paced(desk: Desk) -> None:
    never_arrived(desk)
    account = TradingAccount.objects.get()
    looked = [
        reconcile.settle_account(account, desk.exchange(at), after(at), "test").looked_at for at in (1, 2, 3.1, 4, 5.2)
    ]
    assert looked == [1, 0, 1, 0, 1]


def test_the_horizon_covers_signature_clock_and_lag() -> None:
    assert timedelta(seconds=13) <= absence.HORIZON
    assert absence.MISSES_NEEDED >= 3
    assert timedelta(seconds=2) <= absence.MISS_SPACING
