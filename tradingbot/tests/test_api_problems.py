"""Every failure on a JSON path is a problem document, whatever fails and wherever."""

import json
import re
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.core.exceptions import RequestDataTooBig, ValidationError
from django.db import OperationalError
from django.http import HttpRequest
from django.test import Client, override_settings

from bots import lifecycle
from bots.queries import runs
from bots.testing import START, learn_strategies, make_user
from exchanges.core.errors import Maintenance, RateLimited
from tradingbot import api
from tradingbot.json_paths import is_json_path
from tradingbot.problems import TABLE, problem_of
from tradingbot.tests.api_client import ApiClient, fields, problem
from tradingbot.tests.api_world import make_run

PATHS = ["/nothing", "/bot", "/bot/", "/bot/start/", "/bot/list/1/", "/api", "/api/v1", "/api/v1/nothing", "/health/"]
PATHS += ["/docs/", "/redoc/", "/openapi.json/", "/favicon.ico", "/robots.txt", "/app2/", "/%00", "/%ff", "/a b"]
PATHS += ["/.git/config", "/adminx", "/static", "/exchange/keys/1/2", "/media/x", "/\u00e9"]


@pytest.fixture
def alice(db):
    learn_strategies()
    return make_user("alice@example.com")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
@pytest.mark.parametrize("path", PATHS)
def test_an_unknown_path_is_a_problem(db, path, method):
    problem(ApiClient().call(method, path), 404, "not_found")


def test_head_has_the_status_of_get(db):
    assert ApiClient().call("HEAD", "/health").status_code == 200
    response = ApiClient().call("HEAD", "/nothing")
    assert (response.status_code, response["Content-Type"]) == (404, "application/problem+json")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/bot/start", {"POST"}),
        ("PUT", "/exchange/keys/1", {"GET", "DELETE"}),
        ("POST", "/exchange/keys/1", {"GET", "DELETE"}),
        ("DELETE", "/api/v1/risk", {"GET", "PUT"}),
        ("POST", "/health", {"GET"}),
        ("OPTIONS", "/bot/list/me", {"GET"}),
        ("POST", "/openapi.json", {"GET", "HEAD"}),
    ],
)
def test_a_method_that_a_path_does_not_know_is_named_with_those_it_does(db, method, path, allowed):
    response = ApiClient().call(method, path)
    problem(response, 405, "method_not_allowed")
    assert set(re.split(r", ?", response["Allow"])) == allowed


def test_a_body_that_is_too_large_is_refused(alice):
    body = json.dumps({"exchange": "x" * settings.DATA_UPLOAD_MAX_MEMORY_SIZE})
    problem(ApiClient(alice).post("/exchange/keys", body), 413, "too_large")


def test_a_host_that_is_not_ours_is_refused(db):
    problem(ApiClient().get("/health", Host="evil.example.com"), 400)


@pytest.mark.parametrize("debug", [False, True])
def test_a_failure_of_ours_shows_nothing_of_itself(alice, monkeypatch, caplog, debug):
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(runs, "runs_of", fail)
    with override_settings(DEBUG=debug):
        response = ApiClient(alice).get("/bot/list/me")
    shown = problem(response, 500, "internal_error")
    assert "secret" not in response.content.decode()
    assert shown["request_id"] in caplog.text
    assert "RuntimeError: secret detail" in caplog.text


@override_settings(DEBUG=True)
def test_debug_pages_stay_off_json_paths(db):
    problem(ApiClient().get("/health", Host="evil.example.com"), 400)
    problem(ApiClient().get("/nothing"), 404)


def test_an_exchange_that_is_away_is_unavailable_for_now(alice, monkeypatch):
    def away(*args: object) -> None:
        raise Maintenance("Down until noon.")

    monkeypatch.setattr("exchanges.market_data.market", away)
    response = ApiClient(alice).get("/api/v1/candles?exchange=demo&symbol=BTC/USDT&timeframe=1m")
    assert problem(response, 503, "venue_maintenance")["detail"] == "Down until noon."
    assert int(response["Retry-After"]) >= 1


def test_a_busy_database_is_unavailable_for_now(alice, monkeypatch, caplog):
    def locked(*args: object, **kwargs: object) -> None:
        raise OperationalError("database is locked")

    client = ApiClient(alice)
    monkeypatch.setattr(runs, "runs_of", locked)
    response = client.get("/bot/list/me")
    assert "locked" not in problem(response, 503, "busy")["detail"]
    assert response["Retry-After"] == "1"
    assert "database is locked" in caplog.text


def test_health_says_no_more_when_the_database_is_away(db, monkeypatch):
    def locked(*args: object) -> None:
        raise OperationalError("no such host db.internal")

    with monkeypatch.context() as patched:
        patched.setattr("django.db.backends.utils.CursorWrapper.execute", locked)
        response = ApiClient().get("/health")
    assert (response.status_code, response.json()) == (503, {"status": "unavailable"})


def test_the_wait_is_the_exchanges_own():
    assert problem_of(RateLimited("Wait.", retry_at=START)).headers == {"Retry-After": "1"}


def test_what_is_wrong_is_named_with_its_place(alice):
    client = ApiClient(alice)
    refused = problem(client.post("/bot/start", {"strategy": 1, "mode": "casino", "capital": 1.5}), 422, "invalid")
    assert {"body.strategy", "body.symbol", "body.mode", "body.capital"} <= set(fields(refused))
    assert "JSON float" in refused["detail"] + json.dumps(refused["errors"])
    assert fields(problem(client.get("/bot/list/me?limit=0"), 422)) == ["query.limit"]
    assert fields(problem(client.get("/bot/list/me?limit=501"), 422)) == ["query.limit"]
    assert fields(problem(client.get("/bot/list/me?limit=1&limit=2"), 422)) == ["query.limit"]
    assert fields(problem(client.get("/api/v1/candles?exchange=demo&symbol=X/Y&timeframe=1m"), 422)) == ["query.symbol"]


def test_a_secret_in_a_wrong_body_is_not_repeated(alice):
    secret = "a very secret secret"
    bodies = [
        {"exchange": "binance", "api_key": [secret], "api_secret": {"a": secret}},
        {"exchange": secret, "api_key": "short", "api_secret": secret, "passphrase": 5},
        f'{{"api_secret": "{secret}", ',
        {"exchange": "nowhere", "api_key": secret, "api_secret": secret},
    ]
    for body in bodies[:1] + bodies[2:]:
        response = ApiClient(alice).post("/exchange/keys", body)
        problem(response, 422)
        assert secret not in response.content.decode()


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_no_database_stores_is_refused(alice, text):
    body = {"level": "user", "action": "halt", "reason": "x", "target": None}
    problem(ApiClient(alice).post("/api/v1/kill-switch", {**body, "reason": text}), 422, "malformed_json")
    problem(ApiClient(alice).post("/api/v1/kill-switch", {**body, text: 1}), 422, "malformed_json")


def test_a_field_given_twice_is_refused(alice):
    body = '{"level": "user", "action": "halt", "action": "resume", "reason": "x"}'
    problem(ApiClient(alice).post("/api/v1/kill-switch", body), 422, "malformed_json")


def test_a_numbers_query_with_nul_is_no_failure_of_ours(alice):
    assert ApiClient(alice).get("/trades/history?symbol=%00").status_code == 422


def test_writes_are_limited_per_token_and_stopping_is_not(alice, settings, monkeypatch):
    settings.API_WRITES_PER_MINUTE = 3
    # All within one minute.
    monkeypatch.setattr(api, "timezone", SimpleNamespace(now=lambda: START))
    client, other = ApiClient(alice), ApiClient(alice)
    limits = {"limits": {"max_daily_loss": "50"}}
    answers = [client.put("/api/v1/risk", limits) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    problem(answers[-1], 429, "too_many_requests")
    assert 1 <= int(answers[-1]["Retry-After"]) <= 60
    assert client.get("/api/v1/risk").status_code == 200
    assert client.post("/api/v1/kill-switch", {"level": "user", "action": "halt", "reason": "x"}).status_code == 200
    assert client.post("/bot/stop", {"bot_run_id": make_run(alice).pk}).status_code == 200
    assert other.put("/api/v1/risk", limits).status_code == 200


def test_bearer_routes_need_no_csrf_token_and_pages_do(alice):
    strict = Client(enforce_csrf_checks=True)
    client = ApiClient(alice)
    client.client = strict
    assert client.put("/api/v1/risk", {"limits": {}}).status_code == 200
    strict.force_login(alice)
    assert strict.post("/app/account/theme/", {"theme": "dark"}).status_code == 403


@pytest.mark.parametrize("path", ["/", "/app", "/app/", "/app/x", "/docs", "/redoc", "/static/x", "/admin", "/admin/x"])
def test_pages_are_no_json_paths(path):
    assert not is_json_path(path)


def test_the_administrations_own_path_is_no_json_path(settings):
    settings.ADMIN_PATH = "backstage/"
    assert not is_json_path("/backstage/")
    assert not is_json_path("/backstage")
    assert is_json_path("/admin/")


@pytest.mark.parametrize("path", ["/", "/app", "/admin"])
def test_roots_of_the_pages_lead_to_them(client, db, path):
    response = client.get(path)
    assert response.status_code == 302
    assert response["Location"] in {"/app/", "/admin/"}


def test_the_table_says_what_each_exception_means():
    """Pinned: a changed status is a changed contract."""
    codes = {
        kind.__name__ if kind.__name__ != "DoesNotExist" else kind.__qualname__: problem_of(example).status
        for kind in TABLE
        if (example := _example(kind)) is not None
    }
    assert codes == {
        "AuthenticationError": 401, "BadRequest": 400, "BotRun.DoesNotExist": 404, "ColumnError": 422, "Conflict": 409,
        "ExchangeDown": 503, "ExchangeFault": 503, "ExchangeKey.DoesNotExist": 404, "Forbidden": 403, "Http404": 404,
        "InterfaceError": 503, "Invalid": 422, "KeyAlreadyAdded": 409, "KeyCanWithdraw": 422, "KeyErased": 404,
        "KeyInUse": 409, "KeyProblem": 422, "KeyRefused": 422, "LimitError": 422, "NotFound": 404, "NotPermitted": 403,
        "OperationalError": 503, "Order.DoesNotExist": 404, "ParameterError": 422, "RequestDataTooBig": 413,
        "RuleSetProblem": 409,
        "StrategyDisabled": 422, "SuspiciousOperation": 400, "UnknownExchange": 422, "UnknownStrategy": 422,
        "UnknownSymbol": 422, "UnknownTimeframe": 422, "UnreadablePostError": 400, "ValidationError": 422,
        "WrongStatus": 409,
    }  # fmt: skip


def _example(kind: type[Exception]) -> Exception | None:
    made = {
        "LimitError": ({"a": "b"},),
        "ParameterError": ({"a": "b"},),
        "UnknownStrategy": ("x", ["y"]),
        "AuthenticationError": (),
    }
    if kind.__module__.startswith("ninja") and kind.__name__ in {"ValidationError", "HttpError"}:
        return None
    if issubclass(kind, lifecycle.StartRefused):
        return kind("code", "detail")
    return kind(*made.get(kind.__name__, ("a sentence",)))


def test_a_field_error_from_a_validator_names_its_field():
    shown = problem_of(ValidationError({"label": ["Too long.", "Too odd."]}))
    assert shown.errors == [{"loc": ["body", "label"], "detail": "Too long. Too odd."}]
    assert problem_of(ValidationError("Wrong.")).errors == [{"loc": ["body", "body"], "detail": "Wrong."}]


def test_an_unnamed_exception_is_our_fault():
    assert problem_of(KeyError("x")).status == 500
    assert problem_of(RequestDataTooBig()).response(HttpRequest()).status_code == 413
