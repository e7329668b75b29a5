"""The pages of backtests: asked for, watched, read, compared, and nobody else's."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from bots import backtests, research_tasks
from bots.core.result_pack import unpack_document
from bots.models import Backtest, BotRun, JobState
from bots.testing import start_run
from bots.tests.research_cast import AT, GIVEN, actor, stored, ticking
from exchanges import candle_store

FORM = {
    "strategy": "rsi_cross",
    "exchange": "binance",
    "symbol": "btc/usdt",
    "timeframe": "1h",
    "capital": "1000",
    "fee": "0.1",
    "slippage": "0.05",
    "param_rsi_period": "7",
    "param_rsi_method": "wilder",
    "limit_stop_loss_pct": "5",
}


@pytest.fixture(autouse=True)
def rung(monkeypatch) -> list[int]:
    """What a worker would have been told to begin."""
    told: list[int] = []
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: told.append(pk))
    return told


def made(user: User, **changed: object) -> Backtest:
    return backtests.submit(user, {**GIVEN, **changed}, AT, actor(user))


def done(user: User, **changed: object) -> Backtest:
    row = made(user, **changed)
    assert backtests.run(row.pk, ticking())
    row.refresh_from_db()
    assert row.state == JobState.DONE
    return row


def text(client: Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.mark.parametrize("page", ["backtests/", "backtests/new/", "backtests/compare/?ids=1,2"])
def test_a_page_is_for_who_is_logged_in(page, client, db):
    answer = client.get(f"/app/{page}")
    assert answer.status_code == 302
    assert answer.url.startswith("/app/account/login/")


@pytest.mark.parametrize("part", ["", "chart.json", "report.json", "trades.csv"])
def test_a_report_is_its_owners(part, client, alice, alices, bobs):
    stored()
    page = f"/app/backtests/{done(alice).pk}/{part}"
    assert client.get(page).status_code == 302
    assert bobs.get(page).status_code == 404
    assert alices.get(page).status_code == 200
    assert alices.get(f"/app/backtests/{2**63}/{part}").status_code == 404


@pytest.mark.parametrize("verb", ["cancel", "repeat", "check"])
def test_a_stranger_changes_nothing(verb, alice, alices, bobs):
    stored(300)
    row = made(alice)
    page = f"/app/backtests/{row.pk}/{verb}/"
    assert bobs.post(page).status_code == 404
    assert alices.get(page).status_code == 405
    row.refresh_from_db()
    assert (row.state, Backtest.objects.count()) == (JobState.QUEUED, 1)


def test_the_form_submits_what_was_typed(alices, alice, rung):
    stored()
    answer = alices.post("/app/backtests/new/", FORM)
    row = Backtest.objects.get(owner=alice)
    assert (answer.status_code, answer.url) == (302, f"/app/backtests/{row.pk}/")
    assert row.request["params"]["rsi_period"] == 7
    assert (row.request["fee"], row.request["slippage"]) == ("0.001", "0.0005")
    assert (row.symbol, row.request["limits"]) == ("BTC/USDT", {"stop_loss_pct": "5"})
    assert rung == [row.pk]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"param_rsi_period": "1"}, "id_param_rsi_period"),
        ({"fee": "50"}, "id_fee"),
        ({"fee": ""}, "id_fee"),
        ({"since": "yesterday"}, "ISO-8601"),
        ({"since": "2025-01-01"}, "Expected a range with candles"),
        ({"since": "2024-02-01", "until": "2024-01-01"}, "Expected a time after since"),
        ({"exchange": "kraken"}, "import or download them first"),
        ({"exchange": "demo", "symbol": "XYZ/USDT"}, "lists no"),
        ({"strategy": "nope"}, "Select a valid choice"),
        ({"symbol": "BTC"}, "such as BTC/USDT"),
        ({"capital": "-5"}, "above zero"),
        ({"limit_stop_loss_pct": "much"}, "id_limit_stop_loss_pct"),
        ({"capital": "\x00"}, "Null characters"),
    ],
)
def test_a_mistake_is_named_at_its_field_and_the_entries_are_kept(changed, said, alices):
    stored(300)
    answer = alices.post("/app/backtests/new/", {**FORM, "param_oversold": "22.5", **changed})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert said in page
    assert 'value="22.5"' in page or changed.get("strategy")
    assert not Backtest.objects.exists()


def test_too_many_unfinished_are_refused_with_the_reason(alices, alice, monkeypatch):
    stored(300)
    monkeypatch.setattr(backtests, "QUOTA", 1)
    made(alice)
    answer = alices.post("/app/backtests/new/", FORM)
    assert answer.status_code == 422
    assert "wait or cancel one" in answer.content.decode()


def test_the_form_says_what_is_stored(alices):
    candles = stored(300)
    assert "computed on demand" in text(alices, "/app/backtests/new/")
    page = text(alices, "/app/backtests/new/?exchange=binance&since=2024-01-02&until=2024-01-04")
    assert "About <strong>48 candles</strong>" in page
    assert "reaches beyond" in text(alices, "/app/backtests/new/?exchange=binance&since=2020-01-01")
    assert "No candles of this market" in text(alices, "/app/backtests/new/?exchange=kraken")
    candle_store.CandleChunk.objects.all().delete()
    kept = type(candles).from_rows([row for index, row in enumerate(candles.rows()) if not 100 <= index < 103])
    candle_store.save("binance", "BTC/USDT", "1h", kept, "a test", AT)
    assert "1 gap in it, 3 candles missing" in text(alices, "/app/backtests/new/?exchange=binance")


def test_a_refresh_redraws_and_submits_nothing(alices):
    answer = alices.post(
        "/app/backtests/new/", {**FORM, "strategy": "breakout", "refresh": "1"}, headers={"HX-Request": "true"}
    )
    page = answer.content.decode()
    assert (answer.status_code, Backtest.objects.count()) == (200, 0)
    assert "param_entry_period" in page
    assert "<html" not in page


def test_an_earlier_one_a_bot_and_a_rule_fill_the_form_in(alices, alice, bobs):
    stored()
    row = made(
        alice, params={"rsi_period": 9}, fee="0.0025", since="2024-01-02T03:00:00Z", limits={"stop_loss_pct": "4"}
    )
    page = text(alices, f"/app/backtests/new/?copy={row.pk}")
    for entry in ('value="9"', 'value="0.25"', 'value="2024-01-02 03:00:00"', 'value="4"'):
        assert entry in page
    assert bobs.get(f"/app/backtests/new/?copy={row.pk}").status_code == 404
    run = start_run(alice, strategy="rsi_cross", params={"rsi_period": 11})
    assert 'value="11"' in text(alices, f"/app/backtests/new/?run={run.pk}")
    assert bobs.get(f"/app/backtests/new/?run={run.pk}").status_code == 404


def test_progress_is_told_and_survives_a_reload(alices, alice):
    stored(300)
    row = made(alice)
    page = f"/app/backtests/{row.pk}/"
    assert "Waiting for a worker" in text(alices, page)
    at = timezone.now()
    Backtest.objects.claim(row.pk, "one", at - timedelta(seconds=30))
    Backtest.objects.beat(row.pk, 1, at, progress=30.0, phase="computing", candles=300)
    for _ in range(2):
        shown = text(alices, page)
        assert "Computing" in shown
        assert "candles per second" in shown
        assert "left" in shown
        assert 'value="30.0"' in shown


def test_a_poll_gets_204_while_nothing_changed_and_a_reload_when_it_is_done(alices, alice):
    stored(300)
    row = made(alice)
    page = f"/app/backtests/{row.pk}/"
    version = alices.get(page).context["live_url"].split("v=")[1]
    poll = {"HX-Request": "true"}
    assert alices.get(f"{page}?v={version}", headers=poll).status_code == 204
    assert backtests.run(row.pk, ticking())
    assert alices.get(f"{page}?v={version}", headers=poll)["HX-Refresh"] == "true"


def test_a_failed_one_keeps_its_entries(alices, alice):
    stored(300)
    row = made(alice)
    candle_store.CandleChunk.objects.all().delete()
    backtests.run(row.pk, ticking())
    page = text(alices, f"/app/backtests/{row.pk}/")
    assert "Expected candles in the range" in page
    assert f"/app/backtests/new/?copy={row.pk}" in page
    assert alices.get(f"/app/backtests/{row.pk}/report.json").status_code == 404


def test_cancel_ends_it(alices, alice):
    stored(300)
    row = made(alice)
    assert alices.post(f"/app/backtests/{row.pk}/cancel/").url == f"/app/backtests/{row.pk}/"
    assert "Canceled" in text(alices, f"/app/backtests/{row.pk}/")
    row.refresh_from_db()
    assert row.state == JobState.CANCELED


def test_the_report_shows_the_result_beside_buy_and_hold(alices, alice):
    stored()
    row = done(alice, limits={"stop_loss_pct": "5"})
    page = text(alices, f"/app/backtests/{row.pk}/")
    document = unpack_document(row.result)
    assert "than buying and holding" in page
    assert document["data"]["sha256"] in page
    assert row.result_sha256 in page
    assert "standard deviation (ddof 1)" in page
    assert "Fees of closed trades" in page
    assert page.count('class="curve-') >= 3
    assert "style=" not in page
    assert len(page) < 100_000
    assert page.count('title="Show it on the chart"') == 25
    assert "trade=25#chart-title" in text(alices, f"/app/backtests/{row.pk}/?after=25")


def test_no_trade_is_a_report_too(alices, alice):
    stored(60)
    page = text(alices, f"/app/backtests/{done(alice, params={'rsi_period': 50}).pk}/")
    assert "No closed trades" in page


def test_the_chart_has_every_trade_and_one_trade_its_own_candles(alices, alice):
    candles = stored()
    row = done(alice)
    trades = unpack_document(row.result)["trades"]
    whole = alices.get(f"/app/backtests/{row.pk}/chart.json").json()
    assert len(whole["candles"]) == len(candles)
    assert sum(mark["side"] == "sell" for mark in whole["markers"]) == len(trades)
    assert whole["panes"][0]["lines"][0] == {"label": "oversold", "value": 30.0}
    one = alices.get(f"/app/backtests/{row.pk}/chart.json?trade=3").json()
    assert len(one["candles"]) <= 100 + trades[3]["candles_held"]
    assert {"side": "buy", "price": float(trades[3]["entry_price"])}.items() <= max(
        one["markers"], key=lambda mark: mark["price"] == float(trades[3]["entry_price"])
    ).items()


def test_many_candles_are_drawn_as_coarser_ones(alices, alice):
    stored(6000)
    row = done(alice)
    chart = alices.get(f"/app/backtests/{row.pk}/chart.json").json()
    assert (chart["timeframe"], len(chart["candles"])) == ("2h", 3000)
    times = {candle[0] for candle in chart["candles"]}
    assert all(mark["time"] in times for mark in chart["markers"])


def test_the_chart_of_vanished_candles_is_a_sentence(alices, alice):
    stored(300)
    row = done(alice)
    candle_store.CandleChunk.objects.all().delete()
    assert "no longer stored" in alices.get(f"/app/backtests/{row.pk}/chart.json").json()["trouble"]


def test_json_and_csv_say_what_is_stored(alices, alice):
    stored()
    row = done(alice)
    document = unpack_document(row.result)
    answer = alices.get(f"/app/backtests/{row.pk}/report.json")
    loaded = json.loads(answer.content)
    assert loaded["stats"] == document["stats"]
    assert loaded["request"] == row.request
    lines = alices.get(f"/app/backtests/{row.pk}/trades.csv").getvalue().decode().splitlines()
    assert len(lines) == 1 + len(document["trades"])
    assert lines[1].split(",")[1] == document["trades"][0]["entry_at"]


def test_again_and_compare_says_whether_it_came_out_the_same(alices, alice, rung):
    candles = stored()
    first = done(alice)
    answer = alices.post(f"/app/backtests/{first.pk}/repeat/")
    again = Backtest.objects.get(repeats=first)
    assert (answer.url, rung) == (f"/app/backtests/{again.pk}/", [again.pk])
    backtests.run(again.pk, ticking())
    assert "Reproduced bit for bit" in text(alices, answer.url)
    candles.close[500] += 1
    candles.high[500] += 2
    candle_store.save("binance", "BTC/USDT", "1h", candles[500:501], "a correction", AT)
    other = alices.post(f"/app/backtests/{first.pk}/repeat/").url
    backtests.run(int(other.split("/")[-2]), ticking())
    assert "Not the same result" in text(alices, other)


def test_what_is_not_done_is_not_repeated(alices, alice):
    stored(300)
    row = made(alice)
    assert alices.post(f"/app/backtests/{row.pk}/repeat/").url == f"/app/backtests/{row.pk}/"
    assert Backtest.objects.count() == 1


def test_bias_checks_are_asked_for_and_shown(alices, alice):
    stored(800)
    row = done(alice)
    page = alices.post(f"/app/backtests/{row.pk}/check/").url
    checks = Backtest.objects.get(kind="checks")
    backtests.run(checks.pk, ticking())
    shown = text(alices, page)
    assert "all say the same" in shown
    assert "One candle later" in shown


def test_a_paper_bot_is_one_click_away_with_every_field(alices, alice):
    stored()
    row = done(alice, params={"rsi_period": 9}, limits={"stop_loss_pct": "5"}, capital="750")
    entries = alices.get(f"/app/backtests/{row.pk}/").context["paper"]
    answer = alices.post("/app/bots/new/", entries)
    page = answer.content.decode()
    assert answer.status_code == 200
    assert not BotRun.objects.exists()
    assert 'name="param_rsi_period" value="9"' in page
    assert 'name="limit_stop_loss_pct" value="5"' in page
    assert 'value="750"' in page
    assert 'id="mode-paper" checked' in page


def test_the_list_costs_the_same_for_one_as_for_many(alices, alice, django_assert_num_queries):
    stored(300)
    done(alice)
    alices.get("/app/backtests/")
    with django_assert_num_queries(4):
        alices.get("/app/backtests/")
    for _ in range(4):
        made(alice)
    with django_assert_num_queries(4):
        page = alices.get("/app/backtests/").content.decode()
    assert page.count('name="ids"') == 1
    assert page.count("Queued") == 4


def test_two_are_compared_with_the_best_named_and_the_differences_marked(alices, alice, bobs):
    stored()
    one, two = done(alice), done(alice, params={"rsi_period": 6}, fee="0")
    for query in (f"ids={one.pk},{two.pk}", f"ids={one.pk}&ids={two.pk}"):
        page = text(alices, f"/app/backtests/compare/?{query}")
        assert "★ best" in page
        assert page.count("differs</span>") == 2
        assert page.count('class="curve-c') == 2
    assert bobs.get(f"/app/backtests/compare/?ids={one.pk},{two.pk}").status_code == 404


@pytest.mark.parametrize("query", ["", "ids=1", "ids=x,y", "ids=1,1", "ids=1,2,3,4,5,6,7"])
def test_one_or_seven_are_no_comparison(query, alices):
    assert alices.get(f"/app/backtests/compare/?{query}").url == "/app/backtests/"


def test_what_is_unfinished_is_not_compared(alices, alice):
    stored(300)
    one, two = done(alice), made(alice)
    assert alices.get(f"/app/backtests/compare/?ids={one.pk},{two.pk}").status_code == 404
