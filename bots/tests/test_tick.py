"""Ticks: candles become decisions and orders once, whatever is repeated, late or down."""

from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import bots.connect
from accounts.audit import CONSOLE
from accounts.models import User
from bots import acting, arming, lifecycle, orders, rounds, tick, watch
from bots.core.codes import Code
from bots.models import BotRun, Decision, Fill, Order, RunPosition, Status, TradeLog, TradingAccount
from bots.testing import Stage, scripted_candles, start_run
from bots.tests.desk import Desk, after
from bots.tick import MarketKey
from exchanges import market_data
from exchanges.core.errors import UnknownSymbol
from exchanges.core.orders import Quote
from exchanges.models import ExchangeKey
from exchanges.testing import FakeExchange
from strategies.core.strategy import StrategyRegistry

KEY = MarketKey("demo", "BTC/USDT", "1m")


def tick_through(stage: Stage, first: int = 0, last: int | None = None) -> None:
    for index in range(first, len(stage.candles) - 1 if last is None else last + 1):
        rounds.whole_round(stage.closes(index))


def codes(run: BotRun) -> list[str]:
    return list(Decision.objects.filter(run=run).order_by("id").values_list("code", flat=True))


def test_a_scripted_stretch_becomes_the_trades_it_asks_for(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    tick_through(stage)
    trades = list(TradeLog.objects.filter(run=run).order_by("id").values_list("side", "price", "executed_at"))
    # A signal at a candle's close fills at the next one's open.
    assert trades == [("buy", D(104), stage.closes(3)), ("sell", D(107), stage.closes(6))]
    assert codes(run) == [
        *[Code.NO_SIGNAL] * 3, Code.SIGNAL_BUY, Code.NO_SIGNAL, Code.NO_SIGNAL, Code.SIGNAL_SELL, *[Code.NO_SIGNAL] * 2,
    ]  # fmt: skip
    run.refresh_from_db()
    assert run.status == Status.RUNNING
    assert run.held == 0


def test_every_tick_three_times_changes_nothing(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    for index in range(len(stage.candles) - 1):
        for _ in range(3):
            rounds.whole_round(stage.closes(index))
    assert (Order.objects.count(), Fill.objects.count()) == (2, 2)
    assert len(codes(run)) == len(stage.candles) - 1


def test_one_market_is_asked_once_for_any_number_of_runs(alice: User, stage: Stage) -> None:
    for _ in range(5):
        start_run(alice)
    before = stage.asked
    tick.tick_market(KEY, stage.closes(0))
    assert stage.asked - before == 1


@pytest.mark.parametrize("runs", [3, 40])
def test_statements_of_an_idle_tick_do_not_grow_with_the_runs(alice: User, stage: Stage, runs: int) -> None:
    for _ in range(runs):
        start_run(alice)
    with CaptureQueriesContext(
        connection,
    ) as captured:
        tick.tick_market(KEY, stage.closes(1))
    assert Decision.objects.count() == runs
    assert len([query for query in captured if "SAVEPOINT" not in query["sql"]]) <= 6


def test_an_exchange_that_is_down_is_told_once_per_candle_and_caught_up_with(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    tick_through(stage, 0, 4)
    stage.down = True
    at = stage.closes(5)
    for seconds in (0, 3, 6):
        report = tick.tick_due(at + timedelta(seconds=seconds))
        assert report.faults
    run.refresh_from_db()
    assert codes(run).count(Code.EXCHANGE_UNAVAILABLE) == 1
    assert (run.status, "No order was sent" in run.status_reason) == (Status.RUNNING, True)
    stage.down = False
    tick_through(stage, 7, 7)
    # The exit on candle 6 was missed while the exchange was down; giving up risk late is better than never.
    assert list(TradeLog.objects.order_by("id").values_list("side", flat=True)) == ["buy", "sell"]
    run.refresh_from_db()
    assert (run.held, run.status_reason) == (0, "")


def test_an_entry_that_was_missed_is_told_and_not_made_up_for(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    tick_through(stage, 0, 2)
    tick_through(stage, 5, 5)
    assert not Order.objects.exists()
    assert codes(run) == [*[Code.NO_SIGNAL] * 3, Code.DATA_STALE, Code.NO_SIGNAL, Code.NO_SIGNAL]


def test_stale_candles_never_open_a_position(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    stage.candles = stage.candles[:4]
    late = stage.closes(3) + timedelta(seconds=91)
    rounds.whole_round(late)
    assert codes(run)[-1] in (Code.DATA_STALE, Code.EXCHANGE_UNAVAILABLE)
    assert not Order.objects.exists()


def test_a_paused_run_makes_no_entry_and_keeps_its_exits(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    tick_through(stage, 0, 3)
    BotRun.objects.filter(pk=run.pk).update(status=Status.PAUSED)
    tick_through(stage, 4, 8)
    assert list(TradeLog.objects.order_by("id").values_list("side", flat=True)) == ["buy", "sell"]


def test_a_paused_run_says_that_it_is_paused(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    BotRun.objects.filter(pk=run.pk).update(status=Status.PAUSED)
    tick_through(stage, 0, 3)
    assert codes(run)[-1] == Code.RUN_PAUSED
    assert not Order.objects.exists()


def test_a_run_whose_strategy_is_gone_errs_and_the_others_go_on(alice: User, stage: Stage) -> None:
    broken, sound = start_run(alice), start_run(alice)
    BotRun.objects.filter(pk=broken.pk).update(params={"unknown": 1})
    report = tick.tick_due(stage.closes(0))
    broken.refresh_from_db()
    assert (broken.status, "unknown" in broken.status_reason) == (Status.ERROR, True)
    assert codes(sound) == [Code.NO_SIGNAL]
    assert len(report.faults) == 1


def test_a_stop_goes_on_although_the_strategy_is_gone(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    tick_through(stage, 0, 3)
    BotRun.objects.filter(pk=run.pk).update(params={"unknown": 1})
    tick.tick_due(stage.closes(4))
    run = lifecycle.stop(BotRun.objects.get(), "close", stage.closes(4), CONSOLE)
    tick.tick_due(stage.closes(5))
    run.refresh_from_db()
    assert (run.status, run.held > 0, run.next_check_at > stage.closes(5)) == (Status.STOPPING, True, True)
    watch.watch_positions(stage.closes(5))
    run.refresh_from_db()
    assert (run.status, run.held) == (Status.STOPPED, 0)


def test_two_workers_on_one_run_place_one_order(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    tick_through(stage, 0, 2)
    BotRun.objects.filter(pk=run.pk).update(lease_owner="other", lease_until=stage.closes(3) + timedelta(seconds=5))
    tick.tick_due(stage.closes(3))
    assert not Order.objects.exists()
    rounds.whole_round(stage.closes(3) + timedelta(seconds=6))
    assert Order.objects.count() == 1


def test_a_first_tick_decides_on_the_last_closed_candle_only(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    rounds.whole_round(stage.closes(5))
    assert codes(run) == [Code.NO_SIGNAL]


def test_second_candles_act_on_a_signal_that_is_a_moment_old(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    from bots.testing import staged

    candles = scripted_candles([0, 0, 1, 0, 0, 0], timeframe="1s")
    with staged(Stage(candles, timeframe="1s"), monkeypatch.setattr) as seconds:
        start_run(alice, timeframe="1s")
        rounds.whole_round(seconds.closes(0))
        rounds.whole_round(seconds.closes(4))
    assert Order.objects.get().decision_key.startswith("candle:2024-01-15T00:00:02Z")


def test_due_markets_are_those_with_an_unseen_candle(alice: User, stage: Stage) -> None:
    start_run(alice)
    at = stage.closes(2)
    assert tick.due_markets(at) == [KEY]
    tick.tick_due(at)
    assert tick.due_markets(at) == []
    assert tick.due_markets(stage.closes(3), "5m") == []
    assert tick.due_markets(stage.closes(3), "1m") == [KEY]


def test_one_run_s_trouble_never_stops_the_others(
    alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = start_run(alice), start_run(alice)
    tick_through(stage, 0, 2)
    act = tick.acting.act

    def stumble(run: BotRun, *args: object, **options: object) -> object:
        if run.pk == broken.pk:
            raise ZeroDivisionError("a bug")
        return act(run, *args, **options)

    monkeypatch.setattr(tick.acting, "act", stumble)
    report = tick.tick_due(stage.closes(3))
    assert report.faults == [f"run {broken.pk}: ZeroDivisionError"]
    assert list(Order.objects.values_list("run_id", flat=True)) == [sound.pk]


def test_a_stop_order_that_stumbles_never_stops_the_others(
    alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = start_run(alice), start_run(alice)
    tick_through(stage, 0, 2)

    def stumble(run_id: int, at: object) -> None:
        if run_id == broken.pk:
            raise UnknownSymbol("demo lists no 'BTC/USDT'.")

    monkeypatch.setattr(tick.stops, "protect", stumble)
    for _ in range(2):
        report = tick.tick_due(stage.closes(3))
    assert (report.faults, report.orders) == ([], [])
    assert list(Order.objects.order_by("run_id").values_list("run_id", flat=True)) == [broken.pk, sound.pk]


def test_a_strategy_that_stumbles_silences_its_own_runs_only(
    alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stumbling, sound = start_run(alice, strategy="rsi_cross"), start_run(alice)
    monkeypatch.setattr(StrategyRegistry.get("rsi_cross"), "signals", lambda self, candles: 1 / 0)
    report = tick.tick_due(stage.closes(0))
    assert [fault.split("(")[0] for fault in report.faults] == ["RSICrossStrategy"]
    assert (codes(stumbling), codes(sound)) == ([], [Code.NO_SIGNAL])


def test_a_strategy_that_stumbles_over_its_words_silences_nobody_else(
    alice: User, stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    stumbling, sound = start_run(alice, strategy="rsi_cross"), start_run(alice)
    monkeypatch.setattr(StrategyRegistry.get("rsi_cross"), "reason", lambda self, *given, **named: 1 / 0)
    report = tick.tick_due(stage.closes(0))
    assert report.faults == [f"run {stumbling.pk}: ZeroDivisionError"]
    assert (codes(stumbling), codes(sound)) == ([], [Code.NO_SIGNAL])


class SlowExchange(FakeExchange):
    """Looking at a price takes three seconds; its clock is the one that goes on meanwhile."""

    passed = 0.0

    def fetch_quote(self, symbol: str) -> Quote:
        SlowExchange.passed += 3
        self.at = after(122 + SlowExchange.passed)
        return super().fetch_quote(symbol)


def _run_of_another_key(desk: Desk, number: int) -> None:
    key = ExchangeKey.objects.create(
        owner=desk.run.user, exchange="binance", label=f"key {number}", encrypted_key="x", encrypted_secret="x",
        created_at=after(0), permissions=ExchangeKey.Permissions.TRADE, can_withdraw=False, last_checked_at=after(0),
        fingerprint=f"{number}",
    )  # fmt: skip
    arming.arm(key, "console", after(0), CONSOLE)
    account = TradingAccount.objects.create(owner=desk.run.user, mode="live", exchange="binance", key=key)
    run = BotRun.objects.get(pk=desk.run.pk)
    run.pk, run._state.adding, run.key, run.account = None, True, key, account
    run.save()
    RunPosition.objects.create(run=run)


def test_the_last_of_many_live_runs_signs_with_its_own_instant(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    SlowExchange.passed = 0.0
    for module in (acting, orders):
        monkeypatch.setattr(module, "monotonic", lambda: SlowExchange.passed)
    monkeypatch.setattr(bots.connect, "open_account", lambda account, at: SlowExchange(desk.books, at))
    candles = scripted_candles([0, 1], [50_000, 50_000])
    monkeypatch.setattr(market_data, "closed_candles", lambda *given: candles.closed(given[-1], "1m"))
    for number in range(3):
        _run_of_another_key(desk, number)
    report = tick.tick_market(MarketKey("binance", "BTC/USDT", "1m"), after(122))
    assert (report.faults, len(report.orders)) == ([], 4)
    assert list(Order.objects.order_by("id").values_list("state", flat=True)) == ["FILLED"] * 4
    signed = [(order.sent_at - after(122)).total_seconds() for order in desk.books.sent]
    assert signed == [3, 6, 9, 12]
