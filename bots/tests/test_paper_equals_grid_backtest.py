"""Law 2 for a grid: what rests is filled, and placed again, live as in the backtest, to the last digit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from accounts.audit import CONSOLE
from accounts.models import User
from bots import gates, ledger, lifecycle, rounds, settling
from bots.core.backtest import engine
from bots.core.backtest.terms import Outcome, Terms
from bots.core.limits import parse_limits
from bots.models import BotRun, Decision, Level, Order, RunPosition
from bots.testing import MARKET, Stage, staged, start_run
from bots.tests.test_paper_equals_backtest import Fact, facts_of_run, recorded, synthetic
from exchanges.core.candles import Candles, from_ms, timeframe_ms
from exchanges.core.orders import Side
from strategies import queries as strategies

HOUR = timeframe_ms("1h")
JANUARY = datetime(2024, 1, 1, tzinfo=UTC)
FILE = "btcusdt_1h_binance_2024-01_2024-04.csv"
CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"lower": "41500", "upper": "45500", "levels": 7}, {}),
    ({"lower": "42600", "upper": "45600", "levels": 6, "spacing": "arithmetic", "stop_pct": "0.5"}, {}),
    ({"lower": "41500", "upper": "45500", "levels": 6}, {"max_position_notional": "400", "max_loss_streak": 2}),
]
COUNT = 80


def ticked(user: User, stage: Stage, limits: dict[str, Any], params: dict[str, Any], *, every: Any = None) -> BotRun:
    run = start_run(user, timeframe="1h", strategy="grid", params=params, limits=limits)
    for opened in stage.candles.opened_at[:-1].tolist():
        rounds.whole_round(from_ms(opened + HOUR))
        if every is not None:
            every(run)
    settling.settle_all(from_ms(int(stage.candles.opened_at[-1]) + HOUR), "test")
    return run


def told(candles: Candles, params: dict[str, Any], limits: dict[str, Any]) -> Outcome:
    signals = strategies.rebuild("grid", params).signals(candles)
    return engine.run(candles, signals, Terms(D(1000), MARKET, parse_limits(limits)))


def facts_of(outcome: Outcome, candles: Candles) -> list[Fact]:
    """The fills; what a sell earned is summed over the trades that it ended."""
    gains: dict[tuple[int, D], D] = {}
    for trade in outcome.trades:
        gains[trade.exit, trade.exit_price] = gains.get((trade.exit, trade.exit_price), D(0)) + trade.pnl
    return [
        (
            fill.side.value, from_ms(int(candles.opened_at[fill.candle])), fill.price, fill.amount, fill.fee,
            None if fill.side is Side.BUY else gains[fill.candle, fill.price].quantize(D("1e-12")),
        )
        for fill in outcome.fills
    ]  # fmt: skip


def rounded(facts: list[Fact]) -> list[Fact]:
    return [(*fact[:5], None if fact[5] is None else fact[5].quantize(D("1e-12"))) for fact in facts]


@pytest.mark.parametrize(("params", "limits"), CASES)
def test_a_recorded_grid_is_the_backtests(
    alice: User, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], limits: dict[str, Any]
) -> None:
    candles = recorded(FILE, JANUARY, COUNT)
    with staged(Stage(candles, timeframe="1h"), monkeypatch.setattr) as stage:
        run = ticked(alice, stage, limits, params)
    expected = told(candles, params, limits)
    assert rounded(facts_of_run(run)) == facts_of(expected, candles)
    assert len(expected.trades) >= 3
    row = RunPosition.objects.get(run=run)
    assert ledger.refold(run) == ledger.position_of(row)
    assert (row.amount, row.cash, row.entry_price) == (
        expected.position.amount, expected.position.cash, expected.position.entry_price,
    )  # fmt: skip


def test_a_synthetic_grid_is_the_backtests_and_every_order_has_its_reason(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    candles = synthetic(60)
    first = float(candles.open[0])
    params = {"lower": f"{first * 0.97:.2f}", "upper": f"{first * 1.03:.2f}", "levels": 6}
    live: list[int] = []
    with staged(Stage(candles, timeframe="1h"), monkeypatch.setattr) as stage:
        run = ticked(alice, stage, {}, params, every=lambda run: live.append(run.orders.live().count()))
    assert rounded(facts_of_run(run)) == facts_of(told(candles, params, {}), candles)
    assert max(live) <= 5
    for order in Order.objects.filter(run=run):
        (row,) = Decision.objects.filter(order=order)
        assert row.decision_key.endswith(f":{order.intent.slot_leg}:{order.side}")
        assert row.reason.startswith("Line ")


def small(alice: User, monkeypatch: pytest.MonkeyPatch, upto: int, **wanted: Any) -> tuple[BotRun, Stage, Any]:
    candles = recorded(FILE, JANUARY, COUNT)
    context = staged(Stage(candles, timeframe="1h"), monkeypatch.setattr)
    stage = context.__enter__()
    run = start_run(alice, timeframe="1h", strategy="grid", params=CASES[0][0], **wanted)
    for index in range(upto):
        rounds.whole_round(stage.closes(index))
    return run, stage, context


def legs_of(run: BotRun, side: str) -> set[str]:
    return {order.intent.slot_leg for order in run.orders.live().filter(side=side)}


def test_the_kill_switch_calls_resting_buys_back_and_leaves_the_sells(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, stage, _ = small(alice, monkeypatch, 1)
    index = 1
    while index < COUNT - 4 and not (legs_of(run, "buy") and legs_of(run, "sell")):
        rounds.whole_round(stage.closes(index))
        index += 1
    assert (bool(legs_of(run, "buy")), bool(legs_of(run, "sell"))) == (True, True)
    at = stage.closes(index - 1)
    gates.switch(Level.RUN, run.pk, "reduce", "drill", at, CONSOLE)
    rounds.whole_round(at + timedelta(seconds=5))
    assert (legs_of(run, "buy"), bool(legs_of(run, "sell"))) == (set(), True)
    rounds.whole_round(stage.closes(index))
    assert legs_of(run, "buy") == set()
    # One row says why, not one per line.
    assert Decision.objects.filter(run=run, code="STATE_REDUCING").count() == 1
    gates.switch(Level.RUN, run.pk, "resume", "over", stage.closes(index), CONSOLE)
    rounds.whole_round(stage.closes(index + 1))
    assert legs_of(run, "buy")


@pytest.mark.parametrize("ending", ["keep", "close"])
def test_a_stop_leaves_nothing_at_the_exchange(alice: User, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    run, stage, _ = small(alice, monkeypatch, 1)
    index = 1
    while index < COUNT - 4 and not (legs_of(run, "buy") and legs_of(run, "sell")):
        rounds.whole_round(stage.closes(index))
        index += 1
    run.refresh_from_db()
    held = run.held
    assert held > 0
    at = stage.closes(index - 1)
    lifecycle.stop(run, ending, at + timedelta(seconds=10), CONSOLE)
    # What is sold fills at the next recorded price.
    for later in (at + timedelta(seconds=20), at + timedelta(seconds=30), stage.closes(index), stage.closes(index)):
        rounds.whole_round(later)
    run.refresh_from_db()
    assert (run.status, run.orders.live().count()) == ("stopped", 0)
    assert run.held == (held if ending == "keep" else 0)
    # Whatever was sold together belongs to no line any more.
    assert bool(ledger.lots_of(run)) == (ending == "keep")


def test_a_second_tick_of_the_same_candle_places_nothing_twice(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    run, stage, _ = small(alice, monkeypatch, 8)
    before = list(run.orders.values_list("id", "state"))
    for _ in range(2):
        BotRun.objects.filter(pk=run.pk).update(last_candle_at=None, next_check_at=lifecycle.NEVER)
        rounds.whole_round(stage.closes(7))
    assert list(run.orders.values_list("id", "state")) == before


def test_an_impossible_grid_is_refused_at_the_start(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    candles = synthetic(10)
    with staged(Stage(candles, timeframe="1h"), monkeypatch.setattr):
        for params, limits, named in (
            ({"lower": "40000", "upper": "40001"}, {}, "params.levels"),
            ({"lower": "10000", "upper": "90000", "levels": 100}, {}, None),
            ({"lower": "10000", "upper": "90000", "levels": 100}, {"stop_loss_pct": "5"}, "limits.stop_loss_pct"),
        ):
            wanted = {"strategy": "grid", "timeframe": "1h", "params": params, "limits": limits}
            if named is None:
                assert start_run(alice, **wanted).pk
                continue
            with pytest.raises(lifecycle.Invalid) as refused:
                start_run(alice, **wanted)
            assert list(refused.value.errors) == [named]
