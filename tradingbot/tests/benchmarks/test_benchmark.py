"""The benchmark's own arithmetic, and one small run of it; never how long anything takes."""

import io
import json
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from exchanges.core.candle_check import first_fault
from tradingbot.benchmarks import market, ratios, runner, systems
from tradingbot.benchmarks.reference import events


def test_data_is_seeded_and_makes_sense(tmp_path):
    made = market.candles(3000)
    again = market.read(market.write(tmp_path, 3000))
    assert first_fault(made, "1m") is None
    assert all(np.array_equal(getattr(made, name), getattr(again, name)) for name in ("opened_at", "open", "volume"))
    assert not np.array_equal(made.close, market.candles(3000, seed=8).close)
    assert (tmp_path / "ohlcv_3000.csv").read_text().count("\n") == 3001
    moves = np.diff(np.log(made.close))
    assert 0.3 < moves.std() * np.sqrt(525_600) < 2.0


@pytest.mark.parametrize("variant", ["plain", "sltp"])
@pytest.mark.parametrize("name", ["exact", "kernel", "trades"])
def test_our_engines_enter_where_the_reference_does(name, variant):
    candles = market.candles(60_000)
    expected = events(candles, protected=variant == "sltp")
    assert len(expected) > 100
    assert list(runner.SYSTEMS[name](candles, variant)()["entries"]) == expected.tolist()


def test_sweep_in_parts_makes_the_trades_of_the_whole(monkeypatch):
    monkeypatch.setattr(runner, "SWEEP", runner.SWEEP[::50])
    monkeypatch.setattr(runner, "PART", 7)
    candles = market.candles(5_000)
    assert runner.sweep(candles, "plain")()["trades"] == runner.sweep_2(candles, "plain")()["trades"] > 100


def test_live_values_equal_the_backtest_s_after_rounding():
    found = runner.live(market.candles(20_000), "plain")()
    assert found["equal_rounded"] == found["looked"] > 100


#: A hundred and twenty MiB is two and a half times what 2²⁰ candles take.
PEAKS = {"exact": 270.0, "sweep": 401.0}


def one(seconds: float, cpu: float | None = None, sha: str = "x") -> dict[str, object]:
    return {"seconds": seconds, "cpu_s": seconds if cpu is None else cpu, "entries_sha": sha}


def test_ratio_is_the_median_of_the_rounds_own_ratios():
    rounds = {"vectorbt": [one(2), one(9), one(10)], "exact": [one(1), one(1), one(10)]}
    (found,) = ratios.reached(rounds)
    assert (found.ratio, found.least, found.most, found.rounds) == (2.0, 1.0, 9.0, 3)
    assert (found.verdict, found.agrees) == ("reached", True)


def test_goal_that_is_missed_noisy_or_by_cpu_says_so():
    by_row = {found.goal.row: found for found in ratios.reached({
        "freqtrade": [one(900, 500)], "exact": [one(1)], "vectorbt": [one(1.5, 1.5)], "load": [one(1.5, 3.0)],
    })}  # fmt: skip
    assert (by_row["P1"].verdict, by_row["P2"].verdict, by_row["P2"].ratio) == ("missed", "reached", 500.0)
    assert (by_row["P6"].verdict, by_row["P6"].agrees) == ("moonshot", False)


def test_peak_memory_is_the_highest_of_all_rounds_against_the_size_of_the_candles():
    rounds = {name: [{"rss_mb": peak, "candles": 2**20} for peak in (90.0, mib)] for name, mib in PEAKS.items()}
    told = {found.peak.system: (found.mib, found.bound, found.verdict) for found in ratios.held(rounds)}
    assert told == {"exact": (270.0, 270.0, "reached"), "sweep": (401.0, 400.0, "missed")}


def test_other_trades_are_named():
    rounds = {"exact": [one(1, sha="a")], "events": [one(1, sha="a")], "vectorbt": [one(1, sha="b")], "other": [one(1)]}
    expected = {"plain": "a"}
    assert ratios.disagreeing(rounds, lambda name: "" if name == "other" else "plain", expected) == ["vectorbt"]


def test_peers_are_only_those_that_are_installed(tmp_path):
    assert systems.peers(None, tmp_path, tmp_path, 10, 5) == []
    assert systems.peers(tmp_path, tmp_path, tmp_path, 10, 5) == []
    python = tmp_path / "venv-vbt" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    script = tmp_path / "peer_vectorbt.py"
    script.write_text('import sys\nprint("noise")\nprint(\'{"seconds": 1, "cpu_s": 1, "entries_sha": "x"}\')\n')
    found = systems.peers(tmp_path, tmp_path, tmp_path, 10, 5)
    assert [system.name for system in found] == ["vectorbt", "vectorbt sltp", "vectorbt-sweep"]
    assert systems.measure(found[0])["entries_sha"] == "x"
    script.write_text("raise SystemExit('no such thing')\n")
    with pytest.raises(RuntimeError, match="vectorbt: no such thing"):
        systems.measure(found[0])


def test_command_prints_ratios_and_one_document(tmp_path):
    options = ["--rounds", "1", "--large", "30000", "--small", "2000", "--keep", str(tmp_path)]
    out = io.StringIO()
    call_command("benchmark", *options, "--only", "exact,events,trades", "--json", stdout=out)
    document = json.loads(out.getvalue())
    assert document["systems"].keys() == {"exact", "events", "trades"}
    assert document["other_trades"] == []
    assert [found["goal"]["row"] for found in document["ratios"]] == ["P3"]
    assert [found["verdict"] for found in document["peaks"]] == ["reached"]
    out = io.StringIO()
    call_command("benchmark", *options, "--only", "events", stdout=out)
    assert "events" in out.getvalue()
    with pytest.raises(CommandError) as caught:
        call_command("benchmark", *options, "--only", "nothing")
    assert caught.value.returncode == 2


def test_loading_is_measured_on_a_database_of_its_own(tmp_path):
    path = market.write(tmp_path, 3000)
    system = systems.System(
        "load", (sys.executable, "-m", "tradingbot.benchmarks.loading", str(path), str(tmp_path)), 3000
    )
    assert systems.measure(system)["candles"] == 3000
    assert Path(tmp_path / "benchmark.sqlite3").exists()


@pytest.mark.slow
def test_a_sweep_ends_alike_however_many_workers_take_its_parts(tmp_path):
    command = (sys.executable, "-m", "tradingbot.benchmarks.workers", str(market.write(tmp_path, 3000)), str(tmp_path))
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=settings.BASE_DIR)
    one, two = (json.loads(line) for line in done.stdout.splitlines())
    assert (one["workers"], two["workers"], one["sets"]) == (1, 2, 20_000)
    assert one["result"] == two["result"]
    assert one["whole_s"] >= one["parts_s"] > 0
