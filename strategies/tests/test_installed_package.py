"""A third party's package, installed by pip like any other: found by its entry points, run, checked and refused."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from exchanges.core.candle_csv import csv_lines
from strategies.tests.places import synthetic
from tradingbot.tests.places import PROJECT

MODULE = '''
import numpy as np
from strategies.core.signals import Signals
from strategies.core.strategy import BaseStrategy, StrategyRegistry


def opinions(entry, close):
    ready = np.ones(len(close), bool)
    return Signals(entry, ~entry, ready, np.ones(len(close)), {"close": close})


class Honest(BaseStrategy):
    """Above the close of ten candles ago."""
    name = "acme_honest"
    warmup = 11

    def signals(self, candles):
        before = np.concatenate([np.full(min(10, len(candles)), np.inf), candles.close[:-10]])
        return opinions(candles.close > before, candles.close)


@StrategyRegistry.register
class Clairvoyant(BaseStrategy):
    """Above the mean of all candles, also of those to come."""
    name = "acme_clairvoyant"
    warmup = 1

    def signals(self, candles):
        return opinions(candles.close > candles.close.mean(), candles.close)
'''
ENTRY_POINTS = """[tradingbot.strategies]
honest = acme_strategies:Honest
clairvoyant = acme_strategies
broken = acme_strategies:Absent
"""
METADATA = "Metadata-Version: 2.1\nName: acme-strategies\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package."""
    folder = tmp_path_factory.mktemp("acme")
    wheel, target = folder / "acme_strategies-1.0-py3-none-any.whl", folder / "site"
    files = {"METADATA": METADATA, "WHEEL": WHEEL, "entry_points.txt": ENTRY_POINTS}
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("acme_strategies.py", MODULE)
        for name, text in files.items():
            archive.writestr(f"acme_strategies-1.0.dist-info/{name}", text)
        record = [*archive.namelist(), "acme_strategies-1.0.dist-info/RECORD"]
        archive.writestr(record[-1], "".join(f"{name},,\n" for name in record))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (folder / "candles.csv").write_text("\n".join(csv_lines(synthetic(600))) + "\n")
    return target


def manage(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    surroundings = {**os.environ, "PYTHONPATH": str(site), "DJANGO_SETTINGS_MODULE": "tradingbot.settings"}
    command = [sys.executable, "manage.py", *arguments]
    return subprocess.run(command, cwd=PROJECT, env=surroundings, capture_output=True, text=True, check=False)


def research(site: Path, command: str, strategy: str) -> dict[str, Any]:
    market = ("--exchange", "binance", "--symbol", "BTC/USDT", "--timeframe", "1h")
    money = ("--capital", "1000", "--fee", "0.001", "--csv", str(site.parent / "candles.csv"))
    done = manage(site, command, "--strategy", strategy, *market, *money, "--json")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.slow
def test_package_is_found_by_its_entry_points_and_run(site: Path) -> None:
    report = research(site, "backtest_run", "acme_honest")
    assert report["stats"]["closed_trades"] > 10
    assert report["trades"][0]["entry_at"] > "2024-01-01T10:00:00Z"


@pytest.mark.slow
@pytest.mark.parametrize(("strategy", "passed"), [("acme_honest", True), ("acme_clairvoyant", False)])
def test_its_look_ahead_is_found(site: Path, strategy: str, passed: bool) -> None:
    checked = research(site, "backtest_check", strategy)
    assert checked["passed"] is passed
    assert (checked["lookahead"]["differing"] == 0) is passed


@pytest.mark.slow
def test_its_broken_entry_point_is_a_named_problem_and_not_a_crash(site: Path) -> None:
    done = manage(site, "check")
    assert done.returncode == 1
    assert (
        "tradingbot.strategies:broken: Expected a module that registers strategies, was AttributeError" in done.stderr
    )
