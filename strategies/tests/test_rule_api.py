"""The rules' routes: who may, what comes back, what is refused without effect."""

import json
from datetime import timedelta

import pytest

from accounts.audit import CONSOLE
from accounts.models import AuditEntry
from accounts.tests import cast
from strategies import operations
from strategies.core.rule_schema import definition_schema
from strategies.models import RuleSet, RuleSetVersion
from strategies.tests.cases import DEFINITION, OTHER, WRONG, facts, rule_set
from tradingbot.tests.api_client import ApiClient, fields, problem

pytestmark = pytest.mark.django_db

RULES = "/api/v1/rules"
BODY = {"name": "Dips", "description": "", "definition": DEFINITION}
ROUTES = [
    ("GET", RULES, "read", None, 200),
    ("POST", RULES, "trade", {**BODY, "name": "New"}, 201),
    ("GET", f"{RULES}/schema", "read", None, 200),
    ("POST", f"{RULES}/validate", "read", {"definition": DEFINITION}, 200),
    ("POST", f"{RULES}/preview", "read", {"definition": DEFINITION, "candles": 60}, 200),
    ("GET", RULES + "/{}", "read", None, 200),
    ("PUT", RULES + "/{}", "trade", {**BODY, "name": "Changed"}, 200),
    ("GET", RULES + "/{}/versions", "read", None, 200),
    ("DELETE", RULES + "/{}", "trade", None, 204),
]
each_route = pytest.mark.parametrize(("method", "path", "scope", "body", "status"), ROUTES)
foreign_route = pytest.mark.parametrize(
    ("method", "path", "scope", "body", "status"), [route for route in ROUTES if "{}" in route[1]]
)


def everything():
    return [list(table.objects.order_by("pk").values()) for table in (RuleSet, RuleSetVersion, AuditEntry)]


@pytest.fixture
def owner(alice):
    return ApiClient(alice)


# --- who may -----------------------------------------------------------------------------------------------------


@each_route
def test_owner_with_the_scope_is_answered(method, path, scope, body, status, alice):
    client, made = ApiClient(alice, scope), rule_set(alice)
    assert client.call(method, path.format(made.pk), body).status_code == status


@each_route
def test_nobody_is_unauthorized(method, path, scope, body, status, alice):
    made, before = rule_set(alice), everything()
    problem(ApiClient().call(method, path.format(made.pk), body), 401, "unauthorized")
    assert everything()[:2] == [*map(list, (RuleSet.objects.values(), RuleSetVersion.objects.values()))]
    assert len(everything()[2]) == len(before[2])


@each_route
def test_other_scopes_are_not_enough(method, path, scope, body, status, alice):
    made = rule_set(alice)
    lacking = ApiClient(alice, *({"read", "trade", "keys", "admin"} - {scope}))
    before = everything()
    problem(lacking.call(method, path.format(made.pk), body), 403, "missing_scope")
    assert everything() == before


@foreign_route
def test_anothers_rule_set_does_not_exist(method, path, scope, body, status, alice, bob):
    made, stranger = rule_set(alice), ApiClient(bob)
    before = everything()
    refused = problem(stranger.call(method, path.format(made.pk), body), 404, "not_found")
    missing = problem(stranger.call(method, path.format(10**9), body), 404, "not_found")
    assert {**refused, "request_id": ""} == {**missing, "request_id": ""}
    assert everything() == before


@foreign_route
@pytest.mark.parametrize("wrong", ["0", "-1", str(2**63), "1.0", "x", "٣"])
def test_id_that_cannot_exist_is_not_found(method, path, scope, body, status, wrong, owner):
    problem(owner.call(method, path.format(wrong), body), 404, "not_found")


# --- what comes back ---------------------------------------------------------------------------------------------


def test_created_rule_set_is_shown_with_what_starts_a_run(owner):
    answer = owner.post(RULES, BODY)
    made = answer.json()
    assert answer["Location"] == f"{RULES}/{made['id']}"
    assert made == owner.get(answer["Location"]).json()
    assert made["version"] == 1
    assert made["limits"] == {"stop_loss_pct": "5"}
    assert made["params"] == {"definition": made["definition"], "rule_set": made["id"], "version": 1}
    assert made["words"][0] == "Buys when the RSI of 14 candles (cutler) crosses above 30."
    assert made["created_at"].endswith("Z")


def test_update_is_a_new_version_and_the_old_one_is_listed(owner, alice):
    made = rule_set(alice)
    changed = owner.put(f"{RULES}/{made.pk}", {**BODY, "definition": OTHER, "version": 1}).json()
    assert (changed["version"], changed["limits"]) == (2, {"stop_loss_pct": "7.5"})
    items = owner.get(f"{RULES}/{made.pk}/versions").json()["items"]
    assert [(item["version"], item["definition"]["stop_loss_pct"]) for item in items] == [(2, "7.5"), (1, "5")]


def test_list_pages_newest_first(owner, alice):
    made = [rule_set(alice, name=f"Rule {index}") for index in range(3)]
    first = owner.get(f"{RULES}?limit=2").json()
    assert [item["id"] for item in first["items"]] == [made[2].pk, made[1].pk]
    rest = owner.get(f"{RULES}?limit=2&cursor={first['next']}").json()
    assert ([item["id"] for item in rest["items"]], rest["next"]) == ([made[0].pk], None)


def test_schema_is_that_of_a_definition(owner):
    assert owner.get(f"{RULES}/schema").json() == json.loads(json.dumps(definition_schema()))


def test_validation_tells_what_a_rule_does_and_stores_nothing(owner):
    answer = owner.post(f"{RULES}/validate", {"definition": DEFINITION}).json()
    assert answer["limits"] == {"stop_loss_pct": "5"}
    assert answer["warmup"] == 16
    assert answer["definition"]["entry"]["all"][0]["right"] == 30
    assert not RuleSet.objects.exists()


def test_preview_tells_where_it_would_have_traded(owner):
    answer = owner.post(f"{RULES}/preview", {"definition": DEFINITION, "symbol": "ETH/USDT", "candles": 240}).json()
    assert (answer["candles"], answer["synthetic"], answer["warming_up"]) == (240, True, 0)
    assert answer["until"] == "2025-12-11T00:00:00Z"
    assert answer["marks"]
    first = answer["marks"][0]
    assert first["side"] == "buy"
    assert first["reason"].startswith("The entry rule holds.")
    assert 1_500 < float(first["price"]) < 6_000
    assert answer["entries"] >= len([mark for mark in answer["marks"] if mark["side"] == "buy"])


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({"definition": WRONG}, ["body.definition"]),
        ({"definition": {}}, ["body.definition"]),
        ({"definition": []}, ["body.definition"]),
        ({"definition": None}, ["body.definition"]),
        ({"name": " "}, ["body.name"]),
        ({"name": 3}, ["body.name"]),
        ({"name": "x" * 81}, ["body.name"]),
        ({"owner": 1}, ["body.owner"]),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(change, places, owner, alice):
    made = rule_set(alice)
    before = everything()
    for answer in (owner.post(RULES, {**BODY, **change}), owner.put(f"{RULES}/{made.pk}", {**BODY, **change})):
        assert fields(problem(answer, 422)) == places
    assert everything() == before


@pytest.mark.parametrize("route", ["validate", "preview"])
def test_definition_that_is_no_rule_names_its_place(route, owner):
    refused = problem(owner.post(f"{RULES}/{route}", {"definition": WRONG}), 422)
    assert fields(refused) == ["body.definition"]
    assert refused["errors"][0]["detail"].startswith("entry.all[0].right: Expected a number from")


@pytest.mark.parametrize("body", ["[" * 100_000, '{"definition": ' + '{"entry":' * 50_000, '{"definition": NaN}'])
def test_body_that_is_no_json_is_refused(body, owner):
    problem(owner.post(f"{RULES}/validate", body), 422, "malformed_json")


def test_preview_of_candles_that_are_not_here_is_refused(owner):
    refused = owner.post(f"{RULES}/preview", {"definition": DEFINITION, "exchange": "kraken"})
    assert fields(problem(refused, 422)) == ["body.symbol"]


def test_preview_before_any_candle_is_empty(owner, monkeypatch):
    from strategies.queries import previews

    monkeypatch.setattr(previews, "_candles", lambda source, count: previews._demo("BTC/USDT", "15m", 1_000)[:0])
    answer = owner.post(f"{RULES}/preview", {"definition": DEFINITION}).json()
    assert (answer["candles"], answer["since"], answer["until"], answer["marks"]) == (0, None, None, [])


def test_conflicts_have_their_codes_and_change_nothing(owner, alice, used):
    made = rule_set(alice)
    operations.update_rule_set(made, facts(definition=OTHER), cast.NOW + timedelta(1), CONSOLE)
    used.add(made.pk)
    before = everything()
    problem(owner.post(RULES, {**BODY, "name": "dips"}), 409, "rule_set_name_taken")
    problem(owner.put(f"{RULES}/{made.pk}", {**BODY, "version": 1}), 409, "rule_set_changed")
    problem(owner.delete(f"{RULES}/{made.pk}"), 409, "rule_set_in_use")
    assert everything() == before
    used.clear()
    assert owner.delete(f"{RULES}/{made.pk}").status_code == 204
    problem(owner.get(f"{RULES}/{made.pk}"), 404)


def test_rule_set_deleted_in_between_is_not_found(owner, alice, monkeypatch):
    made = rule_set(alice)
    RuleSet.objects.update(deleted_at=cast.NOW)
    monkeypatch.setattr("strategies.queries.rules.rule_set_model", lambda user, number: made)
    problem(owner.put(f"{RULES}/{made.pk}", BODY), 404, "not_found")
