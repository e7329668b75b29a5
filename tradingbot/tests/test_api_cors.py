"""Which pages of other origins may call JSON paths: none, unless the operator names them."""

import pytest

from tradingbot.tests.api_client import ApiClient, problem

OURS, THEIRS = "https://app.example.com", "https://evil.example.com"
PREFLIGHT = {"Access_Control_Request_Method": "POST"}


@pytest.fixture(autouse=True)
def _database(db):
    """Every answer looks at the database."""


@pytest.fixture
def allowed(settings):
    settings.CORS_ALLOWED_ORIGINS = [OURS]


def test_by_default_no_origin_is_welcome():
    response = ApiClient().get("/health", Origin=OURS)
    assert "Access-Control-Allow-Origin" not in response
    problem(ApiClient().call("OPTIONS", "/bot/start", Origin=OURS, **PREFLIGHT), 405)


def test_a_named_origin_may_ask_and_send(allowed):
    asked = ApiClient().call("OPTIONS", "/bot/start", Origin=OURS, **PREFLIGHT)
    assert (asked.status_code, asked.content) == (204, b"")
    assert asked["Access-Control-Allow-Origin"] == OURS
    assert "POST" in asked["Access-Control-Allow-Methods"]
    assert {"authorization", "idempotency-key"} <= set(asked["Access-Control-Allow-Headers"].split(", "))
    assert "Access-Control-Allow-Credentials" not in asked
    answer = ApiClient().get("/health", Origin=OURS)
    assert answer["Access-Control-Allow-Origin"] == OURS
    assert "X-Request-ID" in answer["Access-Control-Expose-Headers"]


def test_a_named_origin_reads_failures_too(allowed):
    response = ApiClient().post("/bot/start", {}, Origin=OURS)
    problem(response, 401)
    assert response["Access-Control-Allow-Origin"] == OURS


@pytest.mark.parametrize("origin", [THEIRS, "null", "https://app.example.com.evil", "http://app.example.com", ""])
def test_another_origin_is_not_welcome(allowed, origin):
    answer = ApiClient().get("/health", Origin=origin)
    assert "Access-Control-Allow-Origin" not in answer
    problem(ApiClient().call("OPTIONS", "/bot/start", Origin=origin, **PREFLIGHT), 405)


def test_answers_are_cached_per_origin(allowed):
    assert "Origin" in ApiClient().get("/health", Origin=OURS)["Vary"]
    assert "Origin" in ApiClient().get("/health")["Vary"]


def test_pages_are_never_shared(allowed):
    response = ApiClient().get("/app/account/login/", Origin=OURS)
    assert response.status_code == 200
    assert "Access-Control-Allow-Origin" not in response
