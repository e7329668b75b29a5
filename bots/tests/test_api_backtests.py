"""Backtests and sweeps over HTTP: asked for, watched, paged, repeated, canceled; a stranger's are not there."""

from typing import Any

import pytest
from kombu.exceptions import OperationalError

from accounts.models import User
from bots import research_tasks
from bots.models import Backtest, Sweep
from bots.research_tasks import ring
from bots.tests.research_cast import GIVEN, GRID, stored
from tradingbot.tests.api_client import ApiClient, fields, problem

pytestmark = pytest.mark.usefixtures("at_once")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker is this process, and does everything the moment it is rung for."""
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: task(pk))


@pytest.fixture
def api(alice: User) -> ApiClient:
    stored(1500)
    return ApiClient(alice)


def test_backtest_is_asked_for_and_read(api: ApiClient) -> None:
    answer = api.post("/api/v1/backtests", GIVEN)
    assert answer.status_code == 202
    document = api.get(answer["Location"]).json()
    assert (document["state"], document["progress"], document["eta"]) == ("done", 100.0, None)
    stats = document["result"]["stats"]
    assert (stats["initial_cash"], stats["closed_trades"] > 0) == ("1000", True)
    assert {"stats", "open_position", "monthly_returns_pct", "data", "engine"} <= document["result"].keys()
    assert "trades" not in document["result"]
    (row,) = api.get("/api/v1/backtests").json()["items"]
    assert (row["id"], row["stats"]["closed_trades"]) == (document["id"], stats["closed_trades"])


def test_trades_and_equity_are_paged(api: ApiClient) -> None:
    location = api.post("/api/v1/backtests", GIVEN)["Location"]
    count = api.get(location).json()["result"]["stats"]["closed_trades"]
    first = api.get(f"{location}/trades?limit=2").json()
    rest = api.get(f"{location}/trades?limit=500&cursor={first['next']}").json()
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2, count - 2, None)
    assert first["items"][0].keys() >= {"signal_at", "entry_at", "exit_at", "entry_price", "return_pct", "exit_reason"}
    points = api.get(f"{location}/equity?limit=100").json()
    assert (len(points["items"]), points["items"][0]["equity"]) == (100, "1000")
    assert points["next"]


def test_repetition_says_that_it_came_out_the_same(api: ApiClient) -> None:
    location = api.post("/api/v1/backtests", GIVEN)["Location"]
    again = api.post(f"{location}/repeat")
    assert again.status_code == 202
    document = api.get(again["Location"]).json()
    assert (document["reproduced"], f"/api/v1/backtests/{document['repeats']}") == (True, location)


def test_checks_are_asked_for_like_a_backtest(api: ApiClient) -> None:
    document = api.get(api.post("/api/v1/backtests/checks", GIVEN)["Location"]).json()
    assert (document["kind"], document["result"]["lookahead"]["differing"]) == ("checks", 0)


def test_sweep_is_asked_for_and_ranked(api: ApiClient) -> None:
    answer = api.post("/api/v1/sweeps", {**GIVEN, "grid": GRID, "walk_forward": {"folds": 2}})
    assert answer.status_code == 202
    document = api.get(answer["Location"]).json()
    assert (document["kind"], document["state"]) == ("sweep", "done")
    assert document["result"]["rows"][0]["rank"] == 1
    assert len(document["result"]["walk_forward"]["folds"]) == 2
    assert [row["id"] for row in api.get("/api/v1/sweeps").json()["items"]] == [document["id"]]


def test_cancel_needs_no_state_and_changes_no_end(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: None)
    for path, body in (("/api/v1/backtests", GIVEN), ("/api/v1/sweeps", {**GIVEN, "grid": GRID})):
        location = api.post(path, body)["Location"]
        assert api.get(location).json()["state"] == "queued"
        for _ in range(2):
            assert api.delete(location).status_code == 204
        assert api.get(location).json()["state"] == "canceled"


@pytest.mark.parametrize(
    ("path", "given", "code", "place"),
    [
        ("/api/v1/backtests", {"capital": "-5"}, "invalid_request", "body.capital"),
        ("/api/v1/backtests", {"params": {"rsi_period": 0}}, "invalid_request", "body.params.rsi_period"),
        ("/api/v1/backtests", {"limits": {"nope": 1}}, "invalid_request", "body.limits.nope"),
        ("/api/v1/backtests", {"timeframe": "7m"}, "invalid_request", "body.timeframe"),
        ("/api/v1/backtests", {"strategy": "nope"}, "unknown_strategy", "body.strategy"),
        ("/api/v1/backtests", {"symbol": "ETH/USDT"}, "no_candles", "body.since"),
        ("/api/v1/backtests", {"exchange": "mtgox"}, "unknown_exchange", "body.exchange"),
        ("/api/v1/backtests", {"since": "2025-01-01T00:00:00Z"}, "no_candles", "body.since"),
        ("/api/v1/backtests", {"since": "yesterday"}, "invalid", "body.since"),
        ("/api/v1/backtests", {"since": 1700000000}, "invalid", "body.since"),
        ("/api/v1/backtests", {"extra": 1}, "invalid", "body.extra"),
        ("/api/v1/sweeps", {"grid": {"nope": [1]}}, "invalid_request", "body.grid.nope"),
        ("/api/v1/sweeps", {"grid": GRID, "objective": "fame"}, "invalid_request", "body.objective"),
        ("/api/v1/sweeps", {}, "invalid", "body.grid"),
        (
            "/api/v1/sweeps",
            {"grid": GRID, "constraints": {"return_pct": {"min": 10**400}}},
            "invalid_request",
            "body.constraints.return_pct",
        ),
        (
            "/api/v1/sweeps",
            {"grid": GRID, "constraints": {"return_pct": {"max": "NaN"}}},
            "invalid_request",
            "body.constraints.return_pct",
        ),
        (
            "/api/v1/sweeps",
            {"grid": GRID, "walk_forward": {"in_sample": 10**400}},
            "invalid_request",
            "body.walk_forward.in_sample",
        ),
    ],
)
def test_wrong_request_names_the_field(api: ApiClient, path: str, given: dict[str, Any], code: str, place: str) -> None:
    assert fields(problem(api.post(path, {**GIVEN, **given}), 422, code)) == [place]
    assert not Backtest.objects.exists()
    assert not Sweep.objects.exists()


def test_too_many_unfinished_are_refused(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(research_tasks, "ring", lambda task, pk: None)
    monkeypatch.setattr("bots.backtests.QUOTA", 1)
    api.post("/api/v1/backtests", GIVEN)
    problem(api.post("/api/v1/backtests", GIVEN), 409, "too_many_backtests")


def test_others_see_and_change_nothing(api: ApiClient, bob: User) -> None:
    single = api.post("/api/v1/backtests", GIVEN)["Location"]
    sweep = api.post("/api/v1/sweeps", {**GIVEN, "grid": GRID})["Location"]
    stranger, admin, anonymous = ApiClient(bob), ApiClient(bob, "read", "trade", "admin"), ApiClient()
    for path in (single, f"{single}/trades", f"{single}/equity", sweep):
        problem(stranger.get(path), 404)
        assert admin.get(path).status_code == 200
        problem(anonymous.get(path), 401)
    for path in (single, sweep):
        problem(stranger.delete(path), 404)
        problem(admin.delete(path), 404)
        problem(ApiClient(bob, "read").delete(path), 403)
    problem(admin.post(f"{single}/repeat"), 404)
    assert stranger.get("/api/v1/backtests").json()["items"] == []
    problem(api.get("/api/v1/backtests/0"), 404)
    problem(api.get("/api/v1/sweeps/99999999999999999999"), 404)


def test_reader_may_not_ask_for_work(alice: User) -> None:
    reader = ApiClient(alice, "read")
    for path in ("/api/v1/backtests", "/api/v1/sweeps", "/api/v1/backtests/checks"):
        problem(reader.post(path, {**GIVEN, "grid": GRID}), 403, "missing_scope")


def test_broker_that_is_away_does_not_fail_the_request(alice: User) -> None:
    rung: list[Any] = []

    class Away:
        def apply_async(self, **options: Any) -> None:
            rung.append(options["args"])
            raise OperationalError("no broker")

    ring(Away(), 1)
    assert rung == [(1,)]
