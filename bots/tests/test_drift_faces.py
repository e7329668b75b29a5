"""The drift report's faces: pages, API, command, admin and hints, for its owner and for nobody else."""

import json
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tests.cast import present_second_factor, totp
from bots import drift, research_tasks, rounds
from bots.core.backtest.engine import NoCandles
from bots.models import BotRun, DriftReport
from bots.testing import START, Stage, start_run
from bots.tests.drift_cast import DAY, NIGHT, reported, store
from bots.tests.views.conftest import browser
from tradingbot.tests.api_client import ApiClient, fields, problem
from tradingbot.tests.journey.console import done, manage

PAGE = "/app/bots/{run}/drift/2024-01-15/"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is this process, and does everything the moment it is rung for."""
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: task(pk))


@pytest.fixture
def traded(alice: User, stage: Stage) -> BotRun:
    """A run that missed an entry's candle, bought nothing, and whose candles are stored."""
    run = start_run(alice)
    for index in (0, 1, 7, 8):
        rounds.whole_round(stage.closes(index))
    store(stage.candles, "1m")
    run.refresh_from_db()
    return run


@pytest.fixture
def alices(alice: User) -> Client:
    return browser(alice)


def text(client: Client, page: str) -> str:
    answer = client.get(page)
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


def unexplained(run: BotRun, days_ago: int = 1) -> DriftReport:
    at = timezone.now()
    facts = {"state": "done", "created_at": at, "finished_at": at, "trades": 2, "unexplained": 1}
    counts = {"SAME": 1, "UNEXPLAINED": 1}
    day = (at - timedelta(days=days_ago)).date()
    return DriftReport.objects.create(run=run, day=day, counts=counts, document={"rows": []}, **facts)


def test_the_tab_lists_days_and_compares_one_now(alices: Client, traded: BotRun) -> None:
    tab = f"/app/bots/{traded.pk}/?tab=drift"
    assert "No day was compared yet." in text(alices, tab)
    away = alices.post(f"/app/bots/{traded.pk}/drift/", {"day": "2024-01-15"})
    assert (away.status_code, away.url) == (302, tab)
    listed = text(alices, tab)
    assert PAGE.format(run=traded.pk) in listed
    assert "differs" in listed


def test_the_days_page_tells_each_trade_and_its_cause(alices: Client, traded: BotRun) -> None:
    reported(traded)
    page = text(alices, PAGE.format(run=traded.pk))
    assert "Nothing was written down from 00:02:00 to 00:08:00 UTC" in page
    assert "Nobody was at work" in page
    assert "nothing" in page


def test_a_day_that_failed_or_was_not_compared_says_why(alices: Client, traded: BotRun) -> None:
    row = reported(traded)
    DriftReport.objects.filter(pk=row.pk).update(state="failed", error="No candles are known.")
    assert "No candles are known." in text(alices, PAGE.format(run=traded.pk))
    assert "No candles are known." in text(alices, f"/app/bots/{traded.pk}/?tab=drift")
    DriftReport.objects.filter(pk=row.pk).update(state="done", error="", note="Several orders at once.")
    assert "Several orders at once." in text(alices, PAGE.format(run=traded.pk))


def test_earlier_versions_stay_to_be_read(alices: Client, traded: BotRun) -> None:
    reported(traded)
    reported(traded)
    page = PAGE.format(run=traded.pk)
    assert "Version 2 of 2" in text(alices, page)
    assert "Version 1 of 2" in text(alices, f"{page}?version=1")
    assert alices.get(f"{page}?version=3").status_code == 404


@pytest.mark.parametrize("day", ["2024-01-14", "2024-02-31", "nonsense", "2024-01-16"])
def test_a_day_that_is_not_there_is_not_found(alices: Client, traded: BotRun, day: str) -> None:
    assert alices.get(f"/app/bots/{traded.pk}/drift/{day}/").status_code == 404


@pytest.mark.parametrize("day", ["", "nonsense", "2024-01-14", "2999-01-01"])
def test_a_wrong_day_starts_nothing_and_says_so(alices: Client, traded: BotRun, day: str) -> None:
    answer = alices.post(f"/app/bots/{traded.pk}/drift/", {"day": day}, follow=True)
    assert "Nothing was started." in answer.content.decode()
    assert not DriftReport.objects.exists()


def test_pages_are_their_owners(client: Client, bob: User, traded: BotRun) -> None:
    reported(traded)
    page, ask = PAGE.format(run=traded.pk), f"/app/bots/{traded.pk}/drift/"
    bobs = browser(bob)
    assert client.get(page).status_code == client.post(ask, {"day": "2024-01-15"}).status_code == 302
    assert bobs.get(page).status_code == bobs.post(ask, {"day": "2024-01-15"}).status_code == 404
    assert browser(traded.user).get(ask).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(traded.user)
    assert strict.post(ask, {"day": "2024-01-15"}).status_code == 403
    assert DriftReport.objects.count() == 1


def test_what_nothing_explains_is_told_on_dashboard_and_run(alices: Client, bob: User, traded: BotRun) -> None:
    row = unexplained(traded)
    page = f"/app/bots/{traded.pk}/drift/{row.day:%Y-%m-%d}/"
    for where in ("/app/", f"/app/bots/{traded.pk}/"):
        shown = text(alices, where)
        assert page in shown
        assert "nothing explains it" in shown
    assert page not in text(browser(bob), "/app/")
    assert "1 trade that nothing explains" in text(alices, page)


def test_an_old_difference_is_told_no_more(alices: Client, traded: BotRun) -> None:
    unexplained(traded, days_ago=9)
    assert "nothing explains it" not in text(alices, "/app/")


def test_the_api_compares_lists_and_tells(alice: User, traded: BotRun) -> None:
    api = ApiClient(alice)
    path = f"/api/v1/bot/{traded.pk}/drift"
    asked = api.post(path, {"day": "2024-01-15"})
    assert (asked.status_code, asked["Location"]) == (202, f"{path}/2024-01-15")
    document = api.get(asked["Location"]).json()
    assert (document["state"], document["unexplained"], document["remainder"]) == ("done", 0, "0")
    (row,) = document["document"]["rows"]
    assert (row["cause"], row["live"], row["replayed"]["side"]) == ("OUTAGE", None, "buy")
    assert document["difference"] == row["effect"] == document["effects"]["OUTAGE"]
    (listed,) = api.get(path).json()["items"]
    assert (listed["day"], listed["differing"], "document" in listed) == ("2024-01-15", 1, False)
    api.post(path, {"day": "2024-01-15"})
    assert api.get(f"{path}/2024-01-15?version=1").json()["id"] == document["id"]
    assert api.get(f"{path}/2024-01-15").json()["versions"] == [1, 2]


def test_the_api_refuses_what_cannot_be_compared(alice: User, traded: BotRun) -> None:
    api = ApiClient(alice)
    path = f"/api/v1/bot/{traded.pk}/drift"
    assert fields(problem(api.post(path, {"day": "2024-01-14"}), 422)) == ["body.day"]
    problem(api.post(path, {"day": "tomorrow"}), 422)
    problem(api.post(path, {"day": "2024-01-15", "color": "red"}), 422)
    for day in ("2024-01-15", "nonsense", "2024-02-31"):
        problem(api.get(f"{path}/{day}"), 404, "not_found")
    assert not DriftReport.objects.exists()


def test_the_api_is_its_owners(alice: User, bob: User, traded: BotRun) -> None:
    reported(traded)
    path = f"/api/v1/bot/{traded.pk}/drift"
    for stranger, status in ((ApiClient(bob), 404), (ApiClient(), 401)):
        problem(stranger.get(path), status)
        problem(stranger.get(f"{path}/2024-01-15"), status)
        problem(stranger.post(path, {"day": "2024-01-15"}), status)
    problem(ApiClient(alice, "read").post(path, {"day": "2024-01-15"}), 403, "missing_scope")
    assert DriftReport.objects.count() == 1


def test_the_command_compares_and_tells(traded: BotRun) -> None:
    at = f"--at={NIGHT:%Y-%m-%dT%H:%M:%SZ}"
    document = done("drift_report", f"--run={traded.pk}", at)
    (item,) = document["items"]
    assert (item["day"], item["state"], item["counts"]) == ("2024-01-15", "done", {"OUTAGE": 1})
    again = done("drift_report", f"--run={traded.pk}", at)
    assert again == document
    assert done("drift_report", f"--run={traded.pk}", "--day=2024-01-15", "--again", at)["items"][0]["version"] == 2
    told = manage("drift_report", f"--run={traded.pk}", "--days=5", at)
    assert "1 trades, 1 differ, 0 unexplained" in told.out
    assert "OUTAGE" in told.out
    assert len(done("drift_report", f"--run={traded.pk}", "--days=999999999", at)["items"]) == 1


def test_the_command_says_that_no_day_is_over(traded: BotRun) -> None:
    at = "--at=2024-01-15T12:00:00Z"
    assert done("drift_report", f"--run={traded.pk}", at) == {"items": []}
    assert manage("drift_report", f"--run={traded.pk}", at).out == "No day of this run is over yet.\n"


def test_the_command_fails_where_a_day_could_not_be_compared(traded: BotRun, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*given: object) -> None:
        raise NoCandles("No candles are known.")

    monkeypatch.setattr(drift, "carry_out", nothing)
    ended = manage("drift_report", f"--run={traded.pk}", f"--at={NIGHT:%Y-%m-%dT%H:%M:%SZ}", "--json")
    assert (ended.code, json.loads(ended.out)["items"][0]["error"]) == (1, "No candles are known.")
    assert "2024-01-15" in ended.err


def test_the_command_names_what_is_wrong(traded: BotRun) -> None:
    assert manage("drift_report", "--run=999", "--json").code == 3
    assert manage("drift_report", f"--run={traded.pk}", "--day=2024-01-14", "--json").code == 4
    assert manage("drift_report", f"--run={traded.pk}", "--day=nonsense", "--json").code == 2


def test_the_operator_reads_reports_and_writes_none(traded: BotRun) -> None:
    row = reported(traded)
    root = User.objects.create_superuser("root@example.com", "x" * 20)
    client = Client()
    client.force_login(root)
    present_second_factor(client, totp(root))
    assert client.get("/admin/bots/driftreport/").status_code == 200
    assert client.get(f"/admin/bots/driftreport/{row.pk}/change/").status_code == 200
    assert client.post(f"/admin/bots/driftreport/{row.pk}/change/", {"note": "mine"}).status_code == 403
    assert client.get("/admin/bots/driftreport/add/").status_code == 403
    assert START.date() == DAY
