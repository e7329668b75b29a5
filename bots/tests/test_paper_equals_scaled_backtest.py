"""Law 2 for a position in several stakes: bought, added to and sold live as in the backtest, to the last digit."""

from datetime import UTC, datetime
from decimal import Decimal as D
from typing import Any

import pytest

from accounts.models import User
from bots import settling, tick, watch
from bots.core.backtest import engine
from bots.core.backtest.terms import Outcome, Terms
from bots.core.limits import parse_limits
from bots.models import BotRun, Decision, Order
from bots.testing import MARKET, Stage, staged, start_run
from bots.tests.test_paper_equals_backtest import Fact, facts_of_run, recorded, synthetic
from exchanges.core.candles import Candles, from_ms, timeframe_ms
from strategies import queries as strategies

HOUR = timeframe_ms("1h")
#: Each case buys several stakes and sells at a profit, some at a loss.
CASES: list[dict[str, Any]] = [
    {"every": "4h", "stakes": 5, "drop_pct": "0.5", "take_profit_pct": "1"},
    {"every": "1h", "stakes": 3, "drop_pct": "1", "take_profit_pct": "2", "stop_loss_pct": "3"},
    {"every": "12h", "stakes": 8, "drop_pct": "0", "take_profit_pct": "1.5", "mean_period": 24},
]


def still(candles: Candles) -> Candles:
    """Candles that stand at their open: the price that a watch sees is then all that happens inside."""
    opened = candles.open
    return Candles(candles.opened_at, opened, opened, opened, opened, candles.volume)


def ticked(user: User, stage: Stage, **wanted: Any) -> BotRun:
    """At each close the strategy first, at the next open; then the levels, as inside that candle."""
    run = start_run(user, timeframe="1h", **wanted)
    for opened in stage.candles.opened_at[:-1].tolist():
        at = from_ms(opened + HOUR)
        tick.tick_due(at)
        settling.settle_all(at, "test")
        watch.watch_positions(at)
        settling.settle_all(at, "test")
    return run


def facts_of(outcome: Outcome, candles: Candles) -> list[Fact]:
    gains = [trade.pnl for trade in outcome.trades][::-1]
    return [
        (
            fill.side.value, from_ms(int(candles.opened_at[fill.candle])), fill.price, fill.amount, fill.fee,
            gains.pop() if fill.side == "sell" else None,
        )
        for fill in outcome.fills
    ]  # fmt: skip


def told(candles: Candles, params: dict[str, Any]) -> Outcome:
    strategy = strategies.rebuild("dca", params)
    limits = parse_limits(strategy.protections)
    return engine.run(candles, strategy.signals(candles), Terms(D(1000), MARKET, limits))


@pytest.mark.parametrize("params", CASES)
def test_stakes_of_a_recording_are_the_backtests(
    alice: User, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any]
) -> None:
    candles = still(recorded("btcusdt_1h_binance_2024-01_2024-04.csv", datetime(2024, 1, 1, tzinfo=UTC), 400))
    with staged(Stage(candles, timeframe="1h"), monkeypatch.setattr) as stage:
        run = ticked(alice, stage, strategy="dca", params=params)
    expected = told(candles, params)
    assert facts_of_run(run) == facts_of(expected, candles)
    assert len(expected.trades) >= 2
    assert max(int(fill.leg[4:]) for fill in expected.fills if fill.side == "buy") >= 2


def test_stakes_survive_a_worker_that_knows_nothing(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known of the stakes is in the books: the journal counts them on from there."""
    candles, params = still(synthetic(200)), CASES[1]
    with staged(Stage(candles, timeframe="1h"), monkeypatch.setattr) as stage:
        run = ticked(alice, stage, strategy="dca", params=params)
    assert facts_of_run(run) == facts_of(told(candles, params), candles)
    legs = [order.intent.slot_leg for order in Order.objects.filter(run=run, side="buy").order_by("id")]
    assert {"dca:1", "dca:2"} <= set(legs)
    said = [row.reason for row in Decision.objects.filter(run=run, action="BUY").order_by("id")]
    assert [text.rsplit("Stake ", 1)[1] for text in said] == [f"{leg[4:]} of 3." for leg in legs]
    waiting = Decision.objects.filter(run=run, code="ALREADY_IN_POSITION", reason__contains="waits for").count()
    assert waiting > 0
