"""The inbox of cases: told in words, its owner's alone, resolved with a note, counted on every page."""

from decimal import Decimal as D

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from bots import reconcile
from bots.core.risk import Gate
from bots.models import BotRun, CaseKind, Incident, TradingAccount, TradingGate
from bots.reconcile import incidents
from bots.testing import START, start_run
from bots.tests.desk import Desk, after
from bots.tests.views.conftest import browser

PAGES = ("", "resolve/", "recheck/")


@pytest.fixture
def case(alice, stage) -> Incident:
    run = start_run(alice)
    incidents.tell(run.account, "unresolved", "order:1", "Order abc is in doubt.", {"order": 1}, START, Gate.REDUCING)
    return Incident.objects.get()


def text(client: Client, page: str) -> str:
    answer = client.get(page)
    assert answer.status_code == 200
    return answer.content.decode()


def path(case: Incident, what: str = "") -> str:
    return f"/app/risk/cases/{case.pk}/{what}"


def test_the_list_shows_ones_own_cases(alices, bobs, case):
    assert "Order abc is in doubt." in text(alices, "/app/risk/cases/")
    assert "Order abc" not in text(bobs, "/app/risk/cases/")
    assert "No cases" in text(bobs, "/app/risk/cases/")


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("state=open", True), ("state=resolved", False), ("kind=unresolved", True), ("kind=orphan", False),
        ("account=0", True), ("state=nonsense", True), ("before=1", False),
    ],
)  # fmt: skip
def test_the_list_is_filtered(alices, case, wanted, shown):
    assert ("Order abc" in text(alices, f"/app/risk/cases/?{wanted}")) is shown


def test_the_list_is_filtered_by_account(alices, alice, case):
    other = start_run(alice)
    incidents.tell(other.account, "overfill", "order:2", "Too much.", {"order": 2}, START)
    shown = text(alices, f"/app/risk/cases/?account={other.account_id}")
    assert "Too much." in shown
    assert "Order abc" not in shown


@pytest.mark.parametrize("what", PAGES)
def test_a_case_is_its_owners(client, bobs, case, what):
    ask = "get" if what == "" else "post"
    assert getattr(client, ask)(path(case, what), {"note": "x"}).status_code == 302
    assert getattr(bobs, ask)(path(case, what), {"note": "x"}).status_code == 404
    assert getattr(bobs, ask)(f"/app/risk/cases/{2**80}/{what}", {"note": "x"}).status_code == 404
    assert Incident.objects.get().resolved_at is None


@pytest.mark.parametrize("what", ["resolve/", "recheck/"])
def test_a_link_changes_nothing(alices, case, what):
    assert alices.get(path(case, what)).status_code == 405


@pytest.mark.parametrize("kind", list(CaseKind))
def test_every_kind_is_told_in_words(alices, alice, stage, kind):
    run = start_run(alice)
    evidence = {"asset": "BTC", "total": "1", "held": "2"} if kind == CaseKind.BALANCE else {"order": 1}
    incidents.tell(run.account, kind, "subject", "It came apart.", evidence, START)
    shown = text(alices, path(Incident.objects.get()))
    for told in (kind.label, "It came apart.", "Nothing is ever traded to repair.", "not even a stop-loss"):
        assert told in shown
    assert ("Take the exchange’s balance" in shown) is (kind == CaseKind.BALANCE)
    assert f"/app/bots/{run.pk}/" in shown


def test_resolving_wants_a_note(alices, case):
    answer = alices.post(path(case, "resolve/"), {"note": "  "})
    assert answer.status_code == 422
    assert "Say what was found" in answer.content.decode()
    assert Incident.objects.get().resolved_at is None


def test_resolving_lets_the_account_go_and_says_so(alices, alice, case):
    answer = alices.post(path(case, "resolve/"), {"note": "I looked."}, follow=True)
    assert "No case holds the account any more." in answer.content.decode()
    case.refresh_from_db()
    assert (case.resolution, case.resolved_by) == ("I looked.", f"user:{alice.pk}")
    assert TradingGate.objects.get(level="account").state == "ACTIVE"
    again = alices.post(path(case, "resolve/"), {"note": "Twice."}, follow=True)
    assert "was resolved before" in again.content.decode()


def test_resolving_one_of_two_says_that_another_holds(alices, case):
    incidents.tell(case.account, "overfill", "order:2", "Too much.", {"order": 2}, START)
    answer = alices.post(path(case, "resolve/"), {"note": "I looked."}, follow=True)
    assert "The account stays halted: another case is open." in answer.content.decode()


def test_only_a_balance_is_taken_as_it_is(alices, case):
    answer = alices.post(path(case, "resolve/"), {"note": "I looked.", "accept": "on"})
    assert answer.status_code == 422
    assert "Only a balance" in answer.content.decode()


def test_looking_again_says_what_was_found(alices, case):
    answer = alices.post(path(case, "recheck/"), follow=True)
    assert "This could not be compared now" in answer.content.decode()


def test_the_number_of_open_cases_stands_on_every_page_and_goes_away(alices, bobs, case):
    for page in ("/app/", "/app/bots/", "/app/account/", "/app/strategies/", "/app/keys/"):
        assert '1<span class="visually-hidden"> open</span>' in text(alices, page)
        assert "open case" not in text(bobs, page)
    alices.post(path(case, "resolve/"), {"note": "I looked."})
    assert "open case" not in text(alices, "/app/bots/")


def test_a_poll_asks_for_no_count(alices, case):
    for headers, asks in (({}, True), ({"HX-Request": "true"}, False)):
        with CaptureQueriesContext(connection) as asked:
            alices.get("/app/trades/", headers=headers)
        assert any("bots_incident" in query["sql"] for query in asked) is asks


def test_the_run_and_the_dashboard_lead_to_the_case_and_say_why(alices, case):
    run = BotRun.objects.get()
    shown = text(alices, f"/app/bots/{run.pk}/")
    assert f'<a href="{path(case)}">case {case.pk}' in shown
    assert f"No new entries on this account; exits and stops go on. Case {case.pk}: Order abc is in doubt." in shown
    dashboard = text(alices, "/app/")
    assert f'<a href="{path(case)}">Case {case.pk}</a>' in dashboard
    assert "do not enter: Order abc is in doubt. Nothing is ever traded to repair." in dashboard
    assert f'href="{path(case)}"' in text(alices, "/app/risk/")


def test_a_balance_shows_both_books_pass_by_pass(desk: Desk):
    reader = browser(desk.run.user)
    desk.books.deposit("BTC", D("0.5"))
    for at in (30, 60):
        compare(desk, at)
    desk.books.deposit("BTC", D("-0.01"))
    for at in (90, 120):
        compare(desk, at)
    shown = text(reader, path(Incident.objects.get()))
    assert "The exchange holds 0.49 BTC; our books explain 0.5." in shown
    assert shown.count('data-label="Unexplained">-0.01<') == 2
    answer = reader.post(path(Incident.objects.get(), "resolve/"), {"note": "Withdrawn.", "accept": "on"}, follow=True)
    assert "is resolved" in answer.content.decode()
    assert TradingAccount.objects.get().outside == {"BTC": "0.49"}


def compare(desk: Desk, at: float) -> None:
    reconcile.reconcile_account(TradingAccount.objects.get(), desk.exchange(at), "test", after(at))
