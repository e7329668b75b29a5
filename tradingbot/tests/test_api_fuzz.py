"""Whatever is sent to whatever route: never a failure of ours, and every failure is a problem document."""

import json
import string
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from bots import testing
from exchanges.core.errors import Unavailable
from tradingbot.documents import schema
from tradingbot.tests.api_client import ApiClient
from tradingbot.tests.api_world import Owned, owned

ROUTES = sorted((m.upper(), p) for p, methods in schema()["paths"].items() for m in methods)
IDS = st.one_of(
    st.just("me"),
    st.integers(-1, 3).map(str),
    st.integers().map(str),
    st.text(min_size=1, max_size=20).filter(lambda text: "/" not in text and text not in {".", ".."}),
)
WORDS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["demo", "binance", "BTC/USDT", "1m", "rsi(14)", "2024-01-01T00:00:00Z", "paper", "all", "user", "run"]
    ),
    st.integers().map(str),
)
NAMES = st.one_of(
    st.text(string.ascii_lowercase + "_", max_size=12),
    st.sampled_from(
        ["limit", "cursor", "status", "mode", "period", "bot_run_id", "symbol", "side", "since", "until", "exchange",
         "timeframe", "indicators"]
    ),
)  # fmt: skip
FIELDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["strategy", "symbol", "timeframe", "exchange", "capital", "mode", "exchange_key_id", "params", "limits",
         "bot_run_id", "on_open_position", "level", "target", "action", "reason", "api_key", "api_secret", "label"]
    ),
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(FIELDS, inner, max_size=4),
    max_leaves=8,
)
GOOD = {
    "strategy": "rsi_cross", "symbol": "BTC/USDT", "timeframe": "1m", "exchange": "demo", "capital": "1000",
    "bot_run_id": 1, "level": "user", "action": "halt", "reason": "x", "limits": {}, "api_key": "k" * 10,
    "api_secret": "s" * 10,
}  # fmt: skip


@st.composite
def bodies(draw: st.DrawFn) -> Any:
    """Nearly right ones, quite wrong ones, and what is no JSON at all."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.binary(max_size=60))
    if kind < 3:
        return draw(JSON)
    kept = draw(st.sets(st.sampled_from(sorted(GOOD)), min_size=1))
    return {name: GOOD[name] for name in kept} | draw(st.dictionaries(FIELDS, JSON, max_size=2))


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, Any, dict[str, str]]:
    method, template = draw(st.sampled_from(ROUTES))
    path = template
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + quote(draw(IDS), safe="", errors="replace") + rest.partition("}")[2]
    query = draw(st.lists(st.tuples(NAMES, WORDS), max_size=3))
    if query:
        path += "?" + "&".join(f"{quote(name)}={quote(value, safe='', errors='replace')}" for name, value in query)
    headers = {}
    if draw(st.booleans()):
        headers["Idempotency_Key"] = draw(st.text(string.ascii_letters + " é", max_size=5))
    if draw(st.booleans()):
        headers["Accept"] = draw(st.sampled_from(["text/csv", "*/*", "text/html", "", "application/json;q=0.1", ";"]))
    return method, path, draw(bodies()) if method != "GET" else None, headers


@pytest.mark.usefixtures("no_exchange")
class FuzzTest(TestCase):
    alice: Owned

    @classmethod
    def setUpTestData(cls) -> None:
        testing.learn_strategies()
        cls.alice = owned("alice@example.com")

    @settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
    @given(requests())
    def test_any_request_is_answered_or_refused(self, request: tuple[str, str, Any, dict[str, str]]) -> None:
        method, path, body, headers = request
        response = ApiClient(self.alice.user, "read", "trade", "keys", "admin").call(method, path, body, **headers)
        content = b"".join(response.streaming_content) if response.streaming else response.content
        # The exchanges are away in this test; nothing else may be.
        assert response.status_code < 500 or (response.status_code, "ready" in path or "candles" in path) == (503, True)
        assert response["X-Request-ID"]
        if response.status_code >= 400 and "/ready" not in path:
            document = json.loads(content)
            assert response["Content-Type"] == "application/problem+json"
            assert document["status"] == response.status_code
            assert "Traceback" not in content.decode()
        assert "utf-8" in response["Content-Type"] or response["Content-Type"].startswith("application/")


@pytest.fixture
def no_exchange(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise Unavailable("No exchange in this test.")

    monkeypatch.setattr("exchanges.operations.open_unsaved", away)
    monkeypatch.setattr("exchanges.adapters.ccxt_exchange.CcxtExchange", away)
