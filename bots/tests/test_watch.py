"""Between candles: protections, failed exits, and entries that are called back."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from accounts.audit import CONSOLE
from accounts.models import User
from bots import gates, rounds, watch
from bots.core.codes import Code
from bots.models import BotRun, Decision, GateState, Level, Order, Status, TradeLog
from bots.testing import START, Stage, scripted_candles, staged, start_run
from bots.tests.desk import Desk, after
from exchanges.core.errors import UnknownSymbol


def play(stage: Stage, last: int, first: int = 0) -> None:
    for index in range(first, last + 1):
        rounds.whole_round(stage.closes(index))


RESTING = {"entry_type": "limit", "limit_offset_pct": "1.5"}


def sold(run: BotRun) -> list[tuple[str, D]]:
    sells = TradeLog.objects.filter(run=run, side="sell").order_by("id").select_related("order")
    return [(Decision.objects.get(order=trade.order).code, trade.price) for trade in sells]


@pytest.mark.parametrize(
    ("limits", "prices", "code", "price"),
    [
        ({"stop_loss_pct": "5"}, [100, 100, 100, 96, 95, 94, 94], Code.STOP_LOSS, D(95)),
        ({"take_profit_pct": "10"}, [100, 100, 100, 109, 110, 111, 111], Code.TAKE_PROFIT, D(110)),
        ({"break_even_pct": "5"}, [100, 100, 100, 106, 100.5, 100.2, 100], Code.BREAK_EVEN, D("100.2")),
        ({"trailing_stop_pct": "4"}, [100, 100, 100, 120, 116, 115, 114], Code.TRAILING_STOP, D(115)),
    ],
)
def test_a_protection_sells_at_its_level_once(
    alice: User, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str], prices: list[float], code: Code, price: D
) -> None:
    with staged(Stage(scripted_candles([0, 1, 0, 0, 0, 0, 0], prices)), monkeypatch.setattr) as stage:
        run = start_run(alice, limits=limits)
        play(stage, 5)
    assert sold(run) == [(code, price)]
    run.refresh_from_db()
    assert (run.held, run.status) == (0, Status.RUNNING)


def test_a_price_above_the_stop_sells_nothing(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = [100, 100, 100, 96, 96, 96, 96]
    with staged(Stage(scripted_candles([0, 1, 0, 0, 0, 0, 0], prices)), monkeypatch.setattr) as stage:
        run = start_run(alice, limits={"stop_loss_pct": "5"})
        play(stage, 5)
    assert sold(run) == []


def test_an_exit_that_a_halt_denied_is_made_after_the_resume(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    play(stage, 5)
    gates.switch(Level.RUN, run.pk, "halt", "drill", stage.closes(5), CONSOLE)
    play(stage, 6, 6)
    assert Decision.objects.filter(run=run, code=Code.TRADING_HALTED).exists()
    assert sold(run) == []
    gates.switch(Level.RUN, run.pk, "resume", "drill over", stage.closes(6), CONSOLE)
    rounds.whole_round(stage.closes(7))
    assert sold(run) == [(Code.SIGNAL_SELL, D(108))]


def test_tries_of_an_exit_are_spaced(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    play(stage, 5)
    gates.switch(Level.RUN, run.pk, "halt", "drill", stage.closes(5), CONSOLE)
    for seconds in range(0, 21, 2):
        rounds.whole_round(stage.closes(6) + timedelta(seconds=seconds))
    assert Decision.objects.filter(run=run, code=Code.TRADING_HALTED).count() == 2


def test_flatten_turns_entries_off_before_it_sells(alice: User, stage: Stage) -> None:
    holding, flat = start_run(alice), start_run(alice)
    play(stage, 2)
    gates.switch(Level.RUN, flat.pk, "reduce", "one only", stage.closes(2), CONSOLE)
    play(stage, 3, 3)
    gate = gates.switch(Level.USER, alice.pk, "flatten", "market crash", stage.closes(3), CONSOLE)
    assert gate.state == GateState.REDUCING
    rounds.whole_round(stage.closes(4))
    holding.refresh_from_db()
    flat.refresh_from_db()
    assert sold(holding) == [(Code.MANUAL_CLOSE, D(105))]
    assert (holding.status, flat.status) == (Status.STOPPED, Status.STOPPED)


def test_flatten_sells_what_a_run_in_error_holds(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    play(stage, 4)
    BotRun.objects.update(params={"unknown": 1})
    play(stage, 5, 5)
    assert BotRun.objects.get().status == Status.ERROR
    gates.switch(Level.USER, alice.pk, "flatten", "market crash", stage.closes(5), CONSOLE)
    rounds.whole_round(stage.closes(6))
    run.refresh_from_db()
    assert (run.status, run.held, sold(run)) == (Status.STOPPED, 0, [(Code.MANUAL_CLOSE, D(107))])


def test_flatten_sells_for_runs_in_error_although_another_has_taken_the_place_of_one(desk: Desk) -> None:
    def in_error(symbol: str) -> BotRun:
        run = BotRun.objects.get(pk=desk.run.pk)
        run.pk, run._state.adding, run.symbol, run.status, run.held = None, True, symbol, Status.ERROR, D(1)
        run.save()
        return run

    replaced, free = in_error(desk.run.symbol), in_error("ETH/USDT")
    gates.switch(Level.USER, desk.run.user_id, "flatten", "market crash", after(0), CONSOLE)
    found = dict(BotRun.objects.values_list("pk", "status"))
    assert found == {desk.run.pk: Status.STOPPING, replaced.pk: Status.ERROR, free.pk: Status.STOPPING}


def test_what_a_run_in_error_holds_is_still_protected(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = [100, 100, 100, 99, 95, 94, 94]
    with staged(Stage(scripted_candles([0, 1, 0, 0, 0, 0, 0], prices)), monkeypatch.setattr) as stage:
        run = start_run(alice, limits={"stop_loss_pct": "5"})
        play(stage, 2)
        BotRun.objects.update(params={"unknown": 1})
        play(stage, 5, 3)
    run.refresh_from_db()
    assert sold(run) == [(Code.STOP_LOSS, D(95))]
    assert (run.status, run.held) == (Status.ERROR, 0)


def test_an_entry_of_a_run_in_error_is_called_back(alice: User, stage: Stage) -> None:
    run = start_run(alice, limits=RESTING)
    play(stage, 3)
    assert run.orders.get().state == "OPEN"
    BotRun.objects.update(status=Status.ERROR)
    watch.watch_positions(stage.closes(3))
    order = run.orders.get()
    assert (order.state, order.events.filter(cause__contains="the run is in error").exists()) == ("CANCELED", True)


def test_the_switch_wants_a_known_action_and_a_reason(alice: User) -> None:
    with pytest.raises(ValueError, match="action"):
        gates.switch(Level.PLATFORM, 0, "explode", "because", START, CONSOLE)
    with pytest.raises(ValueError, match="reason"):
        gates.switch(Level.PLATFORM, 0, "halt", "  ", START, CONSOLE)


@pytest.mark.parametrize("level", [Level.PLATFORM, Level.USER, Level.RUN])
def test_a_switch_speaks_for_the_runs_below_it(alice: User, bob: User, stage: Stage, level: Level) -> None:
    run, other = start_run(alice), start_run(bob)
    target = {Level.PLATFORM: 0, Level.USER: alice.pk, Level.RUN: run.pk}[level]
    gates.switch(level, target, "halt", "drill", START, CONSOLE)
    play(stage, 4)
    assert not Order.objects.filter(run=run).exists()
    assert Order.objects.filter(run=other).exists() == (level != Level.PLATFORM)


def test_a_resting_entry_is_called_back_by_a_halt(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    play(stage, 2)
    # Between two recorded prices an order rests until the next one.
    rounds.whole_round(stage.closes(3) + timedelta(seconds=1))
    order = Order.objects.get(run=run)
    assert order.state == "OPEN"
    gates.switch(Level.RUN, run.pk, "halt", "drill", stage.closes(3), CONSOLE)
    watch.watch_positions(stage.closes(3) + timedelta(seconds=2))
    order.refresh_from_db()
    assert (order.state, order.filled) == ("CANCELED", 0)


def test_a_limit_entry_rests_and_is_filled_at_its_price(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = [100, 100, 100, 99.5, 98, 98, 98, 98]
    with staged(Stage(scripted_candles([0, 1, 0, 0, 0, 0, 0, 0], prices)), monkeypatch.setattr) as stage:
        run = start_run(alice, limits=RESTING | {"limit_timeout_seconds": 300})
        play(stage, 2)
        order = Order.objects.get(run=run)
        assert (order.state, order.rests, order.limit_price) == ("OPEN", True, D("98.50"))
        assert order.rest_until == stage.closes(1) + timedelta(seconds=300)
        play(stage, 4, 3)
    order.refresh_from_db()
    assert (order.state, order.average) == ("FILLED", D(98))


def test_a_limit_entry_is_called_back_in_time_and_the_next_signal_decides_anew(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = [100, 100, 100, 101, 102, 102, 102, 102]
    with staged(Stage(scripted_candles([0, 1, 0, 1, 0, 0, 0, 0], prices)), monkeypatch.setattr) as stage:
        run = start_run(alice, limits=RESTING)
        play(stage, 2)
        first = Order.objects.get(run=run)
        # One candle is the time of an entry that was not told another.
        assert (first.state, first.filled) == ("CANCELED", 0)
        assert first.events.filter(to_state="CANCELING", cause="rested as long as it might").exists()
        play(stage, 3, 3)
        assert sorted(Order.objects.filter(run=run).values_list("limit_price", flat=True)) == [D("98.50"), D("100.47")]


def test_an_exit_signal_clears_the_rest_of_a_limit_entry(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    prices = [100, 100, 100, 98, 98, 98, 98]
    with staged(Stage(scripted_candles([0, 1, 0, 0, 2, 0, 0], prices)), monkeypatch.setattr) as stage:
        run = start_run(alice, limits=RESTING | {"limit_timeout_seconds": 3600})
        play(stage, 5)
    assert sold(run) == [(Code.SIGNAL_SELL, D(98))]
    assert not Order.objects.filter(run=run).live().exists()


def test_a_market_without_a_price_leaves_the_run_alone(alice: User, stage: Stage) -> None:
    run = start_run(alice, limits={"stop_loss_pct": "1"})
    play(stage, 4)
    stage.down = True
    report = watch.watch_positions(stage.closes(5))
    assert len(report.faults) == 1
    assert sold(run) == []


def test_one_run_that_cannot_be_watched_never_stops_the_others(
    alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with staged(Stage(scripted_candles([0, 1, 0, 0, 0], [100, 100, 100, 100, 90])), monkeypatch.setattr) as stage:
        broken, sound = (start_run(alice, limits={"stop_loss_pct": "5"}) for _ in range(2))
        play(stage, 2)
        BotRun.objects.filter(pk=broken.pk).update(limits={"of": "another version"})
        report = watch.watch_positions(stage.closes(3))
    assert report.faults == [f"run {broken.pk}: LimitError"]
    assert list(Order.objects.filter(side="sell").values_list("run_id", flat=True)) == [sound.pk]


def test_an_order_of_a_market_that_is_listed_no_more_never_stops_the_call_of_others(
    alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (start_run(alice, limits=RESTING) for _ in range(2))
    play(stage, 3)
    call_back, called = watch.acting.call_back, []

    def unlisted(order: Order, *args: object) -> None:
        called.append(order.run_id)
        if order.run_id == first.pk:
            raise UnknownSymbol("demo lists no 'BTC/USDT'.")
        call_back(order, *args)

    monkeypatch.setattr(watch.acting, "call_back", unlisted)
    gates.switch(Level.USER, alice.pk, "reduce", "drill", stage.closes(3), CONSOLE)
    report = watch.watch_positions(stage.closes(3))
    assert called == [first.pk, second.pk]
    assert report.faults == [f"order {first.orders.get().pk}: demo lists no 'BTC/USDT'."]
