"""The proof of the order protocol at the size of every change; `make nightly` runs it at full size."""

import json
import subprocess
import sys

import pytest

from bots.core.order_state import mermaid
from bots.tests.proof.kill_matrix import NAMES, turn_by_turn
from bots.tests.proof.terms import LEAST_POINTS, Tally
from tradingbot.tests.places import PROJECT

#: The mutants that are noticed soonest.
CHEAPEST = ("timeout is failure", "blind retry", "send, then write", "no candle key", "stop beside exit")


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"bots.tests.proof.{module}", *arguments]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)


def proved(*arguments: str) -> dict[str, object]:
    done = run("kill_matrix", *arguments)
    assert done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (done.returncode, found["failures"]) == (0, [])
    return dict(found)


@pytest.mark.slow
def test_nine_hundred_kills_leave_the_books_as_the_exchange_has_them() -> None:
    found = proved("--runs", "900")
    assert found["runs"] == 900
    assert set(found["points"]) == set(NAMES)  # type: ignore[call-overload]


@pytest.mark.slow
@pytest.mark.postgres
def test_kills_on_postgresql_leave_the_books_as_the_exchange_has_them(postgres_url: str) -> None:
    assert proved("--runs", "120", "--postgres", "--stride", "3")["runs"] == 120


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "runs"), [("kill --double", 12), ("race", 12), ("freeze", 6), ("switch", 24), ("restore", 12)]
)
def test_other_kinds_of_bad_luck_leave_the_books_as_the_exchange_has_them(mode: str, runs: int) -> None:
    name, *double = mode.split()
    arguments = ["--mode", name, "--runs", str(runs), "--stride", "17", *double, *(["1"] if double else [])]
    assert proved(*arguments)["runs"] == runs


@pytest.mark.slow
@pytest.mark.parametrize("mutant", CHEAPEST)
def test_a_missing_safeguard_is_noticed(mutant: str) -> None:
    done = run("score_mutants", mutant, "--procs", "1", "--ceiling", "200")
    assert (done.returncode, "1 of 1 caught" in done.stdout) == (0, True), done.stdout[-500:]


def test_a_proof_that_looks_at_too_little_is_none() -> None:
    few = Tally(runs=3, points={"entry": LEAST_POINTS - 1}, eligible=100, acted=89)
    assert few.failures() == [f"entry: only {LEAST_POINTS - 1} crash points", "acted on 89 of 100 candles"]
    enough = Tally(runs=3, points={"entry": LEAST_POINTS}, eligible=100, acted=90)
    assert enough.failures() == []
    assert few.failures(busy=False) == [f"entry: only {LEAST_POINTS - 1} crash points"]
    assert Tally(wrong=["exposure"]).failures() == ["exposure"]


def test_few_runs_are_shared_out_among_all_scenarios() -> None:
    assert "".join(turn_by_turn([iter("abc"), iter("d"), iter(""), iter("ef")])) == "adebfc"


def test_the_documents_diagram_is_the_table() -> None:
    assert f"```mermaid\n{mermaid()}\n```" in (PROJECT / "docs" / "execution.md").read_text(encoding="utf-8")
