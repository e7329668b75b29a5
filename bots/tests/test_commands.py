"""The operator's console over runs that really traded: one JSON document, the API's fields, exit codes."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import get_commands
from django.utils import timezone

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from bots import gates, rounds
from bots.models import BotRun, Decision, Order, Status, TradeLog, TradingGate
from bots.schemas import BalanceOut, DecisionOut, OrderOut, RunOut, TradeOut
from bots.testing import START, Stage, scripted_candles, start_run
from tradingbot.tests.api_client import ApiClient
from tradingbot.tests.journey.console import done, iso, manage

START_OPTIONS = ["--strategy=scripted", "--symbol=BTC/USDT", "--timeframe=1m", "--exchange=demo", "--capital=1000"]
NOBODY = "nobody@example.com"


@pytest.fixture
def traded(alice: User, stage: Stage) -> BotRun:
    """A run that bought and sold, and holds nothing."""
    run = start_run(alice)
    for index in range(8):
        rounds.whole_round(stage.closes(index))
    return BotRun.objects.get(pk=run.pk)


@pytest.fixture
def holding(alice: User, stage: Stage) -> BotRun:
    run = start_run(alice)
    for index in range(5):
        rounds.whole_round(stage.closes(index))
    return BotRun.objects.get(pk=run.pk)


def names(schema: Any) -> set[str]:
    return {field.serialization_alias or name for name, field in schema.model_fields.items()}


# --- Reading -------------------------------------------------------------------------------------------


def test_lists_have_the_shape_and_fields_of_the_api(traded: BotRun, alice: User) -> None:
    api = ApiClient(alice, "read")
    answers = {
        ("bot_list",): ("/bot/list/me", names(RunOut) | {"limits"}),
        ("trade_list", "--run", traded.pk): (f"/trades/history?bot_run_id={traded.pk}", names(TradeOut)),
        ("order_list", "--run", traded.pk): (f"/api/v1/bot/{traded.pk}/orders", names(OrderOut) | {"bot_run_id"}),
        ("bot_decisions", traded.pk): (f"/api/v1/bot/{traded.pk}/decisions", names(DecisionOut)),
        ("balance_list", alice.email): ("/api/v1/balances", names(BalanceOut)),
    }
    for (name, *words), (path, fields) in answers.items():
        told = done(name, *words)
        assert set(told) == {"items", "next"}
        assert told["items"], name
        assert {frozenset(item) for item in told["items"]} == {frozenset(fields)}, name
        theirs = api.get(path).json()
        ours = [{field: item[field] for field in theirs["items"][0]} for item in told["items"]]
        assert (ours, told["next"]) == (theirs["items"], theirs["next"]), name


def test_balances_without_an_address_are_everybody_s(traded: BotRun, alice: User) -> None:
    bob = User.objects.create_user("other@example.com")
    assert done("balance_list", bob.email)["items"] == []
    assert done("balance_list") == done("balance_list", alice.email)


def test_status_is_the_api_s(traded: BotRun, alice: User) -> None:
    told = done("bot_status", traded.pk)
    limits = told.pop("limits")
    assert (told, limits) == (ApiClient(alice, "read").get(f"/bot/status/{traded.pk}").json(), {})


def test_a_list_that_goes_on_says_where(traded: BotRun, alice: User) -> None:
    first = done("trade_list", "--limit", 1)
    answer = ApiClient(alice, "read").get(f"/trades/history?limit=1&cursor={first['next']}").json()
    assert [item["id"] for item in first["items"] + answer["items"]] == [
        item["id"] for item in done("trade_list")["items"]
    ]


@pytest.mark.parametrize("name", ["bot_list", "trade_list", "order_list", "balance_list"])
def test_an_empty_list_is_one_document(name: str, alice: User) -> None:
    answer = manage(name, "--json")
    assert (answer.code, answer.document, answer.err) == (0, {"items": [], "next": None}, "")
    assert manage(name).out == ""


def test_without_json_every_line_is_for_people(traded: BotRun, alice: User) -> None:
    assert f"#{traded.pk}" in manage("bot_list", alice.email).out
    assert "buy" in manage("trade_list").out
    assert "FILLED" in manage("order_list").out
    assert "SIGNAL_SELL" in manage("bot_decisions", traded.pk).out
    assert "Last checked" in manage("bot_status", traded.pk).out
    assert "USDT free" in manage("balance_list", alice.email).out


def test_changes_leave_out_what_asked_for_nothing(traded: BotRun) -> None:
    told = done("bot_decisions", traded.pk, "--changes")["items"]
    assert [item["code"] for item in told] == ["SIGNAL_SELL", "SIGNAL_BUY"]
    assert len(done("bot_decisions", traded.pk, "--limit", 3)["items"]) == 3


def test_runs_are_found_by_owner_status_and_mode(traded: BotRun, bob: User) -> None:
    other = start_run(bob)
    listed = [
        [item["bot_run_id"] for item in done("bot_list", *words)["items"]]
        for words in ([], ["bob@example.com"], ["--status", "starting"], ["--mode", "live"])
    ]
    assert listed == [[other.pk, traded.pk], [other.pk], [other.pk], []]


# --- Exit codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["bot_status", "bot_stop", "bot_pause", "bot_resume", "bot_decisions"])
@pytest.mark.parametrize(("wanted", "code"), [(999, 3), (0, 3), (2**70, 3), ("x", 2), ("", 2)])
def test_a_run_that_is_not_there_exits_with_3_and_no_id_with_2(
    alice: User, name: str, wanted: object, code: int
) -> None:
    answer = manage(name, wanted, "--json")
    assert (answer.code, answer.out) == (code, "")
    assert answer.err.strip()


@pytest.mark.parametrize(
    ("name", "words", "code"),
    [
        ("order_list", ["--run", "999"], 3),
        ("trade_list", ["--run", "999"], 3),
        ("orders_reconcile", ["--run", "999"], 3),
        ("bot_list", [NOBODY], 3),
        ("balance_list", [NOBODY], 3),
        ("bot_start", [NOBODY, *START_OPTIONS], 3),
        ("bot_start", ["alice@example.com"], 2),
        ("bot_list", ["--limit", "0"], 2),
        ("trade_list", ["--limit", "-1"], 2),
        ("order_list", ["--limit", "many"], 2),
        ("bot_list", ["--status", "dreaming"], 2),
        ("bot_tick", ["--timeframe", "7m"], 2),
        ("bot_tick", ["--at", "2024-13-01"], 2),
        ("kill_switch", ["explode", "--reason", "x"], 2),
        ("kill_switch", ["halt"], 2),
        ("kill_switch", ["halt", "--reason", "  "], 2),
        ("kill_switch", ["halt", "--level", "run", "--reason", "x"], 2),
        ("kill_switch", ["halt", "--target", "1", "--reason", "x"], 2),
        ("kill_switch", ["halt", "--level", "run", "--target", "999", "--reason", "x"], 3),
        ("kill_switch", ["halt", "--level", "key", "--target", "999", "--reason", "x"], 3),
        ("kill_switch", ["halt", "--level", "user", "--target", "999", "--reason", "x"], 3),
        ("kill_switch", ["flatten", "--reason", "x"], 5),
        ("kill_switch", ["resume", "--reason", "x"], 5),
        ("bot_start", ["alice@example.com", *START_OPTIONS, "--mode=live", "--key=1"], 3),
    ],
)
def test_every_failure_has_its_code_and_changes_nothing(
    alice: User, stage: Stage, name: str, words: list[str], code: int
) -> None:
    before = list(AuditEntry.objects.values_list("id", flat=True))
    answer = manage(name, *words, "--json")
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert answer.err.strip()
    assert not BotRun.objects.exists()
    assert not TradingGate.objects.exists()
    assert list(AuditEntry.objects.values_list("id", flat=True)) == before


def test_an_exchange_that_is_down_exits_with_6(alice: User, stage: Stage) -> None:
    stage.down = True
    assert manage("bot_start", alice.email, *START_OPTIONS).code == 6
    assert not BotRun.objects.exists()


def test_every_command_of_ours_tells_its_usage(alice: User) -> None:
    ours = [name for name, app in get_commands().items() if app in {"accounts", "exchanges", "strategies", "bots"}]
    assert {"bot_start", "key_add", "token_create", "strategy_list", "candles_import"} <= set(ours)
    for name in ours:
        assert manage(name, "--help").code == 0


# --- Acting --------------------------------------------------------------------------------------------


def test_a_run_may_be_told_how_to_send_its_orders(alice: User, stage: Stage) -> None:
    said = ["--entry-type=limit", "--limit-offset-pct=0.5", "--stop-on-exchange", '--limits={"stop_loss_pct": "5"}']
    run = BotRun.objects.get(pk=done("bot_start", alice.email, *START_OPTIONS, *said)["bot_run_id"])
    # Unless it is said otherwise an entry waits for one candle.
    assert run.limits == {
        "stop_loss_pct": "5",
        "entry_type": "limit",
        "limit_offset_pct": "0.5",
        "limit_timeout_seconds": 60,
        "stop_on_exchange": True,
    }


def test_a_run_is_started_ticked_paused_resumed_and_stopped(alice: User, stage: Stage) -> None:
    params = ["--params={}", '--limits={"stop_loss_pct": "5"}', "--at", iso(START)]
    started = done("bot_start", alice.email, *START_OPTIONS, *params)
    run = started["bot_run_id"]
    assert started == {"bot_run_id": run, "status": "starting"}
    told = done("bot_status", run)
    assert (told["mode"], told["capital"], told["limits"], told["started_at"]) == (
        "paper",
        "1000",
        {"stop_loss_pct": "5"},
        iso(START),
    )
    report = done("bot_tick", "--at", iso(stage.closes(0)))
    assert (report["runs"], report["decisions"], report["orders"], report["faults"]) == (1, 1, [], [])
    assert done("bot_pause", run) == {"bot_run_id": run, "status": "paused"}
    assert manage("bot_pause", run).code == 0
    assert done("bot_resume", run)["status"] == "running"
    assert done("bot_stop", run)["status"] == "stopped"
    assert done("bot_stop", run)["status"] == "stopped"
    assert manage("bot_resume", run).code == 4
    assert {entry.actor_kind for entry in AuditEntry.objects.filter(subject=f"run:{run}")} == {"console"}


def test_a_tick_says_what_it_did_and_again_does_nothing(alice: User, stage: Stage) -> None:
    start_run(alice)
    for index in range(3):
        done("bot_tick", "--at", iso(stage.closes(index)))
    report = done("bot_tick", "--at", iso(stage.closes(3)))
    assert (report["at"], report["orders"], report["fills"]) == (iso(stage.closes(3)), [Order.objects.get().pk], 1)
    again = done("bot_tick", "--at", iso(stage.closes(3)))
    assert (again["decisions"], again["orders"], again["fills"]) == (0, [], 0)
    assert "1 orders" not in manage("bot_tick", "--at", iso(stage.closes(3))).out


def test_a_tick_of_another_timeframe_leaves_the_run_alone(alice: User, stage: Stage) -> None:
    start_run(alice)
    assert done("bot_tick", "--at", iso(stage.closes(0)), "--timeframe", "1h")["runs"] == 0
    assert done("bot_tick", "--at", iso(stage.closes(0)), "--timeframe", "1m")["runs"] == 1


def test_stop_with_close_sells_first(holding: BotRun, stage: Stage) -> None:
    assert done("bot_stop", holding.pk, "--close", "--at", iso(stage.closes(5)))["status"] == "stopped"
    assert list(TradeLog.objects.order_by("id").values_list("side", flat=True)) == ["buy", "sell"]
    assert Decision.objects.first().code == "MANUAL_CLOSE"


def test_stop_keeps_the_position(holding: BotRun, stage: Stage) -> None:
    assert done("bot_stop", holding.pk, "--at", iso(stage.closes(5)))["status"] == "stopped"
    assert done("bot_status", holding.pk)["position"]["amount"] == str(holding.held.normalize())


def test_reconcile_says_what_it_looked_at(holding: BotRun, stage: Stage) -> None:
    at = iso(stage.closes(5))
    counts = {"accounts": 0, "orders": 0, "ended": 0, "fills": 0, "late_fills": 0, "orphans": 0, "mismatches": 0}
    assert done("orders_reconcile", "--at", at) == {**counts, "faults": []}
    assert done("orders_reconcile", "--run", holding.pk, "--at", at) == {**counts, "faults": []}
    assert "0 orders looked at" in manage("orders_reconcile").out


@pytest.mark.parametrize("level", ["platform", "user", "run"])
def test_the_kill_switch_stops_entries_at_its_level(alice: User, stage: Stage, level: str) -> None:
    run = start_run(alice)
    target = {"platform": [], "user": ["--target", alice.pk], "run": ["--target", run.pk]}[level]
    gate = done("kill_switch", "halt", "--level", level, *target, "--reason", "drill")["gates"][0]
    assert (gate["level"], gate["state"], gate["reason"], gate["actor"]) == (level, "HALTED", "drill", "console")
    for index in range(5):
        rounds.whole_round(stage.closes(index))
    assert not Order.objects.exists()
    assert done("bot_status", run.pk)["halted"] == {"level": level, "reason": "drill"}
    assert done("kill_switch", "status")["gates"] == [gate]
    resumed = done("kill_switch", "resume", "--level", level, *target, "--reason", "over", "--yes")
    assert resumed == {"gates": []}
    assert manage("kill_switch", "status").out == "Trading is active at every level.\n"


def test_flatten_sells_and_stops(holding: BotRun, stage: Stage) -> None:
    done("kill_switch", "flatten", "--reason", "enough", "--yes", "--at", iso(stage.closes(5)))
    run = BotRun.objects.get(pk=holding.pk)
    assert (run.status, run.held) == (Status.STOPPED, 0)
    assert list(TradeLog.objects.order_by("id").values_list("side", flat=True)) == ["buy", "sell"]


def test_a_halted_run_resumes_where_it_was(holding: BotRun, stage: Stage) -> None:
    gates.switch("run", holding.pk, "halt", "drill", stage.closes(5), CONSOLE)
    rounds.whole_round(stage.closes(6))
    assert TradeLog.objects.count() == 1
    gates.switch("run", holding.pk, "resume", "over", stage.closes(6), CONSOLE)
    rounds.whole_round(stage.closes(6) + timedelta(seconds=30))
    rounds.whole_round(stage.closes(7))
    assert list(TradeLog.objects.order_by("id").values_list("side", flat=True)) == ["buy", "sell"]


def test_json_is_one_document_on_stdout_and_nothing_else(traded: BotRun, alice: User) -> None:
    for name, *words in (("bot_list",), ("bot_status", traded.pk), ("kill_switch", "status"), ("strategy_list",)):
        answer = manage(name, *words, "--json")
        assert (answer.code, answer.err) == (0, "")
        assert json.loads(answer.out) is not None
        assert answer.out.count("\n") == 1


def test_at_is_the_clock_of_the_whole_command(alice: User, stage: Stage) -> None:
    started = done("bot_start", alice.email, *START_OPTIONS, "--at", "2024-01-15T02:00:00+02:00")
    run = BotRun.objects.get(pk=started["bot_run_id"])
    assert run.started_at == START
    assert abs(timezone.now() - AuditEntry.objects.filter(subject=f"run:{run.pk}").get().at) > timedelta(days=300)


def test_a_console_run_decides_as_every_other(alice: User, stage: Stage) -> None:
    stage.candles = scripted_candles([0, 1, 0, 2, 0, 0])
    done("bot_start", alice.email, *START_OPTIONS, "--at", iso(START))
    for index in range(5):
        done("bot_tick", "--at", iso(stage.closes(index)))
    assert [trade["side"] for trade in done("trade_list")["items"]] == ["sell", "buy"]
