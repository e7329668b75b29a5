"""An order is written down, claimed once, sent once; every answer but a proof leaves it in doubt."""

from decimal import Decimal as D

import pytest
from django.db import IntegrityError, transaction

from accounts.audit import CONSOLE
from bots import gates, orders, settling
from bots.core.codes import Code
from bots.core.decision import Decided
from bots.core.intent import Purpose
from bots.core.order_state import IllegalTransition, OrderState
from bots.models import BotRun, Decision, Level, Order, OrderEvent, Status, TradingAccount
from bots.tests.desk import Desk, after, buy, sell
from exchanges.core.errors import (
    DuplicateOrder,
    ExchangeFault,
    InsufficientFunds,
    Maintenance,
    NotSent,
    OrderNotFound,
    RateLimited,
    Unavailable,
)
from exchanges.core.orders import OrderReport, ReportStatus, Side
from exchanges.testing import BTC_USDT

S = OrderState


def test_a_decision_its_order_and_its_event_are_written_together(desk: Desk) -> None:
    placed = desk.place()
    order = Order.objects.get()
    assert (order.state, order.fence, order.send_at) == (S.PLANNED, 0, None)
    assert placed.decision == Decision.objects.get(order=order)
    assert desk.walk(order) == ["PLANNED"]
    assert order.client_order_id.startswith(orders.settings.INSTALL_TAG)
    assert len(order.client_order_id) == 32


def test_the_same_cause_acts_once(desk: Desk) -> None:
    desk.place()
    assert desk.place() == orders.Placed(None, None)
    assert (Order.objects.count(), Decision.objects.count()) == (1, 1)


def test_another_cause_waits_for_the_order_in_the_slot(desk: Desk) -> None:
    desk.place()
    second = desk.place(key="candle:2")
    assert (second.order, second.decision and second.decision.code) == (None, Code.UNRESOLVED_ORDER)


def test_the_database_itself_keeps_a_slot_for_one_live_order(desk: Desk) -> None:
    first = desk.planned()
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.create(
            run=desk.run, account=desk.run.account, symbol="BTC/USDT", slot=first.slot, decision_key="candle:2",
            client_order_id="x", purpose="entry", side="buy", type="limit", amount=1, price=1,
            planned_at=after(0), expires_at=after(0),
        )  # fmt: skip


def test_a_run_that_ended_meanwhile_decides_nothing(desk: Desk) -> None:
    BotRun.objects.update(status=Status.STOPPED, stopped_at=after(0))
    assert desk.place() == orders.Placed(None, None)
    assert not Decision.objects.exists()


def test_a_run_in_error_buys_nothing_and_sells_what_it_holds(desk: Desk) -> None:
    desk.sent()
    settling.settle_all(after(1), "test")
    BotRun.objects.update(status=Status.ERROR)
    assert desk.send(desk.planned(sell, 2, "exit:1"), 2)
    settling.settle_all(after(3), "test")
    assert BotRun.objects.get().held < BTC_USDT.amount_step
    denied = desk.place(buy, 4, "candle:9")
    assert (denied.order, denied.decision and denied.decision.code) == (None, Code.RUN_PAUSED)


def test_a_planned_entry_of_a_run_in_error_is_denied_at_its_claim(desk: Desk) -> None:
    order = desk.planned()
    BotRun.objects.update(status=Status.ERROR)
    assert not desk.send(order)
    assert (order.state, order.reject_code, desk.books.sent) == (S.DENIED, Code.RUN_PAUSED, [])


def test_a_run_that_ended_meanwhile_sends_nothing(desk: Desk) -> None:
    order = desk.planned()
    BotRun.objects.update(status=Status.STOPPED, stopped_at=after(0))
    assert not desk.send(order)
    assert (order.state, desk.books.sent) == (S.EXPIRED_UNSENT, [])


def test_a_lost_lease_decides_nothing(desk: Desk) -> None:
    with pytest.raises(orders.LeaseLost):
        desk.place(epoch=7)


def test_a_breach_of_another_constraint_is_not_taken_for_a_race(desk: Desk) -> None:
    def nothing_bought(now: object) -> Decided:
        decided = buy(now)  # type: ignore[arg-type]
        assert decided.intent is not None
        return orders.replace(decided, intent=orders.replace(decided.intent, amount=D(0)))

    with pytest.raises(IntegrityError, match="order_amount_positive"):
        desk.place(nothing_bought)


def test_an_order_is_claimed_once(desk: Desk) -> None:
    order = desk.planned()
    twin = Order.objects.get(pk=order.pk)
    assert desk.claim(order, 1)
    assert not desk.claim(twin, 1)
    assert (twin.state, twin.send_at, desk.walk(twin)) == (S.SENDING, after(1), ["PLANNED", "SENDING"])


def test_a_claim_under_an_old_epoch_fails(desk: Desk) -> None:
    order = desk.planned()
    BotRun.objects.update(lease_epoch=1)
    assert not desk.claim(order)
    assert order.state == S.PLANNED


def test_an_old_plan_is_not_sent(desk: Desk) -> None:
    order = desk.planned()
    assert not desk.send(order, 21)
    assert (order.state, desk.books.sent) == (S.EXPIRED_UNSENT, [])


@pytest.mark.parametrize(("action", "code"), [("halt", "TRADING_HALTED"), ("reduce", "STATE_REDUCING")])
@pytest.mark.parametrize("level", [Level.PLATFORM, Level.USER, Level.KEY, Level.RUN])
def test_a_kill_switch_between_plan_and_claim_denies(desk: Desk, level: str, action: str, code: str) -> None:
    order = desk.planned()
    target = {"platform": 0, "user": desk.run.user_id, "key": desk.run.key_id, "run": desk.run.pk}[level]
    gates.switch(level, target or 0, action, "drill", after(0), CONSOLE)
    assert not desk.send(order)
    assert (order.state, order.reject_code, desk.books.sent) == (S.DENIED, code, [])


def test_the_kill_switch_stands_in_the_claim_itself(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order = desk.planned()
    monkeypatch.setattr(orders, "check", lambda intent, now: None)
    gates.switch(Level.PLATFORM, 0, "halt", "drill", after(0), CONSOLE)
    assert not desk.claim(order)
    assert order.state == S.PLANNED


def test_a_kill_switch_after_the_claim_keeps_the_order_from_leaving(desk: Desk) -> None:
    order = desk.planned()
    assert desk.claim(order)
    gates.switch(Level.PLATFORM, 0, "halt", "drill", after(0), CONSOLE)
    orders.submit(order, desk.exchange(), orders.monotonic(), "test", after(0))
    assert (order.state, desk.books.sent) == (S.UNKNOWN, [])


def test_a_claim_that_took_too_long_is_not_sent(desk: Desk) -> None:
    order = desk.planned()
    assert desk.claim(order)
    orders.submit(order, desk.exchange(), orders.monotonic() - 2.5, "test", after(0))
    assert (order.state, desk.books.sent) == (S.UNKNOWN, [])


def test_the_time_of_a_claim_counts_from_before_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    order = desk.planned()
    ticks = iter([0.0, 3.0])
    monkeypatch.setattr(orders, "monotonic", lambda: next(ticks))
    assert desk.send(order)
    assert (order.state, desk.books.sent) == (S.UNKNOWN, [])


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (InsufficientFunds(), S.REJECTED),
        (NotSent(), S.REJECTED),
        (RateLimited(), S.REJECTED),
        (Unavailable(), S.UNKNOWN),
        (Maintenance(), S.UNKNOWN),
        (ExchangeFault(), S.UNKNOWN),
        (DuplicateOrder(), S.UNKNOWN),
        (OrderNotFound(), S.UNKNOWN),
    ],
)
def test_only_a_refusal_ends_an_order(desk: Desk, fault: ExchangeFault, state: OrderState) -> None:
    desk.books.fail("create_order", fault)
    order = desk.sent()
    assert (order.state, desk.walk(order)) == (state, ["PLANNED", "SENDING", state])
    assert len(desk.books.sent) == 1


def test_a_reply_without_an_id_is_unknown(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = desk.exchange()
    bare = OrderReport("", None, "BTC/USDT", Side.BUY, ReportStatus.OPEN, D(1), D(0))
    monkeypatch.setattr(exchange, "create_order", lambda order: bare)
    order = desk.planned()
    assert desk.claim(order)
    orders.submit(order, exchange, orders.monotonic(), "test", after(0))
    assert (order.state, order.exchange_order_id) == (S.UNKNOWN, None)


def test_an_accepted_order_is_open_until_its_trades_are_booked(desk: Desk) -> None:
    order = desk.sent()
    assert (order.state, order.filled, order.exchange_order_id) == (S.OPEN, 0, "1")


def test_the_request_is_signed_with_the_claims_instant(desk: Desk) -> None:
    desk.sent(at=3)
    assert desk.books.sent[0].sent_at == after(3)


def test_a_ban_is_remembered_and_never_shortened(desk: Desk) -> None:
    account = desk.run.account_id
    for seconds in (60, 30):
        orders.stay_away(account, RateLimited(retry_at=after(seconds)))
    orders.stay_away(account, RateLimited())
    assert TradingAccount.objects.get(pk=account).banned_until == after(60)


def test_a_plan_alone_cannot_be_submitted(desk: Desk) -> None:
    with pytest.raises(ValueError, match="was PLANNED"):
        orders.submit(desk.planned(), desk.exchange(), 0.0, "test", after(0))


def test_whoever_was_overtaken_changes_nothing(desk: Desk) -> None:
    order = desk.sent()
    stale = Order.objects.get(pk=order.pk)
    assert orders.transition(order, S.CANCELING, "first", "a", after(1))
    assert not orders.transition(stale, S.UNKNOWN, "second", "b", after(1))
    assert (stale.state, desk.walk(stale)[-1]) == (S.CANCELING, "CANCELING")


def test_nothing_goes_back_to_sending(desk: Desk) -> None:
    order = desk.sent()
    with pytest.raises(IllegalTransition):
        orders.transition(order, S.SENDING, "again", "test", after(1))


def test_an_exit_and_a_stop_share_a_slot(desk: Desk) -> None:
    slots = {
        purpose: sell_order.intent.slot_leg
        for purpose in (Purpose.EXIT, Purpose.STOP)
        for sell_order in [Order(slot="1:BTC/USDT:exit", purpose=purpose, side="sell", type="limit", amount=1, price=1)]
    }
    assert set(slots.values()) == {"exit"}


def test_a_cancel_that_finds_nothing_is_not_a_canceled_order(desk: Desk) -> None:
    desk.books.limits.clear()
    order = desk.sent()
    orders.cancel(order, desk.exchange(1), "too long", "test", after(1))
    assert (order.state, desk.walk(order)[-1]) == (S.CANCELING, "CANCELING")


def test_a_planned_order_cannot_be_canceled(desk: Desk) -> None:
    order = desk.planned()
    orders.cancel(order, desk.exchange(), "why not", "test", after(0))
    assert order.state == S.PLANNED


def test_events_cannot_be_changed_or_deleted(desk: Desk) -> None:
    desk.planned()
    for change in (lambda: OrderEvent.objects.update(cause="x"), lambda: OrderEvent.objects.all().delete()):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()


@pytest.mark.parametrize(
    "wrong",
    [{"amount": 0}, {"state": "LOST"}, {"send_at": after(0)}, {"state": "SENDING"}, {"state": "FILLED"}],
)
def test_the_database_refuses_an_impossible_order(desk: Desk, wrong: dict[str, object]) -> None:
    order = desk.planned()
    with pytest.raises(IntegrityError), transaction.atomic():
        Order.objects.filter(pk=order.pk).update(**wrong)
