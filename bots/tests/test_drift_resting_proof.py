"""The drift report over runs whose orders rest: none where nothing happened, and each thing that happened by name."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest

from accounts.audit import CONSOLE
from accounts.models import User
from bots import gates, lifecycle, settling
from bots.core.backtest import engine
from bots.core.backtest.terms import Terms
from bots.core.limits import parse_limits
from bots.models import DriftReport, RiskLimits
from bots.testing import MARKET, START, Stage, staged
from bots.tests.drift_cast import DAY, Lives, causes, live, reported, store
from bots.tests.test_drift_proof import acted, checked, model_of
from bots.tests.test_paper_equals_backtest import recorded
from exchanges.core.candles import Candles, to_ms
from strategies import queries as strategies

GRID = {"lower": "95", "upper": "105", "levels": 5, "spacing": "arithmetic"}
#: Down through the lines at 100 and 97.5, up through those at 102.5 and 105, and once more.
PATH = [101, 101, 100.5, 99, 98, 97, 98.5, 100.5, 101, 102.8, 103, 101, 99.5, 99, 101.5, 103.2, 102, 101, 101, 101]
LIMIT = {"entry_type": "limit", "limit_offset_pct": "1", "limit_timeout_seconds": 300}
#: Buys on candle 3, a percent under the market; sells on 12.
SCRIPT = [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0]
FALL = [100, 100, 100, 100, 100, 99.5, 98.8, 99.4, 100, 101, 102, 102, 102, 103, 103, 103]
Happens = Callable[[Lives], Any]


def moving(prices: list[float], volume: list[float] | None = None) -> Candles:
    """Each candle goes from the close before to its own, and no further."""
    close = np.array(prices, dtype=np.float64)
    opened = np.concatenate([close[:1], close[:-1]])
    times = to_ms(START) + 60_000 * np.arange(len(close), dtype=np.int64)
    flow = np.array(volume if volume is not None else [1000.0] * len(close))
    return Candles(times, opened, np.maximum(opened, close), np.minimum(opened, close), close, flow)


def worked(
    user: User, patch: Any, prepare: Happens = lambda lives: None, candles: Candles | None = None, **wanted: Any
) -> Lives:
    """A grid's day lived to its end, and its candles stored as they were."""
    made = candles if candles is not None else moving(PATH)
    asked = {"strategy": "grid", "params": GRID, **wanted}
    with staged(Stage(made), patch) as stage:
        lives = live(user, stage, **asked)
        prepare(lives)
        lives.through()
        settling.settle_all(stage.closes(len(made) - 1), "test")
    store(made, "1m")
    return lives


def others(report: DriftReport) -> list[dict[str, Any]]:
    return [row for row in report.document["rows"] if row["cause"] != "SAME"]


def away(*indices: int) -> Happens:
    """Nobody was at work at the close of these candles."""

    def prepare(lives: Lives) -> None:
        lives.happens |= {index: lambda: False for index in indices}

    return prepare


def test_a_grids_day_went_as_its_replay(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = worked(alice, monkeypatch.setattr)
    report = checked(reported(lives.run))
    assert causes(report) == ["SAME"] * lives.run.fills.count()
    assert lives.run.fills.count() >= 7
    assert (report.difference, report.unexplained, report.note) == (0, 0, "")
    signals = strategies.rebuild("grid", GRID).signals(lives.stage.candles)
    outcome = engine.run(lives.stage.candles, signals, Terms(D(1000), MARKET, parse_limits({})))
    mark = D(repr(float(lives.stage.candles.close[-1])))
    assert report.replay_pnl == outcome.position.profit(mark)


def test_a_recorded_grid_went_as_its_replays_day_by_day(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    candles = recorded("btcusdt_1h_binance_2024-01_2024-04.csv", START, 60)
    params = {"lower": "41500", "upper": "44500", "levels": 8, "stop_pct": "1"}
    with staged(Stage(candles, timeframe="1h"), monkeypatch.setattr) as stage:
        lives = live(alice, stage, strategy="grid", params=params)
        lives.through()
        store(candles, "1h", START + timedelta(days=30))
        reports = [
            checked(reported(lives.run, DAY + timedelta(days=back), START + timedelta(days=20))) for back in (0, 1)
        ]
    # The second day began with lots and with orders at the exchange.
    assert {cause for report in reports for cause in causes(report)} == {"SAME"}
    assert all(report.difference == 0 for report in reports)
    assert all(report.trades for report in reports)


def test_a_line_whose_buy_was_denied_is_told_with_its_code(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def tightened(lives: Lives) -> None:
        row = RiskLimits(level="user", target=alice.pk, limits={"max_position_notional": "10"}, changed_at=START)
        row.save()
        lives.happens[12] = lambda: row.delete() and None

    report = checked(reported(worked(alice, monkeypatch.setattr, tightened).run))
    told = others(report)
    assert {(row["cause"], row["code"]) for row in told} == {("DENIED", "MAX_EXPOSURE_SYMBOL")}
    assert {row["replayed"]["leg"] for row in told} <= {"grid:0", "grid:1", "grid:2"}
    assert report.difference < 0


def test_an_outage_lets_rest_what_rests_and_misses_what_should_have_followed(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = checked(reported(worked(alice, monkeypatch.setattr, away(*range(4, 13))).run))
    told = others(report)
    assert {row["cause"] for row in told} == {"OUTAGE"}
    assert {row["replayed"]["side"] for row in told} >= {"sell"}
    assert "nobody was at work" in told[0]["why"]
    # What rested was filled all the same.
    assert causes(report)[:2] == ["SAME", "SAME"]


def test_a_fill_in_part_is_told_with_its_amounts(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    volume = [1000.0] * len(PATH)
    volume[3] = 1.5

    def thin(lives: Lives) -> None:
        model_of(monkeypatch.setattr, volume_share=D(1))

    report = checked(reported(worked(alice, monkeypatch.setattr, thin, moving(PATH, volume)).run))
    told = [row for row in others(report) if row["cause"] == "PARTIAL_FILL"]
    assert told[0]["facts"]["filled"] == "1.5"
    assert report.unexplained == 0


def test_another_fee_is_told_with_both_rates(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(reported(worked(alice, monkeypatch.setattr, lambda lives: model_of(
        monkeypatch.setattr, fee=D("0.0005"))).run))  # fmt: skip
    assert set(causes(report)) == {"FEE"}
    assert report.document["rows"][0]["facts"]["fee_rate"] == 0.0005
    assert report.difference > 0


def test_a_candle_that_was_corrected_is_late_data(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = worked(alice, monkeypatch.setattr)
    otherwise = list(PATH)
    # As it is stored now, the price never came down to the line at 97.5.
    otherwise[4:6] = [98.2, 98.2]
    store(moving(otherwise)[4:7], "1m")
    told = others(checked(reported(lives.run)))
    assert told[0]["cause"] == "LATE_DATA"
    assert told[0]["live"]["price"] == "97.5"


def test_a_kill_switch_calls_lines_back(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def switched(lives: Lives) -> None:
        lives.happens[2] = lambda: gates.switch("run", lives.run.pk, "reduce", "a test", START, CONSOLE)
        lives.happens[11] = lambda: gates.switch("run", lives.run.pk, "resume", "a test", START, CONSOLE)

    report = checked(reported(worked(alice, monkeypatch.setattr, switched).run))
    assert {row["cause"] for row in others(report)} == {"OUTAGE"}
    assert report.unexplained == 0


def test_a_person_who_closes_a_grid_is_told(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(lives: Lives) -> None:
        lives.happens[7] = lambda: lifecycle.stop(lives.run, "close", START + timedelta(minutes=8), CONSOLE)

    lives = worked(alice, monkeypatch.setattr, closed)
    report = checked(reported(lives.run))
    assert {row["cause"] for row in others(report)} <= {"MANUAL"}
    assert report.unexplained == 0


def patient(user: User, patch: Any, prepare: Happens = lambda lives: None, **limits: Any) -> Lives:
    def also(lives: Lives) -> None:
        prepare(lives)

    return acted(user, patch, also, script=SCRIPT, prices=FALL, limits={**LIMIT, **limits})


def test_an_entry_that_rested_went_as_its_replay(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    lives = patient(alice, monkeypatch.setattr)
    report = checked(reported(lives.run))
    assert causes(report) == ["SAME", "SAME"]
    assert report.document["rows"][0]["live"]["price"] == "98.8"
    assert report.difference == 0


@pytest.mark.parametrize("limits", [{}, {"stop_loss_pct": "1", "trailing_stop_pct": "2"}])
def test_recorded_entries_that_rest_went_as_their_replays(
    alice: User, monkeypatch: pytest.MonkeyPatch, limits: dict[str, str]
) -> None:
    candles = recorded("btcusdt_1h_binance_2024-01_2024-04.csv", START - timedelta(days=5), 24 * 9)
    rests = {**LIMIT, "limit_offset_pct": "0.4", "limit_timeout_seconds": 10_800, **limits}
    params = {"rsi_method": "cutler", "oversold": 45, "overbought": 55}
    lived_from = int(np.searchsorted(candles.opened_at, to_ms(START)))
    with staged(Stage(candles, timeframe="1h"), monkeypatch.setattr) as stage:
        lives = live(alice, stage, strategy="rsi_cross", params=params, limits=rests)
        lives.through(range(lived_from, len(candles) - 1))
        store(candles, "1h", START + timedelta(days=30))
        days = [DAY + timedelta(days=back) for back in range(3)]
        reports = [checked(reported(lives.run, day, START + timedelta(days=20))) for day in days]
    assert {cause for report in reports for cause in causes(report)} == {"SAME"}
    assert all(report.difference == 0 for report in reports)


def test_an_entry_that_was_called_back_by_a_pause_is_a_persons(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def paused(lives: Lives) -> None:
        lives.happens[4] = lambda: lifecycle.pause(lives.run, START + timedelta(minutes=5), CONSOLE)

    report = checked(reported(patient(alice, monkeypatch.setattr, paused).run))
    (row,) = report.document["rows"][:1]
    assert (row["cause"], row["code"], row["live"]) == ("MANUAL", "RUN_PAUSED", None)
    assert row["replayed"]["price"] == "98.8"


def test_an_outage_places_no_entry(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(reported(patient(alice, monkeypatch.setattr, away(*range(2, 9))).run))
    told = others(report)
    assert [(row["cause"], row["live"]) for row in told] == [("OUTAGE", None)]
    assert D(told[0]["effect"]) == report.difference < 0


def test_an_entry_that_the_exchange_fills_at_another_fee_is_told(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    report = checked(reported(patient(alice, monkeypatch.setattr, lambda lives: model_of(
        monkeypatch.setattr, fee=D("0.0005"))).run))  # fmt: skip
    assert causes(report) == ["FEE", "FEE"]


def test_a_denied_entry_is_told_with_its_code(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def tightened(lives: Lives) -> None:
        row = RiskLimits(level="user", target=alice.pk, limits={"max_order_notional": "10"}, changed_at=START)
        lives.happens[2] = row.save
        lives.happens[9] = lambda: row.delete() and None

    (row,) = others(checked(reported(patient(alice, monkeypatch.setattr, tightened).run)))
    assert (row["cause"], row["code"]) == ("DENIED", "MAX_NOTIONAL_ORDER")
