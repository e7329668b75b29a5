"""Cases as JSON and on the console: what the page tells, and the same writes behind it."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.management.base import Exit
from accounts.models import AuditEntry, User
from bots import reconcile
from bots.core.risk import Gate
from bots.models import Incident, TradingAccount, TradingGate
from bots.reconcile import incidents
from bots.testing import START, Stage, start_run
from bots.tests.desk import Desk, after
from bots.tests.test_cases import drifted
from exchanges.core.errors import Unavailable
from tradingbot.tests.api_client import ApiClient, fields, problem


@pytest.fixture
def case(alice: User, stage: Stage) -> Incident:
    run = start_run(alice)
    incidents.tell(run.account, "late_fill", "order:1", "A fill came late.", {"order": 1}, START, Gate.HALTED)
    return Incident.objects.get()


@pytest.fixture
def api(alice: User) -> ApiClient:
    return ApiClient(alice)


def done(name: str, *given: object) -> Any:
    out = io.StringIO()
    call_command(name, *map(str, given), "--json", "--yes", stdout=out)
    return json.loads(out.getvalue())


def test_the_list_tells_what_the_page_tells(api: ApiClient, bob: User, case: Incident) -> None:
    (item,) = api.get("/api/v1/cases").json()["items"]
    assert (item["id"], item["kind"], item["state"], item["hold"]) == (case.pk, "late_fill", "open", "HALTED")
    assert (item["opened_at"], item["passes"], item["resolved_at"]) == ("2024-01-15T00:00:00Z", 1, None)
    assert ApiClient(bob).get("/api/v1/cases").json()["items"] == []
    # The contract's older field names the same case.
    assert [one["id"] for one in api.get("/api/v1/risk").json()["incidents"]] == [case.pk]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [("state=open", 1), ("state=resolved", 0), ("kind=late_fill", 1), ("kind=orphan", 0), ("account_id=999", 0)],
)
def test_the_list_is_filtered(api: ApiClient, case: Incident, wanted: str, count: int) -> None:
    assert len(api.get(f"/api/v1/cases?{wanted}").json()["items"]) == count


@pytest.mark.parametrize("wanted", ["state=odd", "kind=odd", "account_id=-1", "account_id=x"])
def test_a_filter_that_means_nothing_is_named(api: ApiClient, case: Incident, wanted: str) -> None:
    assert problem(api.get(f"/api/v1/cases?{wanted}"), 422)["errors"][0]["loc"] == ["query", wanted.split("=")[0]]


def test_the_list_is_paged(api: ApiClient, case: Incident) -> None:
    for number in range(3):
        incidents.tell(case.account, "overfill", f"order:{number}", "Too much.", {"order": number}, START)
    first = api.get("/api/v1/cases?limit=3").json()
    rest = api.get(f"/api/v1/cases?limit=3&cursor={first['next']}").json()
    assert [len(first["items"]), len(rest["items"]), rest["next"]] == [3, 1, None]
    assert rest["items"][0]["id"] == case.pk


def test_one_case_comes_with_its_evidence(api: ApiClient, case: Incident) -> None:
    shown = api.get(f"/api/v1/cases/{case.pk}").json()
    assert (shown["gate"], shown["may_accept"], shown["facts"]) == ("HALTED", False, {"order": 1})
    assert shown["gate_reason"] == f"Case {case.pk}: A fill came late."
    assert [run["held"] for run in shown["runs"]] == ["0"]


def test_resolving_lets_the_account_go_once(api: ApiClient, alice: User, case: Incident) -> None:
    shown = api.post(f"/api/v1/cases/{case.pk}/resolve", {"note": " I looked. "}).json()
    assert (shown["state"], shown["resolution"], shown["resolved_by"][:6]) == ("resolved", "I looked.", "token:")
    assert TradingGate.objects.get(level="account").state == "ACTIVE"
    problem(api.post(f"/api/v1/cases/{case.pk}/resolve", {"note": "Again."}), 409, "case_resolved")
    assert AuditEntry.objects.get(action="case.resolved").actor == alice


def test_resolving_is_repeated_under_its_key(api: ApiClient, case: Incident) -> None:
    ask = (f"/api/v1/cases/{case.pk}/resolve", {"note": "I looked."})
    first, second = (api.post(*ask, Idempotency_Key="one") for _ in range(2))
    assert (first.status_code, second.json()) == (200, first.json())
    assert AuditEntry.objects.filter(action="case.resolved").count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "note"), ({"note": " "}, "note"), ({"note": "x" * 301}, "note"), ({"note": "x", "a": 1}, "a")],
)
def test_resolving_wants_a_note(api: ApiClient, case: Incident, body: dict[str, object], field: str) -> None:
    assert fields(problem(api.post(f"/api/v1/cases/{case.pk}/resolve", body), 422)) == [f"body.{field}"]
    assert Incident.objects.get().resolved_at is None


def test_only_a_balance_is_taken_as_it_is(api: ApiClient, case: Incident) -> None:
    refused = api.post(f"/api/v1/cases/{case.pk}/resolve", {"note": "x", "accept": True})
    assert fields(problem(refused, 422, "nothing_to_accept")) == ["body.accept"]
    assert Incident.objects.get().resolved_at is None


def test_looking_again_is_told(api: ApiClient, case: Incident) -> None:
    shown = api.post(f"/api/v1/cases/{case.pk}/recheck").json()
    assert (shown["verdict"], shown["faults"], shown["case"]["id"]) == ("not_compared", [], case.pk)


def test_a_balance_is_compared_and_taken_as_it_is(desk: Desk) -> None:
    case, api = drifted(desk), ApiClient(desk.run.user)
    passes = api.get(f"/api/v1/cases/{case.pk}").json()["passes"]
    assert [(one["total"], one["difference"]) for one in passes] == [(passes[0]["total"], "-0.01")] * 2
    desk.books.fail("fetch_balances", Unavailable("gone"))
    silent = api.post(f"/api/v1/cases/{case.pk}/recheck").json()
    assert (silent["verdict"], len(silent["faults"])) == ("not_compared", 1)
    assert api.post(f"/api/v1/cases/{case.pk}/recheck").json()["verdict"] == "stands"
    assert api.post(f"/api/v1/cases/{case.pk}/resolve", {"note": "Mine.", "accept": True}).status_code == 200
    account = TradingAccount.objects.get()
    assert [reconcile.reconcile_account(account, desk.exchange(at), "t", after(at)).mismatches for at in (9, 99)] == [
        0,
        0,
    ]


def test_the_console_lists_looks_again_and_resolves(case: Incident, alice: User, bob: User) -> None:
    assert [item["id"] for item in done("case_list")["items"]] == [case.pk]
    assert done("case_list", bob.email)["items"] == []
    assert done("case_list", alice.email, "--state", "resolved")["items"] == []
    assert done("case_list", "--kind", "late_fill", "--account", case.account_id)["items"][0]["kind"] == "late_fill"
    assert done("case_recheck", case.pk)["verdict"] == "not_compared"
    resolved = done("case_resolve", case.pk, "--note", "I looked.")
    assert (resolved["state"], resolved["resolved_by"]) == ("resolved", "console")
    assert TradingGate.objects.get(level="account").state == "ACTIVE"


def test_the_console_speaks_in_lines(case: Incident, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("case_list")
    call_command("case_recheck", str(case.pk))
    call_command("case_resolve", str(case.pk), "--note", "I looked.", "--yes")
    call_command("case_list", "--state", "open")
    assert capsys.readouterr().out.splitlines() == [
        f"#{case.pk:<4} 2024-01-15 00:00 HALTED   demo on paper #{case.account_id}: A fill came late.",
        f"Case {case.pk}: not_compared.",
        "0 orders looked at, 0 fills booked.",
        f"Case {case.pk} is resolved.",
        "No such case.",
    ]


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("case_resolve", "1", "--yes"), Exit.USAGE),
        (("case_resolve", "999", "--note", "x", "--yes"), Exit.NOT_FOUND),
        (("case_resolve", "1", "--note", "x"), Exit.REFUSED),
        (("case_resolve", "1", "--note", "x", "--accept", "--yes"), Exit.INVALID),
        (("case_recheck", "999"), Exit.NOT_FOUND),
        (("case_list", "nobody@example.com"), Exit.NOT_FOUND),
    ],
)
def test_what_the_console_refuses_changes_nothing(case: Incident, given: tuple[str, ...], code: Exit) -> None:
    words = [str(case.pk) if word == "1" else word for word in given]
    with pytest.raises(CommandError) as refused:
        call_command(*words)
    assert refused.value.returncode == code
    assert Incident.objects.get().resolved_at is None
