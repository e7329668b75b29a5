"""backtest_run, backtest_check and sweep_run: what they print, with what code they end, and that a file is enough."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from bots.core.backtest.request import asked_for
from bots.core.backtest.study import report_of
from bots.tests.research_cast import GIVEN, GRID, stored
from exchanges.core.candle_csv import csv_lines
from strategies.core.signals import Signals
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.tests.places import synthetic
from tradingbot.tests.places import DATA_DIR, NO_DATA

OPTIONS = [part for name, value in GIVEN.items() for part in (f"--{name}", str(value))]


@pytest.fixture
def candle_file(tmp_path: Path) -> Path:
    path = tmp_path / "candles.csv"
    path.write_text("\n".join(csv_lines(synthetic(1500))) + "\n")
    return path


def run(command: str, *options: str) -> str:
    out = io.StringIO()
    call_command(command, *OPTIONS, *options, stdout=out)
    return out.getvalue()


def printed(command: str, *options: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(run(command, *options, "--json"))
    return document


def refused(command: str, *options: str) -> CommandError:
    with pytest.raises(CommandError) as caught:
        run(command, *options)
    return caught.value


def test_file_alone_gives_the_report(candle_file):
    # No database here: touching it fails the test.
    document = printed("backtest_run", "--csv", str(candle_file))
    expected = report_of(asked_for(GIVEN), synthetic(1500))
    assert document["stats"]["closed_trades"] == expected.stats.closed_trades == len(document["trades"]) > 5
    assert document["data"]["sha256"] == expected.data.sha256
    assert document["market"] is None
    assert document["request"]["params"]["rsi_method"] == "cutler"
    assert document["trades"][0]["entry_at"].endswith("Z")


def test_recorded_years_through_the_command():
    path = DATA_DIR / "btcusdt_1h_binance_2020-01_2023-12.csv"
    if not path.is_file():
        pytest.skip(NO_DATA)
    stats = printed("backtest_run", "--csv", str(path), "--params", '{"rsi_method": "wilder"}')["stats"]
    assert (stats["closed_trades"], round(stats["return_pct"], 1)) == (126, -37.9)
    assert round(stats["buy_and_hold_close_to_close_pct"]) == 489


def test_table_shows_buy_and_hold_and_fees_beside_the_result(candle_file):
    text = run("backtest_run", "--csv", str(candle_file), "--limits", '{"cooldown_seconds": 864000}')
    for word in ("Return", "Buy and hold", "Fees paid", "1,500 candles", "Denied by a limit", "COOLDOWN"):
        assert word in text


def test_range_is_cut_from_the_file(candle_file):
    document = printed("backtest_run", "--csv", str(candle_file), "--since", "2024-01-10", "--until", "2024-01-20")
    assert (document["data"]["candles"], document["data"]["warmup_candles"]) == (240, 16)
    assert document["request"]["since"] == "2024-01-10T00:00:00Z"


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--params", '{"rsi_period": 0}'], 4, "params.rsi_period"),
        (["--params", '{"nope": 1}'], 4, "params.nope"),
        (["--limits", '{"nope": 1}'], 4, "limits.nope"),
        (["--capital", "-1"], 4, "capital"),
        (["--fee", "5"], 4, "fee"),
        (["--timeframe", "7m"], 4, "timeframe"),
        (["--since", "2030-01-01"], 4, "Expected candles in the range"),
        (["--strategy", "nope"], 3, "rsi_cross"),
        (["--csv", "/nowhere/candles.csv"], 3, "/nowhere/candles.csv"),
    ],
)
def test_bad_input_ends_with_its_code(candle_file, options, code, text):
    error = refused("backtest_run", "--csv", str(candle_file), *options)
    assert (error.returncode, text in str(error)) == (code, True), error


@pytest.mark.parametrize("options", [["--params", "{"], ["--params", "[]"], ["--capital", "x"], ["--since", "then"]])
def test_malformed_option_is_a_usage_error(candle_file, options):
    with pytest.raises(CommandError, match="Expected"):
        run("backtest_run", "--csv", str(candle_file), *options)


def test_broken_file_names_the_row(candle_file):
    lines = candle_file.read_text().splitlines()
    candle_file.write_text("\n".join([*lines[:5], lines[4], *lines[5:]]))
    error = refused("backtest_run", "--csv", str(candle_file))
    assert (error.returncode, "Row 6" in str(error)) == (4, True)


def test_unfinished_last_candle_is_refused(candle_file):
    error = refused("backtest_run", "--csv", str(candle_file), "--at", "2024-03-03T11:30:00Z")
    assert (error.returncode, "unfinished" in str(error)) == (4, True)


def test_stored_candles_are_used_without_a_file(db):
    candles = stored(1500)
    document = printed("backtest_run")
    assert document["data"]["sha256"] == report_of(asked_for(GIVEN), candles).data.sha256
    assert (refused("backtest_run", "--symbol", "ETH/USDT").returncode) == 4


def test_demo_market_needs_neither_file_nor_store(db):
    document = printed("backtest_run", "--exchange", "demo", "--at", "2026-01-01T00:00:00Z")
    assert document["data"]["candles"] == 10_000
    assert document["market"]["amount_step"] == "0.00001"


def test_sweep_ranks_and_cautions(candle_file):
    options = ["--csv", str(candle_file), "--grid", json.dumps(GRID), "--objective", "return_pct"]
    document = printed("sweep_run", *options, "--walk-forward", "2", "--top", "3")
    returns = [row["stats"]["return_pct"] for row in document["rows"]]
    assert returns == sorted(returns, reverse=True)
    assert [row["rank"] for row in document["rows"]] == list(range(1, 13))
    assert [row.get("agrees") for row in document["rows"]][:4] == [True, True, True, None]
    assert document["request"]["walk_forward"] == {"folds": 2, "in_sample": 0.7}
    text = run("sweep_run", *options, "--walk-forward", "2")
    assert "Walk-forward" in text
    assert "rsi_period=" in text


@pytest.mark.parametrize(
    ("options", "code", "text"),
    [
        (["--grid", '{"nope": [1]}'], 4, "grid.nope"),
        (["--grid", '{"rsi_period": [6]}', "--objective", "fame"], 4, "objective"),
        (["--grid", '{"rsi_period": [6]}', "--limits", '{"cooldown_seconds": 5}'], 4, "limits.cooldown_seconds"),
    ],
)
def test_wrong_sweep_ends_with_its_code(candle_file, options, code, text):
    error = refused("sweep_run", "--csv", str(candle_file), *options)
    assert (error.returncode, text in str(error)) == (code, True), error


def test_checks_pass_for_an_honest_strategy(candle_file):
    document = printed("backtest_check", "--csv", str(candle_file))
    assert document["passed"] is True
    text = run("backtest_check", "--csv", str(candle_file))
    for word in ("Look-ahead: none", "Warm-up: 16", "one candle later", "shuffles"):
        assert word in text


def test_checks_fail_for_one_that_looks_ahead(candle_file):
    class Clairvoyant(BaseStrategy):
        name = "clairvoyant_in_a_test"

        def signals(self, candles):
            rises = (candles.close[1:] > candles.close[:-1]).tolist()
            known = synthetic(1).volume > 0
            flags = (synthetic(1).volume > 0).repeat(len(candles))
            flags[:-1] = rises
            flags[-1:] = False
            return Signals(flags, ~flags, known.repeat(len(candles)), candles.close * 0.0)

    StrategyRegistry.register(Clairvoyant)
    try:
        error = refused("backtest_check", "--csv", str(candle_file), "--strategy", Clairvoyant.name)
    finally:
        StrategyRegistry.unregister(Clairvoyant.name)
    assert error.returncode == 1
