"""A turn at a run: facts first, one decision, at most one order, and a fault never hides what was sent."""

from dataclasses import replace
from decimal import Decimal as D
from functools import partial

import pytest

from accounts.audit import CONSOLE
from bots import acting, leases, lifecycle, orders, watch
from bots.core.codes import Code
from bots.core.decision import Decided, judged
from bots.core.intent import OrderIntent, Purpose
from bots.core.order_state import OrderState
from bots.core.risk import Situation
from bots.models import BotRun, Decision, Order, Status
from bots.orders import Cause, LeaseLost
from bots.tests.desk import Desk, after, buy, sell
from exchanges.core.errors import ExchangeFault, RateLimited, Unavailable
from exchanges.core.orders import OrderType, Side
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


# --- What rests is called back before everything is sold ----------------------------------------------


def resting(desk: Desk, leg: str, side: Side, price: str, key: str, until: float | None = None) -> Order:
    """An order of that leg waits at the exchange; a sell of a third of what is held."""

    def choose(now: Situation) -> Decided:
        buys = side is Side.BUY
        amount = now.market.round_amount(D("0.002") if buys else now.position.amount / 3)
        intent = OrderIntent(
            Purpose.ENTRY if buys else Purpose.EXIT, side, OrderType.LIMIT, amount, now.price, limit_price=D(price),
            leg=leg, rests=True, rest_until=None if until is None else after(until),
        )  # fmt: skip
        return judged(intent, now, Code.SIGNAL_BUY if buys else Code.SIGNAL_SELL, "Wait.")

    order = act(desk, 10, key, choose).order
    assert order is not None
    order.refresh_from_db()
    assert (order.state, order.request.immediate) == (S.OPEN, False)
    return order


def states(*rows: Order) -> list[str]:
    return [Order.objects.get(pk=row.pk).state for row in rows]


def sell_all(desk: Desk, at: float = 60) -> acting.Acted:
    run = BotRun.objects.select_related("account", "account__key").get(pk=desk.run.pk)
    return acting.act(run, Cause(f"exit:{at}", "test"), sell, after(at), full_exit=True)


def test_what_rests_is_called_back_before_everything_is_sold(desk: Desk) -> None:
    act(desk)
    one, other = (resting(desk, f"grid:{n}", Side.SELL, str(55_000 + n), f"grid:{n}") for n in (1, 2))
    acted = sell_all(desk)
    assert states(one, other) == [S.CANCELED, S.CANCELED]
    assert acted.order is not None
    assert desk.held() < D("0.00001")


def test_an_exit_that_waited_for_its_cancels_is_priced_anew(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    act(desk)
    resting(desk, "grid:1", Side.SELL, "55000", "grid:1")
    clock, clear = [0.0], acting.clear_resting

    def slowly(turn: acting.Turn, why: str) -> bool:
        clock[0] += 3
        desk.books.prices["BTC/USDT"] = D(49_000)
        return clear(turn, why)

    monkeypatch.setattr(acting, "monotonic", lambda: clock[0])
    monkeypatch.setattr(acting, "clear_resting", slowly)
    order = sell_all(desk).order
    assert order is not None
    assert (order.price, desk.held() < D("0.00001")) == (D(49_000), True)


def test_a_resting_sell_of_unknown_end_holds_the_exit_back(desk: Desk) -> None:
    act(desk)
    order = resting(desk, "grid:1", Side.SELL, "55000", "grid:1")
    desk.books.fail("cancel_order", Unavailable())
    with pytest.raises(acting.Unsettled):
        sell_all(desk)
    assert not Decision.objects.filter(decision_key="exit:60").exists()
    assert sell_all(desk, 62).order is not None
    assert states(order) == [S.CANCELED]
    assert desk.held() < D("0.00001")


def test_a_resting_sell_that_fills_before_its_cancel_is_not_sold_again(desk: Desk) -> None:
    act(desk)
    order = resting(desk, "grid:1", Side.SELL, "55000", "grid:1")
    desk.exchange(20).fill(order.client_order_id, D(55_000))
    acted = sell_all(desk)
    assert acted.order is not None
    assert (states(order), acted.order.amount + order.amount) == ([S.FILLED], D("0.01996"))
    assert D(0) <= desk.held() < D("0.00002")


def test_a_resting_buy_of_unknown_end_holds_no_exit_back(desk: Desk) -> None:
    bought = act(desk, choose=lambda now: replace_amount(buy(now), D("0.01"))).order
    assert bought is not None
    order = resting(desk, "grid:1", Side.BUY, "45000", "grid:1")
    desk.books.fail("cancel_order", Unavailable())
    desk.books.fail("fetch_order", Unavailable())
    desk.books.fail("fetch_order", Unavailable())
    assert sell_all(desk).order is not None
    assert states(order) == [S.CANCELING]


def test_all_sells_in_flight_together_sell_no_more_than_is_held(desk: Desk) -> None:
    act(desk)
    for n in (1, 2, 3):
        resting(desk, f"grid:{n}", Side.SELL, str(55_000 + n), f"grid:{n}")
    acted = act(desk, 60, "exit", sell)
    assert (acted.order, Decision.objects.get(decision_key="exit").code) == (None, "UNRESOLVED_ORDER")


def test_a_planned_entry_is_not_sent_before_an_exit(desk: Desk) -> None:
    act(desk, choose=lambda now: replace_amount(buy(now), D("0.01")))
    epoch = BotRun.objects.get().lease_epoch
    planned = desk.place(lambda now: replace_amount(buy(now), D("0.002")), 50, "candle:2", epoch).order
    assert planned is not None
    assert sell_all(desk).order is not None
    assert states(planned) == [S.EXPIRED_UNSENT]
    assert len(desk.books.sent) == 2


def test_an_order_whose_time_at_the_exchange_is_over_is_called_back_and_decided_anew(desk: Desk) -> None:
    order = resting(desk, "entry", Side.BUY, "45000", "candle:1", until=60)
    acted = act(desk, 59, "candle:2")
    assert (acted.order, states(order)) == (None, [S.OPEN])
    acted = act(desk, 60, "candle:3")
    assert states(order) == [S.CANCELED]
    assert acted.order is not None


def test_a_stop_leaves_nothing_at_the_exchange(desk: Desk) -> None:
    act(desk)
    order = resting(desk, "grid:1", Side.SELL, "55000", "grid:1")
    lifecycle.stop(BotRun.objects.get(), "keep", after(30), CONSOLE)
    assert BotRun.objects.get().status == Status.STOPPING
    desk.books.fail("cancel_order", Unavailable())
    watch.watch_positions(after(31))
    assert BotRun.objects.get().status == Status.STOPPING
    watch.watch_positions(after(34))
    assert (states(order), BotRun.objects.get().status) == ([S.CANCELED], Status.STOPPED)


def test_a_pause_calls_resting_entries_back_and_leaves_the_sells(desk: Desk) -> None:
    act(desk, choose=lambda now: replace_amount(buy(now), D("0.01")))
    entry = resting(desk, "dca:1", Side.BUY, "45000", "dca:1")
    sells = resting(desk, "grid:1", Side.SELL, "55000", "grid:1")
    lifecycle.pause(BotRun.objects.get(), after(30), CONSOLE)
    watch.watch_positions(after(31))
    assert states(sells, entry) == [S.OPEN, S.CANCELED]


def replace_amount(decided: Decided, amount: D) -> Decided:
    assert decided.intent is not None
    return replace(decided, intent=replace(decided.intent, amount=amount))
