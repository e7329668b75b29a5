"""The drift report over runs that really lived: none where nothing happened, and each thing that happened by name."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest

import bots.connect
from accounts.audit import CONSOLE
from accounts.models import User
from bots import gates, lifecycle
from bots.models import BotRun, DriftReport, RiskLimits
from bots.testing import START, ScriptedStrategy, Stage, scripted_candles, staged
from bots.tests.drift_cast import DAY, Lives, causes, live, reported, store
from exchanges import connect
from exchanges.adapters.paper import PaperExchange
from exchanges.core import demo
from exchanges.core.candle_csv import read_candle_csv
from exchanges.core.candles import Candles, to_ms
from exchanges.core.simulated import SimulationModel
from strategies.core.signals import Signals
from tradingbot.tests.places import DATA_DIR, NO_DATA

#: Buys on candle 3, sells on 8, buys on 12, sells on 16; the price moves, so that every delay costs something.
SCRIPT = [0, 0, 0, 1, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]
PRICES = [100, 101, 102, 103, 104, 106, 105, 107, 108, 110, 109, 108, 107, 109, 111, 112, 114, 113, 115, 116]
#: A stake in every hour in which it is at least a tenth of a percent cheaper, and nothing is sold on the way.
DCA = {"every": "1h", "stakes": 12, "drop_pct": "0.1", "take_profit_pct": "900"}
Patch = Callable[[Any, str, Any], None]


def acted(
    user: User, patch: Patch, prepare: Callable[[Lives], Any] = lambda lives: None, *,
    script: list[float] | None = None, prices: Sequence[float] = PRICES, **wanted: Any,
) -> Lives:  # fmt: skip
    """The scripted day lived, with whatever ``prepare`` arranges, and its candles stored as they were."""
    candles = scripted_candles(script or SCRIPT, prices)
    with staged(Stage(candles), patch) as stage:
        lives = live(user, stage, **wanted)
        prepare(lives)
        lives.through()
    store(candles, "1m")
    return lives


def checked(report: DriftReport) -> DriftReport:
    """What holds of every report: nothing is left over, and the sums are the rows'."""
    rows = report.document["rows"]
    assert report.remainder == 0
    assert report.difference == report.live_pnl - report.replay_pnl == sum(D(row["effect"]) for row in rows)
    assert sum(report.counts.values()) == len(rows) == report.trades
    assert sum((D(effect) for effect in report.effects.values()), D(0)) == report.difference
    return report


def the_other(report: DriftReport) -> dict[str, Any]:
    """The one trade that is not the same."""
    (other,) = [row for row in report.document["rows"] if row["cause"] != "SAME"]
    return other


def model_of(patch: Patch, **facts: Any) -> None:
    """The simulated exchange, less kind than usual."""

    def opened(account: Any, at: datetime) -> PaperExchange:
        return PaperExchange(account.wallet, connect.open_public("demo", at), at, SimulationModel(**facts))

    patch(bots.connect, "open_account", opened)


def test_a_day_of_the_script_went_as_its_replay(alice, monkeypatch):
    lives = acted(alice, monkeypatch.setattr)
    report = checked(reported(lives.run))
    assert causes(report) == ["SAME"] * 4
    assert (report.difference, report.counts, report.unexplained) == (0, {"SAME": 4}, 0)
    assert report.live_pnl > 0


RECORDED = [
    ("rsi_cross", {"rsi_method": "cutler", "oversold": 40, "overbought": 60}, {}),
    ("mean_reversion", {}, {"cooldown_seconds": 7200, "max_loss_streak": 3}),
]


@pytest.mark.parametrize(("strategy", "params", "limits"), RECORDED)
def test_recorded_days_went_as_their_replays(alice, monkeypatch, strategy, params, limits):
    path = DATA_DIR / "btcusdt_1h_binance_2024-01_2024-04.csv"
    if not path.is_file():
        pytest.skip(NO_DATA)
    candles, _ = read_candle_csv(path, "1h", datetime(2026, 1, 1, tzinfo=UTC))
    lived = candles.since(START - timedelta(days=10))[: 24 * 18]
    lived_from = int(np.searchsorted(lived.opened_at, to_ms(START)))
    monkeypatch.setattr("bots.tests.drift_cast.rounds.assess.recheck_keys", lambda at: None)
    with staged(Stage(lived, timeframe="1h"), monkeypatch.setattr) as stage:
        lives = live(alice, stage, strategy=strategy, params=params, limits=limits)
        lives.through(range(lived_from, len(lived) - 1))
        store(lived, "1h", START + timedelta(days=30))
        days = [DAY + timedelta(days=back) for back in range(8)]
        reports = [checked(reported(lives.run, day, START + timedelta(days=20))) for day in days]
    assert {cause for report in reports for cause in causes(report)} == {"SAME"}
    assert all(report.difference == 0 for report in reports)
    assert sum(report.trades for report in reports) >= 6


def test_a_candle_that_came_late_is_late_data(alice, monkeypatch):
    def withheld(lives: Lives) -> None:
        whole = lives.stage.candles
        # At the close of candle 3 the exchange shows candle 2 as the last one; a tick later it is there.
        lives.happens[3] = lambda: setattr(lives.stage, "hidden", 1)
        lives.happens[4] = lambda: setattr(lives.stage, "hidden", 0)
        asked = lives.stage.closed_candles

        def closed(exchange: str, symbol: str, timeframe: str, count: int, at: datetime) -> Candles:
            found = asked(exchange, symbol, timeframe, count, at)
            hidden = getattr(lives.stage, "hidden", 0)
            return found[: len(found) - hidden] if hidden else found

        monkeypatch.setattr("exchanges.market_data.closed_candles", closed)
        assert len(whole) == len(SCRIPT)

    report = checked(reported(acted(alice, monkeypatch.setattr, withheld).run))
    other = the_other(report)
    assert (other["cause"], other["code"], other["live"]) == ("LATE_DATA", "DATA_STALE", None)
    assert other["facts"]["seconds_late"] == 60
    assert D(other["effect"]) == report.difference < 0


def test_an_outage_is_told_with_its_stretch(alice, monkeypatch):
    def away(lives: Lives) -> None:
        lives.happens |= {index: lambda: False for index in range(2, 7)}

    report = checked(reported(acted(alice, monkeypatch.setattr, away).run))
    other = the_other(report)
    assert (other["cause"], other["live"]) == ("OUTAGE", None)
    assert "Nothing was written down from 00:02:00 to 00:08:00 UTC" in other["why"]
    assert causes(report)[1:] == ["SAME", "SAME"]


def test_an_exchange_that_does_not_answer_is_an_outage(alice, monkeypatch):
    def down(lives: Lives) -> None:
        lives.happens[3] = lambda: setattr(lives.stage, "down", True)
        lives.happens[4] = lambda: setattr(lives.stage, "down", False)

    other = the_other(checked(reported(acted(alice, monkeypatch.setattr, down).run)))
    assert (other["cause"], other["code"]) == ("OUTAGE", "EXCHANGE_UNAVAILABLE")


def test_a_partial_fill_is_told_with_its_amounts(alice, monkeypatch):
    # A hundredth of a candle's volume is all that is to be had.
    def thin(lives: Lives) -> None:
        model_of(monkeypatch.setattr, volume_share=D("0.5"))

    script = [one + (0 if one in (1, 2) else 5) for one in SCRIPT]
    report = checked(reported(acted(alice, monkeypatch.setattr, thin, script=script).run))
    first = report.document["rows"][0]
    assert first["cause"] == "PARTIAL_FILL", first


def test_a_denial_is_told_with_its_code(alice, monkeypatch):
    def tightened(lives: Lives) -> None:
        row = RiskLimits(level="user", target=alice.pk, limits={"max_order_notional": "10"}, changed_at=START)
        lives.happens[2] = row.save
        lives.happens[9] = lambda: row.delete() and None

    other = the_other(checked(reported(acted(alice, monkeypatch.setattr, tightened).run)))
    assert (other["cause"], other["code"]) == ("DENIED", "MAX_NOTIONAL_ORDER")


def test_another_fee_is_told_with_both_rates(alice, monkeypatch):
    report = checked(reported(acted(alice, monkeypatch.setattr, lambda lives: model_of(
        monkeypatch.setattr, fee=D("0.0005"))).run))  # fmt: skip
    assert set(causes(report)) == {"FEE"}
    first = report.document["rows"][0]
    assert (first["facts"]["fee_rate"], first["facts"]["market_rate"]) == (0.0005, 0.001)
    assert report.difference > 0


def test_slippage_is_told_in_basis_points(alice, monkeypatch):
    report = checked(reported(acted(alice, monkeypatch.setattr, lambda lives: model_of(
        monkeypatch.setattr, slippage_bps=D(10))).run))  # fmt: skip
    assert set(causes(report)) == {"PRICE"}
    assert [row["facts"]["slippage_bps"] for row in report.document["rows"]] == pytest.approx([10] * 4, abs=1)


def test_a_person_who_closes_is_told(alice, monkeypatch):
    def closed(lives: Lives) -> None:
        def stop() -> None:
            lifecycle.stop(lives.run, "close", START + timedelta(minutes=6), CONSOLE)

        lives.happens[5] = stop

    lives = acted(alice, monkeypatch.setattr, closed)
    lives.run.refresh_from_db()
    assert lives.run.status == "stopped"
    report = checked(reported(lives.run))
    assert the_other(report)["cause"] == "MANUAL"
    assert causes(report) == ["SAME", "MANUAL"]


def test_a_pause_is_a_persons_and_a_switch_an_outage(alice, monkeypatch):
    def paused(lives: Lives) -> None:
        lives.happens[2] = lambda: lifecycle.pause(lives.run, START, CONSOLE)
        lives.happens[9] = lambda: lifecycle.resume(BotRun.objects.get(pk=lives.run.pk), START, CONSOLE)
        lives.happens[11] = lambda: gates.switch("run", lives.run.pk, "reduce", "a test", START, CONSOLE)

    report = checked(reported(acted(alice, monkeypatch.setattr, paused).run))
    assert causes(report) == ["MANUAL", "OUTAGE"]
    assert [row["code"] for row in report.document["rows"]] == ["RUN_PAUSED", "STATE_REDUCING"]


def test_a_candle_that_was_corrected_is_told_with_both_closes(alice, monkeypatch):
    lives = acted(alice, monkeypatch.setattr)
    candles = lives.stage.candles
    prices = list(PRICES)
    prices[4] = 104.5
    corrected = scripted_candles(SCRIPT, prices)
    store(corrected[4:5], "1m")
    other = the_other(checked(reported(lives.run)))
    assert other["cause"] == "LATE_DATA"
    assert (other["facts"]["recorded_close"], other["facts"]["stored_close"]) == ("104", "104.5")
    assert len(candles) == len(corrected)


def test_a_signal_that_the_stored_candle_no_longer_gives_is_late_data(alice, monkeypatch):
    lives = acted(alice, monkeypatch.setattr)
    silent = list(SCRIPT)
    silent[3] = 0
    store(scripted_candles(silent, PRICES)[3:4], "1m")
    other = checked(reported(lives.run)).document["rows"][0]
    assert (other["cause"], other["replayed"]) == ("LATE_DATA", None)
    assert other["facts"] == {"indicator": "volume", "recorded": 1.0, "stored": 0.0}


def moody(patch: Patch, *, silent_on: int) -> None:
    """The strategy says nothing on one candle, whatever its script says: its answer depends on the weather."""
    asked = ScriptedStrategy.signals

    def signals(self: ScriptedStrategy, candles: Candles) -> Signals:
        said = asked(self, candles)
        heard = candles.opened_at != to_ms(START) + silent_on * 60_000
        return replace(said, entry=said.entry & heard, exit=said.exit & heard)

    patch(ScriptedStrategy, "signals", signals)


def test_a_trade_that_nothing_says_why_not_is_unexplained(alice, monkeypatch):
    with monkeypatch.context() as then:
        moody(then.setattr, silent_on=3)
        lives = acted(alice, monkeypatch.setattr)
    report = checked(reported(lives.run))
    other = the_other(report)
    assert (other["cause"], other["code"], other["live"]) == ("UNEXPLAINED", "NO_SIGNAL", None)
    assert report.unexplained == 1
    assert D(other["effect"]) == report.difference < 0


def test_a_trade_that_nothing_says_why_is_unexplained(alice, monkeypatch):
    lives = acted(alice, monkeypatch.setattr)
    with monkeypatch.context() as now:
        moody(now.setattr, silent_on=12)
        report = checked(reported(lives.run))
    other = the_other(report)
    assert (other["cause"], other["code"], other["replayed"]) == ("UNEXPLAINED", "SIGNAL_BUY", None)
    assert causes(report) == ["SAME", "SAME", "UNEXPLAINED", "SAME"]


def test_a_stop_is_compared_where_the_bot_saw_the_price(alice, monkeypatch):
    candles = scripted_candles([0, 1, 0, 0, 0, 0, 0, 0], [100, 100, 100, 100, 90, 90, 95, 95])
    with staged(Stage(candles), monkeypatch.setattr) as stage:
        lives = live(alice, stage, limits={"stop_loss_pct": "5"})
        lives.through()
    store(candles, "1m")
    report = checked(reported(lives.run))
    assert causes(report) == ["SAME", "SAME"]


def test_stakes_of_a_plan_are_compared_one_by_one(alice, monkeypatch):
    candles = demo.candles("BTC/USDT", "1h", to_ms(START - timedelta(days=3)), 24 * 6)
    lived_from = 24 * 3
    with staged(Stage(candles, timeframe="1h"), monkeypatch.setattr) as stage:
        lives = live(alice, stage, strategy="dca", params=DCA)
        model_of(monkeypatch.setattr, slippage_bps=D(5))
        lives.through(range(lived_from, len(candles) - 1))
        store(candles, "1h", START + timedelta(days=30))
        days = [DAY, DAY + timedelta(days=1)]
        reports = [checked(reported(lives.run, day, START + timedelta(days=20))) for day in days]
    assert {cause for report in reports for cause in causes(report)} == {"PRICE"}
    assert sum(report.trades for report in reports) >= 3
