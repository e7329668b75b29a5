"""Strategies that work several orders, by every face: command, API, page and admin."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from accounts.tests.cast import present_second_factor, totp
from bots import backtests, research_tasks, rounds
from bots.core.backtest.request import asked_for
from bots.core.backtest.study import report_of
from bots.models import Backtest, BotRun, Decision, Order
from bots.testing import Stage, start_run
from bots.tests.research_cast import AT, GIVEN, actor, stored, ticking
from exchanges.core.candle_csv import csv_lines
from strategies.tests.places import synthetic
from tradingbot.tests.api_client import ApiClient

#: On the synthetic candles, which fall from 30,000, and on the stage, whose price is 100 and more.
PLANS: dict[str, dict[str, Any]] = {
    "grid": {"lower": "20000", "upper": "30000", "levels": 30},
    "dca": {"every": "4h", "stakes": 5, "drop_pct": "0.5", "take_profit_pct": "1"},
}
ON_STAGE: dict[str, dict[str, Any]] = {
    "grid": {"lower": "90", "upper": "110", "levels": 5},
    "dca": {"every": "1h", "stakes": 4},
}
NAMES = sorted(PLANS)


def asked(name: str) -> dict[str, Any]:
    return {**GIVEN, "strategy": name, "params": PLANS[name]}


@pytest.fixture
def alices(alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def done(user: User, name: str) -> Backtest:
    row = backtests.submit(user, asked(name), AT, actor(user))
    assert backtests.run(row.pk, ticking())
    row.refresh_from_db()
    assert row.state == "done", row.error
    return row


@pytest.mark.parametrize("name", NAMES)
def test_the_command_tells_every_fill(name: str, tmp_path: Path) -> None:
    path, out = tmp_path / "candles.csv", io.StringIO()
    path.write_text("\n".join(csv_lines(synthetic(1500))) + "\n")
    options = [part for word, value in GIVEN.items() for part in (f"--{word}", str(value)) if word != "strategy"]
    call_command("backtest_run", *options, "--strategy", name, "--params", json.dumps(PLANS[name]), "--csv", str(path),
                 "--json", stdout=out)  # fmt: skip
    document = json.loads(out.getvalue())
    expected = report_of(asked_for(asked(name)), synthetic(1500))
    assert document["stats"]["closed_trades"] == expected.stats.closed_trades > 0
    assert [fill["leg"] for fill in document["fills"]] == [fill.leg for fill in expected.fills]
    assert {fill["leg"].partition(":")[0] for fill in document["fills"]} <= {name, "exit"}


@pytest.mark.parametrize("name", NAMES)
def test_the_api_carries_it_out(name: str, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: task(pk))
    stored(1500)
    api = ApiClient(alice)
    answer = api.post("/api/v1/backtests", asked(name))
    assert answer.status_code == 202
    document = api.get(answer["Location"]).json()
    assert (document["state"], document["strategy"]) == ("done", name)
    assert document["result"]["fills"]


@pytest.mark.parametrize("name", NAMES)
def test_a_bot_is_started_by_command_and_api(name: str, alice: User, stage: Stage) -> None:
    out = io.StringIO()
    words = ["--symbol=BTC/USDT", "--timeframe=1m", "--exchange=demo", "--capital=1000", f"--strategy={name}"]
    call_command("bot_start", alice.email, *words, "--params", json.dumps(ON_STAGE[name]), "--json", stdout=out)
    by_command = BotRun.objects.get(pk=json.loads(out.getvalue())["bot_run_id"])
    body = {"strategy": name, "symbol": "BTC/USDT", "timeframe": "1m", "exchange": "demo", "capital": "1000"}
    answer = ApiClient(alice).post("/bot/start", {**body, "params": ON_STAGE[name]})
    assert answer.status_code == 201
    by_api = BotRun.objects.get(pk=answer.json()["bot_run_id"])
    assert by_command.params == by_api.params
    assert (by_command.strategy.name, by_api.mode) == (name, "paper")


@pytest.mark.parametrize("name", NAMES)
def test_a_paper_bot_is_one_click_away(name: str, alices: Client, alice: User) -> None:
    stored(1500)
    row = done(alice, name)
    entries = alices.get(f"/app/backtests/{row.pk}/").context["paper"]
    page = alices.post("/app/bots/new/", entries).content.decode()
    for word, value in PLANS[name].items():
        assert entries[f"param_{word}"] == str(value)
        assert f'name="param_{word}"' in page
    assert not BotRun.objects.exists()


@pytest.mark.parametrize("name", NAMES)
def test_the_reports_chart_tells_which_part_each_fill_was(name: str, alices: Client, alice: User) -> None:
    stored(1500)
    chart = alices.get(f"/app/backtests/{done(alice, name).pk}/chart.json").json()
    word = {"grid": ", line ", "dca": ", stake "}[name]
    assert any(word in mark["text"] for mark in chart["markers"])
    assert len(chart["levels"]) == (30 if name == "grid" else 0)


def test_the_administration_shows_a_grid_its_orders_and_decisions(alice: User, stage: Stage, client: Client) -> None:
    run = start_run(alice, strategy="grid", params=ON_STAGE["grid"])
    for index in range(4):
        rounds.whole_round(stage.closes(index))
    root = User.objects.create_superuser("root@example.com", "x" * 20)
    client.force_login(root)
    present_second_factor(client, totp(root))
    for row in (run, Order.objects.filter(run=run).first(), Decision.objects.filter(run=run).first()):
        assert row is not None
        page = client.get(f"/admin/bots/{row._meta.model_name}/{row.pk}/change/")
        assert page.status_code == 200
    shown = client.get("/admin/bots/order/").content.decode()
    assert shown.count("BTC/USDT") >= Order.objects.filter(run=run).count() > 0
