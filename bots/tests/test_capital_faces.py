"""The same capital on the page, as JSON, on the console and in the administration; everybody sees their own."""

import io
import json
from decimal import Decimal as D

from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from ninja.testing import TestClient

from accounts import operations
from accounts.audit import CONSOLE
from accounts.models import User
from accounts.tests.cast import present_second_factor, totp
from bots import lifecycle, rounds
from bots.api.capital import router
from bots.models import CapitalEntry
from bots.queries import capital
from bots.testing import START, Stage, start_run


def token(user: User, *scopes: str) -> dict[str, str]:
    _, secret = operations.create_token(user, scopes, timezone.now(), CONSOLE)
    return {"Authorization": f"Bearer {secret}"}


def page(user: User, path: str = "/app/capital/") -> str:
    browser = Client()
    browser.force_login(user)
    answer = browser.get(path)
    assert answer.status_code == 200
    return answer.content.decode()


def test_everybody_sees_their_own_accounts(alice: User, bob: User, stage: Stage) -> None:
    run = start_run(alice)
    (view,) = capital.capital_of(alice, START)
    assert (view.mode, view.quote, view.reserved, view.flows, view.owned) == ("paper", "USDT", 1000, 0, 1000)
    assert (view.free, view.available) == (1000, 0)
    assert [one.bot_run_id for one in view.runs] == [run.pk]
    assert capital.capital_of(bob, START) == []
    assert capital.capital_of(alice, START, mode="live") == []
    assert capital.entries_of(bob).items == []


def test_flows_are_those_of_the_fills(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    for index in range(5):
        rounds.whole_round(stage.closes(index))
    run.refresh_from_db()
    (view,) = capital.capital_of(alice, stage.closes(4))
    assert view.flows == run.position.cash < 0
    assert view.owned == view.reserved + view.flows
    # The wallet says the same: what the run bought is gone from both.
    assert (view.free, view.available) == (view.owned, 0)


def test_a_stopped_run_holds_nothing_and_stays_in_the_ledger(alice: User, stage: Stage) -> None:
    lifecycle.stop(start_run(alice), "keep", START, CONSOLE)
    assert capital.capital_of(alice, START) == []
    assert [(entry.kind, entry.amount) for entry in capital.entries_of(alice).items] == [
        ("release", D(1000)),
        ("reserve", D(1000)),
    ]


def test_the_ledger_is_paged(alice: User, stage: Stage) -> None:
    for _ in range(3):
        start_run(alice)
    first = capital.entries_of(alice, limit=2)
    rest = capital.entries_of(alice, limit=2, before=first.next)
    assert [len(first.items), len(rest.items), rest.next] == [2, 1, None]
    assert {entry.id for entry in (*first.items, *rest.items)} == set(CapitalEntry.objects.values_list("pk", flat=True))


def test_an_exchange_that_does_not_answer_leaves_what_is_free_unknown(alice: User, stage: Stage) -> None:
    start_run(alice)
    stage.down = True
    stage_view = capital.capital_of(alice, START)
    assert [view.owned for view in stage_view] == [1000]


def test_the_api_tells_what_the_page_tells(alice: User, bob: User, stage: Stage) -> None:
    run = start_run(alice)
    api = TestClient(router)
    answer = api.get("/api/v1/capital", headers=token(alice, "read")).json()
    assert answer["next"] is None
    assert answer["items"][0]["owned"] == "1000"
    assert answer["items"][0]["runs"][0]["bot_run_id"] == run.pk
    entries = api.get("/api/v1/capital/entries", headers=token(alice, "read")).json()["items"]
    assert [(entry["kind"], entry["amount"], entry["bot_run_id"]) for entry in entries] == [("reserve", "1000", run.pk)]
    assert api.get("/api/v1/capital", headers=token(bob, "read")).json()["items"] == []
    assert api.get("/api/v1/capital?mode=live", headers=token(alice, "read")).json()["items"] == []
    assert api.get("/api/v1/capital").status_code == 401


def test_the_page_shows_accounts_and_ledger(alice: User, bob: User, stage: Stage) -> None:
    run = start_run(alice)
    text = page(alice)
    assert f"#{run.pk}" in text
    assert "1,000" in text
    assert "Reserve" in text
    assert f"#{run.pk}" not in page(bob)
    assert "No bot holds any money." in page(bob)


def test_the_page_is_for_who_is_logged_in(alice: User) -> None:
    answer = Client().get("/app/capital/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/app/account/login/")


def test_the_command_lists_it_too(alice: User, stage: Stage) -> None:
    start_run(alice)
    out = io.StringIO()
    call_command("capital_list", alice.email, "--json", "--at", "2024-01-15T00:00:00Z", stdout=out)
    (item,) = json.loads(out.getvalue())["items"]
    assert (item["quote"], item["owned"], item["available"]) == ("USDT", "1000", "0")
    out = io.StringIO()
    call_command("capital_list", alice.email, stdout=out)
    assert "1 runs own 1000 USDT" in out.getvalue()


def test_the_administration_shows_entries_and_changes_none(alice: User, stage: Stage) -> None:
    start_run(alice)
    operator = User.objects.create_user("root@example.com", is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(operator)
    present_second_factor(browser, totp(operator))
    entry = CapitalEntry.objects.get()
    assert browser.get("/admin/bots/capitalentry/").status_code == 200
    assert browser.get("/admin/bots/capitalentry/add/").status_code == 403
    assert browser.post(f"/admin/bots/capitalentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    assert CapitalEntry.objects.get() == entry
