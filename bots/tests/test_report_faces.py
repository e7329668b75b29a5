"""One report on page, API and command: the same figures, the same trades, the same bytes of CSV."""

import csv
import io
import json
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client

from accounts.models import User
from bots import research_tasks
from bots.core.sweep.study import Field
from bots.models import Backtest, Sweep
from bots.tests.research_cast import GIVEN, GRID, stored
from bots.tests.views.conftest import browser
from bots.views.figures_table import FIGURES, shown
from tradingbot.tests.api_client import ApiClient, problem

OPTIONS = [part for name, value in GIVEN.items() for part in (f"--{name}", str(value))]
ASKED = {**GIVEN, "limits": {"stop_loss_pct": "3"}, "slippage": "0.0005"}
EXTRA = ["--limits", '{"stop_loss_pct": "3"}', "--slippage", "0.0005"]
CSV = "text/csv"


@pytest.fixture
def api(alice: User, monkeypatch: pytest.MonkeyPatch) -> ApiClient:
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: task(pk))
    stored(1500)
    return ApiClient(alice)


@pytest.fixture
def page(alice: User) -> Client:
    return browser(alice)


def printed(command: str, *options: str) -> dict[str, Any]:
    out = io.StringIO()
    call_command(command, *OPTIONS, *options, "--json", stdout=out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def body(answer: Any) -> str:
    assert answer["Content-Type"].startswith(CSV)
    return b"".join(answer.streaming_content).decode()


def test_report_says_the_same_on_every_face(api: ApiClient, page: Client) -> None:
    location = api.post("/api/v1/backtests", ASKED)["Location"]
    over_http = api.get(location).json()["result"]
    row = Backtest.objects.get()
    command = printed("backtest_run", *EXTRA)
    download = json.loads(page.get(f"/app/backtests/{row.pk}/report.json").content)
    for name in ("stats", "open_position", "monthly_returns_pct", "denied", "data", "engine", "market"):
        assert over_http[name] == command[name] == download[name], name
    trades = api.get(f"{location}/trades?limit=500").json()["items"]
    assert trades == command["trades"] == download["trades"]
    assert len(trades) > 5
    html = unescape(page.get(f"/app/backtests/{row.pk}/").content.decode())
    for figure in FIGURES:
        assert shown(figure, command["stats"][figure.name], "USDT") in html, figure.name


def test_csv_of_trades_and_equity_is_the_same_bytes_everywhere(api: ApiClient, page: Client, tmp_path: Path) -> None:
    location = api.post("/api/v1/backtests", ASKED)["Location"]
    row = Backtest.objects.get()
    trades, equity = tmp_path / "trades.csv", tmp_path / "equity.csv"
    printed("backtest_run", *EXTRA, "--output", str(trades), "--equity-output", str(equity))
    for name, path in (("trades", trades), ("equity", equity)):
        written = path.read_bytes().decode()
        assert body(api.get(f"{location}/{name}", Accept=CSV)) == written
        assert body(page.get(f"/app/backtests/{row.pk}/{name}.csv")) == written
    listed = api.get(f"{location}/trades?limit=500").json()["items"]
    read = list(csv.DictReader(io.StringIO(trades.read_text())))
    assert [{name: str(value or "") for name, value in trade.items()} for trade in listed] == read
    points = list(csv.DictReader(io.StringIO(equity.read_text())))
    assert len(points) == 1500
    assert points[-1]["equity"] == f"{float(row.stats['final_equity']):.8f}".rstrip("0")
    with pytest.raises(CommandError) as refused:
        printed("backtest_run", *EXTRA, "--output", str(trades))
    assert refused.value.returncode == 4


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--output", "new.csv", "--equity-output", "there.csv"], "--equity-output: Expected a new file"),
        (["--output", "new.csv", "--equity-output", "new.csv"], "--equity-output: Expected a new file"),
        (["--output", "new.csv", "--equity-output", "no/e.csv"], "--equity-output: Expected a folder"),
    ],
)
def test_what_cannot_be_written_is_said_before_anything_is(
    api: ApiClient, options: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.csv").touch()
    with pytest.raises(CommandError, match=named) as refused:
        printed("backtest_run", *options)
    assert refused.value.returncode == 4
    assert [path.name for path in tmp_path.iterdir()] == ["there.csv"]


def test_a_sweep_computes_nothing_that_it_could_not_write(
    api: ApiClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Field, "evaluated", None)
    with pytest.raises(CommandError, match="--output: Expected a new file") as refused:
        printed("sweep_run", "--grid", json.dumps(GRID), "--output", str(tmp_path))
    assert refused.value.returncode == 4


def test_a_share_of_folds_that_are_not_asked_for_is_refused(api: ApiClient) -> None:
    with pytest.raises(CommandError, match="--in-sample: Expected --walk-forward") as refused:
        printed("sweep_run", "--grid", json.dumps(GRID), "--in-sample", "0.5")
    assert refused.value.returncode == 2


def test_ranking_is_the_same_on_every_face(api: ApiClient, page: Client, tmp_path: Path) -> None:
    location = api.post("/api/v1/sweeps", {**GIVEN, "grid": GRID, "top": 3})["Location"]
    row, target = Sweep.objects.get(), tmp_path / "ranking.csv"
    command = printed("sweep_run", "--grid", json.dumps(GRID), "--top", "3", "--output", str(target))
    over_http = api.get(location).json()["result"]
    for name in ("rows", "objective", "sets", "qualifying_sets", "caveats", "data", "deflated_sharpe_probability"):
        assert over_http[name] == command[name], name
    assert [one["agrees"] for one in over_http["rows"][:3]] == [True] * 3
    written = target.read_bytes().decode()
    assert body(api.get(f"{location}/ranking", Accept=CSV)) == written
    assert body(page.get(f"/app/sweeps/{row.pk}/ranking.csv")) == written
    first, *_ = csv.DictReader(io.StringIO(written))
    assert first["exact"] == "true"
    assert float(first["return_pct"]) == over_http["rows"][0]["exact"]["return_pct"]
    paged = api.get(f"{location}/ranking?limit=2").json()
    rest = api.get(f"{location}/ranking?limit=500&cursor={paged['next']}").json()
    assert [one["rank"] for one in (*paged["items"], *rest["items"])] == [one["rank"] for one in over_http["rows"]]


def test_tables_are_their_owners_and_come_when_all_is_done(
    api: ApiClient, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    backtest = api.post("/api/v1/backtests", GIVEN)["Location"]
    sweep = api.post("/api/v1/sweeps", {**GIVEN, "grid": GRID})["Location"]
    stranger, elsewhere = ApiClient(bob), browser(bob)
    for path in (f"{backtest}/trades", f"{backtest}/equity", f"{sweep}/ranking"):
        problem(stranger.get(path, Accept=CSV), 404, "not_found")
    for name in ("trades", "equity"):
        assert elsewhere.get(f"/app/backtests/{backtest.rsplit('/', 1)[1]}/{name}.csv").status_code == 404
    assert elsewhere.get(f"/app/sweeps/{sweep.rsplit('/', 1)[1]}/ranking.csv").status_code == 404
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: None)
    later = api.post("/api/v1/sweeps", {**GIVEN, "grid": GRID})["Location"]
    assert body(api.get(f"{later}/ranking", Accept=CSV)).startswith("rank,")
    mine = browser(Sweep.objects.first().owner)
    assert mine.get(f"/app/sweeps/{later.rsplit('/', 1)[1]}/ranking.csv").status_code == 404
