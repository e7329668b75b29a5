"""Limits that a token may only tighten, and the kill switch."""

from typing import Any

import pytest

from accounts.models import AuditEntry, User
from bots.models import BotRun, RiskLimits, TradingGate
from bots.testing import Stage, start_run
from tradingbot.tests.api_client import ApiClient, fields, problem
from tradingbot.tests.api_world import make_key


@pytest.fixture
def api(alice: User) -> ApiClient:
    return ApiClient(alice)


def put(api: ApiClient, **limits: Any) -> Any:
    return api.put("/api/v1/risk", {"limits": limits})


def test_limits_are_set_shown_and_audited(api: ApiClient, alice: User) -> None:
    shown = put(api, max_daily_loss="100", max_loss_streak=5).json()
    assert shown["limits"] == {"user": {"max_daily_loss": "100", "max_loss_streak": 5}}
    assert shown == api.get("/api/v1/risk").json()
    assert shown.keys() == {"live_trading", "gates", "limits", "incidents"}
    assert AuditEntry.objects.get(action="limits.set").subject == f"user:{alice.pk}"


def test_limits_may_be_tightened_and_not_loosened(api: ApiClient) -> None:
    put(api, max_daily_loss="100", cooldown_seconds=60)
    for looser in (
        {"max_daily_loss": "100.01", "cooldown_seconds": 60},
        {"cooldown_seconds": 60},
        {"max_daily_loss": None, "cooldown_seconds": 60},
        {"max_daily_loss": "100", "cooldown_seconds": 59},
        {},
    ):
        refused = problem(put(api, **looser), 403, "step_up_required")
        assert "max_daily_loss" in refused["detail"] or "cooldown_seconds" in refused["detail"]
    assert RiskLimits.objects.get().limits == {"max_daily_loss": "100", "cooldown_seconds": 60}
    assert put(api, max_daily_loss="50", cooldown_seconds=61, max_open_orders=1).status_code == 200
    assert put(api, max_daily_loss="50.00", cooldown_seconds=61, max_open_orders=1).status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"color": 1}, {"max_daily_loss": "-1"}, {"max_loss_streak": 1.5}, {"max_exposure": []}]
)
def test_a_limit_that_means_nothing_is_named(api: ApiClient, wrong: dict[str, Any]) -> None:
    assert fields(problem(put(api, **wrong), 422, "invalid_limits")) == [f"body.limits.{next(iter(wrong))}"]
    assert RiskLimits.objects.count() == 0


def test_the_platforms_limits_are_no_tokens_to_set(api: ApiClient) -> None:
    problem(api.put("/api/v1/risk", {"level": "platform", "limits": {}}), 422)


@pytest.mark.parametrize(
    ("action", "state"), [("halt", "HALTED"), ("reduce", "REDUCING"), ("flatten", "REDUCING"), ("resume", "ACTIVE")]
)
@pytest.mark.parametrize("level", ["user", "key", "run"])
def test_the_switch_speaks_for_ones_own(
    api: ApiClient, alice: User, stage: Stage, level: str, action: str, state: str
) -> None:
    run, key = start_run(alice), make_key(alice)
    target = {"user": alice.pk, "key": key.pk, "run": run.pk}[level]
    shown = api.post(
        "/api/v1/kill-switch", {"level": level, "target": target, "action": action, "reason": " Because. "}
    ).json()
    assert (shown["level"], shown["target"], shown["state"], shown["reason"]) == (level, target, state, "Because.")
    assert shown["changed_at"].endswith("Z")
    entry = AuditEntry.objects.get(action=f"kill_switch.{action}")
    assert (entry.subject, entry.actor, entry.actor_kind) == (f"{level}:{target}", alice, "token")
    gates = api.get("/api/v1/risk").json()["gates"]
    assert [gate["level"] for gate in gates] == ([] if action == "resume" else [level])


def test_without_a_target_the_user_is_oneself(api: ApiClient, alice: User) -> None:
    shown = api.post("/api/v1/kill-switch", {"level": "user", "action": "halt", "reason": "x"}).json()
    assert shown["target"] == alice.pk


def test_flatten_asks_the_runs_to_sell_and_stop(api: ApiClient, alice: User, bob: User, stage: Stage) -> None:
    mine, others = start_run(alice), start_run(bob)
    api.post("/api/v1/kill-switch", {"level": "user", "action": "flatten", "reason": "x"})
    assert BotRun.objects.get(pk=mine.pk).status == "stopping"
    assert BotRun.objects.get(pk=others.pk).status == "starting"


@pytest.mark.parametrize("level", ["key", "run"])
def test_a_level_with_many_needs_a_target(api: ApiClient, level: str) -> None:
    problem(api.post("/api/v1/kill-switch", {"level": level, "action": "halt", "reason": "x"}), 404)
    assert TradingGate.objects.count() == 0


@pytest.mark.parametrize(
    "wrong", [{"action": "panic"}, {"level": "planet"}, {"reason": ""}, {"reason": "  "}, {"reason": "x" * 301}]
)
def test_a_wish_that_means_nothing_is_named(api: ApiClient, wrong: dict[str, str]) -> None:
    body = {"level": "user", "action": "halt", "reason": "x", **wrong}
    assert fields(problem(api.post("/api/v1/kill-switch", body), 422)) == [f"body.{next(iter(wrong))}"]
    assert TradingGate.objects.count() == 0


def test_the_platforms_switch_is_the_administrators(api: ApiClient, alice: User) -> None:
    body = {"level": "platform", "action": "halt", "reason": "x"}
    problem(api.post("/api/v1/kill-switch", body), 403, "missing_scope")
    assert TradingGate.objects.count() == 0
    assert ApiClient(alice, "admin").post("/api/v1/kill-switch", body).json()["target"] == 0


def test_an_incident_and_a_strangers_switch_are_told_apart(api: ApiClient, bob: User, stage: Stage) -> None:
    start_run(bob)
    ApiClient(bob).post("/api/v1/kill-switch", {"level": "user", "action": "halt", "reason": "Bob's."})
    assert api.get("/api/v1/risk").json()["gates"] == []
