"""A stop that rests on the exchange: placed, moved, given a moment, called back; and watched where none can rest."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from accounts.audit import CONSOLE
from accounts.models import User
from bots import acting, gates, lifecycle, rounds, settling, stops, watch
from bots.core.codes import Code
from bots.core.order_state import OrderState as S
from bots.models import BotRun, Decision, Level, Order, RunPosition, Status, TradeLog
from bots.orders import Cause
from bots.testing import Stage, scripted_candles, staged, start_run
from bots.tests.desk import BTC_USDT, Desk, after, buy
from exchanges import connect
from exchanges.core.errors import InvalidRequest, Unavailable
from exchanges.core.orders import OrderType, StopStyle


def holding(desk: Desk, **limits: object) -> None:
    """The run has bought at 50,000 and wants its stop to rest on the exchange."""
    BotRun.objects.update(limits={"stop_loss_pct": "5", "stop_on_exchange": True, **limits})
    run = BotRun.objects.select_related("account", "account__key").get()
    acting.act(run, Cause("candle:1", "test"), buy, after(0))


def price(desk: Desk, value: int) -> None:
    desk.books.prices[BTC_USDT.symbol] = D(value)


def look(at: float) -> None:
    report = watch.watch_positions(after(at))
    assert not report.faults


def stop_orders() -> list[Order]:
    return list(Order.objects.filter(type=OrderType.STOP_LOSS.value).order_by("id"))


def the_stop() -> Order:
    (order,) = stop_orders()
    return order


def test_a_position_gets_a_stop_at_the_exchange(desk: Desk) -> None:
    holding(desk)
    look(2)
    order = the_stop()
    assert (order.state, order.stop_price, order.limit_price) == (S.OPEN, D(47_500), D(46_550))
    assert (order.amount, order.intent.slot_leg, order.rest_until) == (D("0.01996"), "exit", None)
    decision = Decision.objects.get(order=order)
    assert (decision.code, decision.decision_key.startswith("risk:stop:")) == (Code.STOP_LOSS, True)
    look(4)
    look(60)
    assert len(stop_orders()) == 1


def test_a_stop_that_sold_is_booked_under_its_code(desk: Desk) -> None:
    holding(desk)
    look(2)
    desk.exchange(10).fill(the_stop().client_order_id, D(47_400))
    price(desk, 47_000)
    look(11)
    trade = TradeLog.objects.get(side="sell")
    assert (trade.price, Decision.objects.get(order=trade.order).code) == (D(47_400), Code.STOP_LOSS)
    assert desk.held() < D("0.00001")
    look(40)
    assert Order.objects.count() == 2


def test_a_trailing_stop_moves_by_cancel_settle_and_a_new_decision(desk: Desk) -> None:
    holding(desk, trailing_stop_pct="4")
    look(2)
    price(desk, 52_000)
    look(4)
    assert [order.state for order in stop_orders()] == [S.OPEN]
    look(9)
    first, second = stop_orders()
    assert (first.state, first.stop_price, second.state, second.stop_price) == (S.CANCELED, 48_000, S.OPEN, 49_920)
    assert Decision.objects.get(order=second).code == Code.TRAILING_STOP
    assert [event.to_state for event in first.events.all()][-2:] == [S.CANCELING, S.CANCELED]


def test_a_break_even_stop_replaces_the_first_one(desk: Desk) -> None:
    holding(desk, break_even_pct="2")
    look(2)
    price(desk, 51_500)
    look(10)
    assert [order.stop_price for order in stop_orders()] == [D(47_500), D("50100.11")]
    assert Decision.objects.filter(order=stop_orders()[1], code=Code.BREAK_EVEN).exists()


def test_a_stop_that_filled_while_it_was_moved_is_not_replaced(desk: Desk) -> None:
    holding(desk, trailing_stop_pct="4")
    look(2)
    desk.exchange(8).fill(the_stop().client_order_id, D(48_000))
    price(desk, 52_000)
    look(9)
    assert [order.state for order in stop_orders()] == [S.FILLED]
    assert desk.held() < D("0.00001")


def test_nothing_is_placed_while_the_old_stop_may_still_sell(desk: Desk) -> None:
    holding(desk, trailing_stop_pct="4")
    look(2)
    price(desk, 52_000)
    desk.books.fail("cancel_order", Unavailable())
    desk.books.fail("fetch_order", Unavailable())
    desk.books.fail("fetch_order", Unavailable())
    look(9)
    assert [order.state for order in stop_orders()] == [S.CANCELING]
    settling.settle_all(after(30), "test")
    assert [order.state for order in stop_orders()] == [S.OPEN]
    look(33)
    assert [order.state for order in stop_orders()] == [S.CANCELED, S.OPEN]


def test_a_stop_that_the_price_went_through_gets_a_moment_and_is_then_called_back(desk: Desk) -> None:
    holding(desk)
    look(2)
    price(desk, 47_000)
    look(10)
    look(13)
    assert (the_stop().state, Order.objects.filter(purpose="exit").count()) == (S.OPEN, 0)
    look(14)
    assert the_stop().state == S.CANCELED
    sold = TradeLog.objects.get(side="sell")
    assert (sold.price, Decision.objects.get(order=sold.order).code) == (D(47_000), Code.STOP_LOSS)
    assert desk.held() < D("0.00001")


def test_a_price_that_comes_back_leaves_the_stop_where_it_is(desk: Desk) -> None:
    holding(desk)
    look(2)
    price(desk, 47_000)
    look(10)
    price(desk, 48_000)
    look(12)
    look(20)
    assert (the_stop().state, the_stop().rest_until) == (S.OPEN, None)


def test_a_target_is_watched_and_clears_the_stop_first(desk: Desk) -> None:
    holding(desk, take_profit_pct="10")
    look(2)
    price(desk, 55_000)
    look(10)
    assert the_stop().state == S.CANCELED
    assert Decision.objects.filter(code=Code.TAKE_PROFIT).exists()
    assert desk.held() < D("0.00001")


def test_a_halt_leaves_the_stop_resting_and_moves_nothing(desk: Desk) -> None:
    holding(desk, trailing_stop_pct="4")
    look(2)
    gates.switch(Level.PLATFORM, 0, "halt", "drill", after(3), CONSOLE)
    price(desk, 52_000)
    look(20)
    assert (the_stop().state, the_stop().stop_price) == (S.OPEN, 48_000)


def test_the_end_of_a_run_takes_its_stop_away(desk: Desk) -> None:
    holding(desk)
    look(2)
    lifecycle.stop(BotRun.objects.get(), "keep", after(5), CONSOLE)
    look(6)
    assert (the_stop().state, BotRun.objects.get().status) == (S.CANCELED, Status.STOPPED)


def test_the_amount_follows_what_is_held_as_soon_as_a_stop_may_move(desk: Desk) -> None:
    holding(desk)
    whole = RunPosition.objects.get().amount
    # So far only a part of the entry is booked.
    RunPosition.objects.update(amount=D("0.01"))
    look(2)
    RunPosition.objects.update(amount=whole)
    look(6)
    assert the_stop().state == S.OPEN
    look(8)
    assert [(order.state, order.amount) for order in stop_orders()] == [(S.CANCELED, D("0.01")), (S.OPEN, D("0.01996"))]


def test_a_stop_that_the_exchange_refuses_is_watched_and_tried_again(desk: Desk) -> None:
    holding(desk)
    desk.books.fail("create_order", InvalidRequest("No stops here."))
    look(2)
    look(4)
    assert the_stop().state == S.REJECTED
    assert desk.held() > D("0.01")
    look(23)
    assert [order.state for order in stop_orders()] == [S.REJECTED, S.OPEN]


def test_a_stop_in_doubt_holds_the_sale_back_until_its_end_is_known(desk: Desk) -> None:
    holding(desk)
    desk.books.lose_reply()
    desk.books.fail("fetch_order", Unavailable())
    look(2)
    assert the_stop().state == S.UNKNOWN
    price(desk, 47_000)
    for at in (10, 15):
        desk.books.fail("fetch_order", Unavailable())
        desk.books.fail("fetch_order", Unavailable())
        watch.watch_positions(after(at))
    assert (the_stop().state, TradeLog.objects.filter(side="sell").count()) == (S.UNKNOWN, 0)
    look(20)
    assert (the_stop().state, desk.held() < D("0.00001")) == (S.CANCELED, True)


def test_an_exit_that_waits_for_a_stop_says_so_in_the_journal(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def unclear(*_: object) -> bool:
        return False

    with staged(Stage(scripted_candles([0, 1, 0, 2, 0, 0])), monkeypatch.setattr) as stage:
        run = start_run(alice, limits={"stop_loss_pct": "5", "stop_on_exchange": True})
        for index in range(3):
            rounds.whole_round(stage.closes(index))
        with monkeypatch.context() as patched:
            patched.setattr(acting, "clear_resting", unclear)
            rounds.whole_round(stage.closes(3))
        assert Decision.objects.filter(run=run, code=Code.UNRESOLVED_ORDER, order=None).exists()
        rounds.whole_round(stage.closes(3) + timedelta(seconds=3))
    assert Decision.objects.filter(run=run, code=Code.SIGNAL_SELL).exists()


def test_where_no_stop_can_rest_it_is_watched(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connect, "stop_style", lambda exchange: StopStyle.NONE)
    holding(desk)
    look(2)
    assert stop_orders() == []
    price(desk, 47_000)
    look(10)
    assert desk.held() < D("0.00001")


@pytest.mark.parametrize(
    ("exchange", "style"),
    [
        ("binance", StopStyle.LIMIT),
        ("kraken", StopStyle.MARKET),
        ("okx", StopStyle.MARKET),
        ("bybit", StopStyle.MARKET),
        ("kucoin", StopStyle.NONE),
        ("demo", StopStyle.NONE),
    ],
)
def test_each_exchange_says_how_it_takes_a_stop(exchange: str, style: StopStyle) -> None:
    assert connect.stop_style(exchange) is style


def test_a_lost_stop_is_in_doubt_for_as_long_as_the_exchange_may_take_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "stop_lingers", lambda exchange: timedelta(seconds=25))
    holding(desk)
    desk.books.fail("create_order", Unavailable())
    look(2)
    seen = []
    for at in (5, 10, 15, 39.9, 43):
        settling.settle_all(after(at), "test")
        seen.append(the_stop().state)
    assert seen == [S.UNKNOWN] * 4 + [S.NOT_PLACED]


@pytest.mark.parametrize(("exchange", "seconds"), [("okx", 25), ("binance", 0), ("kucoin", 0), ("demo", 0)])
def test_only_okx_may_take_a_stop_later_than_an_order(exchange: str, seconds: int) -> None:
    assert connect.stop_lingers(exchange) == timedelta(seconds=seconds)


def test_a_paper_stop_rests_at_the_simulated_exchange_and_sells_inside_a_candle(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    candles = scripted_candles([0, 1, 0, 0, 0, 0], [100, 100, 100, 100, 100, 100])
    candles.low[3] = 90
    with staged(Stage(candles), monkeypatch.setattr) as stage:
        run = start_run(alice, limits={"stop_loss_pct": "5", "stop_on_exchange": True})
        for index in range(5):
            rounds.whole_round(stage.closes(index))
            if index == 1:
                assert stops.standing(BotRun.objects.get(pk=run.pk)) is not None
    sold = TradeLog.objects.get(run=run, side="sell")
    assert (sold.price, sold.order.type, sold.executed_at) == (D(95), "stop_loss", stage.closes(2))
