"""Who may call what: every route of the API, by every kind of caller, and that a refusal changes nothing."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts import audit, operations
from accounts.models import SCOPES
from accounts.tests import cast
from bots import testing
from exchanges.core.errors import Unavailable
from tradingbot.api import api
from tradingbot.documents import schema
from tradingbot.tests.api_client import ApiClient, problem
from tradingbot.tests.api_world import Owned, everything, owned

START = {"strategy": "rsi_cross", "symbol": "BTC/USDT", "timeframe": "1m", "exchange": "demo", "capital": "1000"}
KEY = {"exchange": "binance", "api_key": "an api key of ours", "api_secret": "its long secret"}
HALT = {"action": "halt", "reason": "because"}
WHY, NOTE = {"reason": "because"}, {"note": "I looked."}


@dataclass(frozen=True, slots=True)
class Route:
    """``foreign``: the path or body names somebody's object, which to a stranger does not exist."""

    method: str
    template: str
    scope: str
    path: str = ""
    body: Any = None
    status: int = 200
    foreign: bool = False

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    def call(self, client: ApiClient, ids: dict[str, int]) -> Any:
        body = self.body(ids) if callable(self.body) else self.body
        return client.call(self.method, (self.path or self.template).format(**ids), body)


ROUTES = [
    Route("GET", "/strategies/list", "read"),
    Route("GET", "/api/v1/health/ready", "admin", status=503),
    Route("POST", "/exchange/keys", "keys", body=KEY, status=201),
    Route("GET", "/exchange/keys/{id}", "read", "/exchange/keys/{user}", foreign=True),
    Route("DELETE", "/exchange/keys/{id}", "keys", "/exchange/keys/{key}", status=204, foreign=True),
    Route("POST", "/bot/start", "trade", body=START, status=201),
    Route("POST", "/bot/stop", "trade", body=lambda ids: {"bot_run_id": ids["run"]}, foreign=True),
    Route("GET", "/bot/status/{bot_run_id}", "read", "/bot/status/{run}", foreign=True),
    Route("GET", "/bot/list/{id}", "read", "/bot/list/{user}", foreign=True),
    Route("GET", "/dashboard/pnl", "read"),
    Route("GET", "/trades/history", "read", "/trades/history?bot_run_id={run}", foreign=True),
    Route("POST", "/api/v1/bot/{id}/pause", "trade", "/api/v1/bot/{run}/pause", foreign=True),
    Route("POST", "/api/v1/bot/{id}/resume", "trade", "/api/v1/bot/{run}/resume", foreign=True, status=409),
    Route("GET", "/api/v1/bot/{id}/decisions", "read", "/api/v1/bot/{run}/decisions", foreign=True),
    Route("GET", "/api/v1/bot/{id}/orders", "read", "/api/v1/bot/{run}/orders", foreign=True),
    Route("GET", "/api/v1/bot/{id}/fills", "read", "/api/v1/bot/{run}/fills", foreign=True),
    Route("GET", "/api/v1/bot/{id}/drift", "read", "/api/v1/bot/{run}/drift", foreign=True),
    Route("GET", "/api/v1/bot/{id}/drift/{day}", "read", "/api/v1/bot/{run}/drift/2024-01-15", foreign=True),
    Route("POST", "/api/v1/bot/{id}/drift", "trade", "/api/v1/bot/{run}/drift", {"day": "2024-01-15"}, 202,
          foreign=True),
    Route("GET", "/api/v1/balances", "read"),
    Route("GET", "/api/v1/candles", "read", "/api/v1/candles?exchange=demo&symbol=BTC/USDT&timeframe=1m&limit=3"),
    Route("GET", "/api/v1/risk", "read"),
    Route("GET", "/api/v1/capital", "read"),
    Route("GET", "/api/v1/capital/entries", "read"),
    Route("GET", "/api/v1/breakers", "read"),
    Route("POST", "/api/v1/breakers/{id}/reset", "trade", "/api/v1/breakers/{breaker}/reset", WHY, foreign=True),
    Route("GET", "/api/v1/cases", "read"),
    Route("GET", "/api/v1/cases/{id}", "read", "/api/v1/cases/{case}", foreign=True),
    Route("POST", "/api/v1/cases/{id}/resolve", "trade", "/api/v1/cases/{case}/resolve", NOTE, foreign=True),
    Route("POST", "/api/v1/cases/{id}/recheck", "trade", "/api/v1/cases/{case}/recheck", foreign=True),
    Route("POST", "/api/v1/bot/{id}/promote", "trade", "/api/v1/bot/{run}/promote",
          lambda ids: {"exchange_key_id": ids["key"]}, foreign=True, status=422),
    Route("PUT", "/api/v1/risk", "trade", body={"limits": {"max_daily_loss": "50"}}),
    Route("POST", "/api/v1/kill-switch", "trade", body=lambda ids: {"level": "run", "target": ids["run"], **HALT},
          foreign=True),
]  # fmt: skip
OPEN = {("GET", "/health")}
#: Who may call these is told beside what they do, in the tests of their own.
TOLD_ELSEWHERE = (
    "/api/v1/backtests", "/api/v1/sweeps", "/api/v1/rules",
    "/api/v1/candles/downloads",
)  # fmt: skip
each_route = pytest.mark.parametrize("route", ROUTES, ids=str)
foreign_route = pytest.mark.parametrize("route", [route for route in ROUTES if route.foreign], ids=str)


@pytest.fixture
def alice(db, monkeypatch) -> Owned:
    def unavailable(*args: object) -> None:
        raise Unavailable("No exchange in this test.")

    monkeypatch.setattr("exchanges.operations.open_unsaved", unavailable)
    testing.learn_strategies()
    return owned("alice@example.com")


@pytest.fixture
def bob(alice) -> Owned:
    return owned("bob@example.com")


def operations_of_the_schema() -> set[tuple[str, str]]:
    paths = schema()["paths"]
    return {(method.upper(), path) for path, methods in paths.items() for method in methods}


def test_every_route_of_the_schema_is_in_the_table():
    documented = {(m, p) for m, p in operations_of_the_schema() if not p.startswith(TOLD_ELSEWHERE)}
    assert documented == {(route.method, route.template) for route in ROUTES} | OPEN


def test_every_operation_has_an_owner_and_stands_in_the_schema():
    mounted = {
        (method, f"/{path}".replace("//", "/"))
        for router in api._get_bound_routers()
        for path, view in router.path_operations.items()
        for operation in view.operations
        for method in operation.methods
    }
    assert mounted == operations_of_the_schema()
    for router in api._get_bound_routers():
        for path, view in router.path_operations.items():
            assert all(operation.auth_callbacks for operation in view.operations) or path == "/health"


@each_route
def test_nobody_is_unauthorized(route, alice):
    before = everything()
    refused = problem(route.call(ApiClient(), alice.ids), 401, "unauthorized")
    assert refused["detail"].startswith("Expected a valid token")
    assert everything() == before


@each_route
def test_wrong_tokens_are_all_refused_alike(route, alice):
    at = timezone.now()
    _, expired = operations.create_token(
        alice.user, SCOPES, at - timedelta(days=2), audit.CONSOLE, expires_at=at - timedelta(days=1)
    )
    revoked, revoked_text = operations.create_token(alice.user, SCOPES, at, audit.CONSOLE)
    operations.revoke_token(revoked, at, audit.CONSOLE)
    _, elsewhere = operations.create_token(alice.user, SCOPES, at, audit.CONSOLE, allowed_ips=["192.0.2.0/24"])
    before = everything()
    for text in (expired, revoked_text, elsewhere, "tb_aaaaaaaa_" + "b" * 43, "x", "tb_ä_é"):
        response = route.call(ApiClient(token=text), alice.ids)
        problem(response, 401, "unauthorized")
        assert response["WWW-Authenticate"].startswith("Bearer")
    assert everything() == before


@each_route
def test_a_session_is_no_token(route, alice):
    browser = ApiClient()
    browser.client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    browser.client.force_login(alice.user)
    before = everything()
    problem(route.call(browser, alice.ids), 401)
    assert everything() == before


@each_route
def test_every_other_scope_is_not_enough(route, alice):
    enough = {route.scope} | ({"admin"} if route.template == "/api/v1/kill-switch" else set())
    lacking = ApiClient(alice.user, *[scope for scope in SCOPES if scope not in enough])
    before = everything()
    problem(route.call(lacking, alice.ids), 403, "missing_scope")
    assert everything() == before


@foreign_route
def test_a_strangers_object_does_not_exist(route, alice, bob):
    stranger = ApiClient(bob.user)
    before = everything()
    refused = problem(route.call(stranger, alice.ids), 404, "not_found")
    assert everything() == before
    missing = problem(route.call(stranger, dict.fromkeys(alice.ids, 10**9)), 404, "not_found")
    assert {**refused, "request_id": ""} == {**missing, "request_id": ""}


@foreign_route
@pytest.mark.parametrize("wrong", [0, -1, 2**63, 10**25])
def test_an_id_that_cannot_exist_is_not_found(route, wrong, alice):
    client = ApiClient(alice.user)
    before = everything()
    problem(route.call(client, dict.fromkeys(alice.ids, wrong)), 404)
    assert everything() == before


@pytest.mark.parametrize("text", ["abc", "1.0", "1e3", "٣", "%00", "-", "me2", "0x1", "1%2F2"])
@pytest.mark.parametrize("route", [r for r in ROUTES if r.foreign and r.path and "?" not in r.path], ids=str)
def test_an_id_that_is_no_number_is_not_found(route, text, alice):
    body = route.body(alice.ids) if callable(route.body) else route.body
    path = route.path.format_map(dict.fromkeys(alice.ids, text))
    problem(ApiClient(alice.user).call(route.method, path, body), 404)


@each_route
def test_the_owner_is_answered(route, alice):
    scopes = {"read", "trade", "keys"} | ({"admin"} if route.scope == "admin" else set())
    response = route.call(ApiClient(alice.user, *scopes), alice.ids)
    assert response.status_code == route.status, response.content
    assert response["Cache-Control"] == "no-store"
    assert response["X-Request-ID"]
    assert not response.cookies


@each_route
def test_an_unknown_query_parameter_is_named(route, alice):
    scopes = {"read", "trade", "keys"} | ({"admin"} if route.scope == "admin" else set())
    path = (route.path or route.template).format(**alice.ids)
    client = ApiClient(alice.user, *scopes)
    before = everything()
    body = route.body(alice.ids) if callable(route.body) else route.body
    refused = problem(client.call(route.method, f"{path}{'&' if '?' in path else '?'}color=red", body), 422)
    assert refused["errors"][0]["loc"] == ["query", "color"]
    assert everything() == before


@pytest.mark.parametrize("route", [route for route in ROUTES if route.body is not None], ids=str)
def test_an_unknown_field_and_a_missing_body_are_named(route, alice):
    client = ApiClient(alice.user)
    body = route.body(alice.ids) if callable(route.body) else route.body
    before = everything()
    refused = problem(client.call(route.method, route.template, {**body, "color": "red"}), 422)
    assert ["body", "color"] in [error["loc"] for error in refused["errors"]]
    for wrong in (None, b"{", b"[]", b'"text"', b"null", b"\xff\xfe", b"1" * 5000, b'{"a": NaN}', b"[" * 100_000):
        problem(client.call(route.method, route.template, wrong), 422)
    assert everything() == before


def test_the_administrator_reads_others_lists_by_their_ids(alice, bob):
    admin = ApiClient(cast.user("root@example.com", is_staff=True), "read", "trade", "keys", "admin")
    assert admin.get(f"/bot/list/{alice.user.pk}").json()["items"][0]["bot_run_id"] == alice.run.pk
    assert admin.get(f"/exchange/keys/{bob.user.pk}").json()["items"][0]["id"] == bob.key.pk
    assert admin.get(f"/bot/status/{bob.run.pk}").status_code == 200
    assert admin.get("/bot/list/me").json()["items"] == []


def test_the_administrator_changes_nothing_of_others_but_the_switch(alice):
    admin = ApiClient(cast.user("root@example.com", is_staff=True), "read", "trade", "keys", "admin")
    before = everything()
    problem(admin.post("/bot/stop", {"bot_run_id": alice.run.pk}), 404)
    problem(admin.post(f"/api/v1/bot/{alice.run.pk}/pause"), 404)
    problem(admin.delete(f"/exchange/keys/{alice.key.pk}"), 404)
    assert everything() == before
    answer = admin.post("/api/v1/kill-switch", {"level": "user", "target": alice.user.pk, **HALT})
    assert answer.json()["state"] == "HALTED"


def test_lists_show_nothing_of_a_stranger(alice, bob):
    client = ApiClient(bob.user)
    for path in ("/bot/list/me", "/exchange/keys/me", "/api/v1/balances", "/dashboard/pnl", "/trades/history"):
        text = client.get(path).content.decode()
        assert f'"bot_run_id": {alice.run.pk},' not in text
        assert f'"exchange_key_id": {alice.key.pk},' not in text
    assert [item["id"] for item in client.get("/exchange/keys/me").json()["items"]] == [bob.key.pk]
