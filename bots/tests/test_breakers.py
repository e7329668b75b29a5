"""Breakers of real runs: what trips them, what they deny, trials, resets, and all the faces of it."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction
from django.test import Client
from ninja.testing import TestClient

from accounts.audit import CONSOLE
from accounts.auth import NotFound
from accounts.models import AuditEntry, User
from accounts.tests.cast import present_second_factor, totp
from bots import assess, breakers, operations, rounds
from bots.api.breakers import router
from bots.core.backtest import engine
from bots.core.backtest.terms import Terms
from bots.core.breaker import Books, Name, State
from bots.core.codes import Code
from bots.core.limits import Limits, parse_limits
from bots.models import BotRun, Breaker, BreakerEvent, Decision, Level, TradeLog
from bots.queries.breakers import breaker_model, breakers_of
from bots.testing import MARKET, START, ScriptedStrategy, Stage, scripted_candles, staged, start_run
from bots.tests.test_capital_faces import token

#: Buys and sells in turn; every trade loses.
FALLING = [0, 1, 2, 1, 2, 1, 2, 1, 2, 0]
PRICES = [100 - index for index in range(10)]


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(Stage(scripted_candles(FALLING, PRICES)), monkeypatch.setattr) as stage:
        yield stage


def play(stage: Stage, last: int, first: int = 0) -> None:
    for index in range(first, last + 1):
        rounds.whole_round(stage.closes(index))


def tripped(user: User, stage: Stage, **limits: Any) -> tuple[BotRun, Breaker]:
    """A run whose second losing trade tripped its loss streak."""
    run = start_run(user, limits={"max_loss_streak": 2, **limits})
    play(stage, 5)
    return run, Breaker.objects.get(target=run.pk, name="loss_streak")


def sells(run: BotRun) -> int:
    return TradeLog.objects.filter(run=run, side="sell").count()


@pytest.mark.parametrize(
    ("limits", "name", "code", "losses"),
    [
        ({"max_loss_streak": 2}, "loss_streak", Code.LOSS_STREAK, 2),
        ({"max_drawdown_pct": "1.5"}, "max_drawdown", Code.DRAWDOWN_BREAKER, 2),
        ({"max_daily_loss": "15"}, "daily_loss", Code.DAILY_LOSS, 2),
        ({"cooldown_seconds": 86400}, "cooldown", Code.COOLDOWN, 1),
        ({"low_profit_pct": "1", "low_profit_trades": 2}, "low_profit", Code.LOW_PROFIT, 2),
    ],
)
def test_a_protection_opens_its_breaker_which_denies_further_entries(
    alice: User, falling: Stage, limits: dict[str, Any], name: str, code: Code, losses: int
) -> None:
    run = start_run(alice, limits=limits)
    play(falling, 9)
    row = Breaker.objects.get(level=Level.RUN, target=run.pk, name=name)
    assert row.state == State.OPEN
    assert row.reason
    assert sells(run) == losses
    assert Decision.objects.filter(run=run, code=code, action="BUY").exists()
    assert [(event.from_state, event.to_state) for event in row.events.all()] == [("closed", "open")]


def test_stop_losses_in_a_row_open_the_guard(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    script, prices = [0, 1, 0, 0, 1, 0, 0, 1, 0, 0], [100, 100, 100, 94, 94, 94, 88, 88, 88, 88]
    with staged(Stage(scripted_candles(script, prices)), monkeypatch.setattr) as stage:
        run = start_run(alice, limits={"stop_loss_pct": "5", "stop_loss_guard_count": 2})
        play(stage, 8)
    row = Breaker.objects.get(target=run.pk, name="stop_loss_guard", level=Level.RUN)
    assert (row.state, sells(run)) == (State.OPEN, 2)
    assert Decision.objects.filter(run=run, code=Code.STOP_LOSS_GUARD).exists()


def test_a_trade_that_nobody_assessed_counts_in_the_next_decision(alice: User, falling: Stage) -> None:
    run = start_run(alice, limits={"low_profit_pct": "1", "low_profit_trades": 2})
    play(falling, 3)
    limits, books = Limits(low_profit_pct=D(1), low_profit_trades=2), Books(D(1000))
    play(falling, 4, 4)
    rounds.tick.tick_due(falling.closes(5))
    row = Breaker.objects.get(target=run.pk, name="low_profit")
    before = Breaker.objects.filter(pk=row.pk)
    before.update(state="closed", tripped_at=None, through=0, reason="")
    (standing,) = breakers.standing(run, breakers.Stated(limits), books, falling.closes(6))
    assert standing.state is State.OPEN
    row.refresh_from_db()
    assert row.state == State.CLOSED


def test_a_limit_that_was_taken_back_denies_nothing(alice: User, falling: Stage) -> None:
    run, row = tripped(alice, falling)
    assert row.state == State.OPEN
    assert breakers.standing(run, breakers.Stated(Limits()), Books(D(1000)), falling.closes(6)) == ()


def test_time_makes_it_half_open_and_the_trial_decides(alice: User, falling: Stage) -> None:
    run, row = tripped(alice, falling)
    limits = Limits(max_loss_streak=2)
    tomorrow = falling.closes(5) + timedelta(days=1)
    (now,) = breakers.standing(run, breakers.Stated(limits), Books(D(1000)), tomorrow)
    assert (now.state, now.on_trial) == (State.HALF_OPEN, False)
    run.refresh_from_db()
    breakers.assess_run(run, run.position, limits, tomorrow)
    row.refresh_from_db()
    assert row.state == State.HALF_OPEN
    assert [event.to_state for event in row.events.all()] == ["half_open", "open"]


def test_assessing_again_changes_nothing(alice: User, falling: Stage) -> None:
    run, row = tripped(alice, falling)
    run.refresh_from_db()
    for _ in range(3):
        breakers.assess_run(run, run.position, Limits(max_loss_streak=2), falling.closes(5))
    assert BreakerEvent.objects.filter(breaker=row).count() == 1


def test_a_users_guard_counts_the_stops_of_all_runs_and_tries_with_one(
    alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, prices = [0, 1, 0, 0, 1, 0, 1, 0, 0, 0], [100, 100, 100, 94, 94, 94, 94, 94, 94, 94]
    guard = {"stop_loss_guard_count": 2, "stop_loss_guard_minutes": 3}
    operations.set_limits(Level.USER, alice.pk, guard, START, CONSOLE)
    with staged(Stage(scripted_candles(script, prices)), monkeypatch.setattr) as stage:
        runs = [start_run(alice, limits={"stop_loss_pct": "5"}) for _ in range(2)]
        other = start_run(bob, limits={"stop_loss_pct": "5"})
        play(stage, 4)
        row = Breaker.objects.get(level=Level.USER)
        assert (row.target, row.mode, row.name, row.state) == (alice.pk, "paper", "stop_loss_guard", State.OPEN)
        assert Decision.objects.filter(run__in=runs, code=Code.STOP_LOSS_GUARD).count() == 2
        assert TradeLog.objects.filter(run=other, side="buy").count() == 2
        play(stage, 6, 5)
    held = sum(BotRun.objects.get(pk=run.pk).held > 0 for run in runs)
    assert held == 1
    assert Decision.objects.filter(run__in=runs, code=Code.CIRCUIT_BREAKER).count() == 1


def test_a_reset_closes_forgets_and_is_audited(alice: User, falling: Stage) -> None:
    run, row = tripped(alice, falling)
    at = falling.closes(5)
    row = breakers.reset(row, " the strategy was changed ", at, CONSOLE)
    assert (row.state, row.since) == (State.CLOSED, at)
    run.refresh_from_db()
    assert run.position.loss_streak == 0
    entry = AuditEntry.objects.get(action="breaker.reset")
    assert entry.subject == f"run:{run.pk}"
    assert (row.events.first().to_state, row.events.first().reason) == ("closed", "the strategy was changed")
    play(falling, 8, 6)
    assert sells(run) == 3


@pytest.mark.parametrize(
    ("limits", "name"),
    [({"max_drawdown_pct": "1.5"}, "max_drawdown"), ({"max_daily_loss": "15"}, "daily_loss")],
)
def test_after_a_reset_the_measure_begins_anew(alice: User, falling: Stage, limits: dict[str, Any], name: str) -> None:
    run = start_run(alice, limits=limits)
    play(falling, 5)
    breakers.reset(Breaker.objects.get(name=name), "looked at", falling.closes(5), CONSOLE)
    play(falling, 8, 6)
    assert sells(run) == 3


def test_a_reset_during_an_assessment_stands(alice: User, falling: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    run = start_run(alice, limits={"max_drawdown_pct": "1.5"})
    play(falling, 5)
    row, tomorrow = Breaker.objects.get(name="max_drawdown"), falling.closes(5) + timedelta(days=1)
    assess_run = breakers.assess_run

    def reset_meanwhile(*given: Any) -> None:
        assess_run(*given)
        breakers.reset(row, "looked at", tomorrow, CONSOLE)

    monkeypatch.setattr(breakers, "assess_run", reset_meanwhile)
    highest = BotRun.objects.get(pk=run.pk).position.peak_equity
    assess.assess_risk(tomorrow)
    now = BotRun.objects.get(pk=run.pk)
    assert now.position.peak_equity == now.capital + now.position.cash < highest
    assert now.position.day != tomorrow.date()
    monkeypatch.setattr(breakers, "assess_run", assess_run)
    assess.assess_risk(tomorrow)
    now.position.refresh_from_db()
    assert now.position.day == tomorrow.date()


def test_a_cooldown_and_a_low_profit_are_reset_too(alice: User, falling: Stage) -> None:
    run = start_run(alice, limits={"cooldown_seconds": 9999, "low_profit_pct": "1", "low_profit_trades": 1})
    play(falling, 3)
    for name in ("cooldown", "low_profit"):
        breakers.reset(Breaker.objects.get(name=name), "looked at", falling.closes(3), CONSOLE)
    run.refresh_from_db()
    assert run.position.last_loss_at is None
    assert set(Breaker.objects.values_list("state", flat=True)) == {"closed"}


def test_a_reset_wants_a_reason_and_something_to_reset(alice: User, falling: Stage) -> None:
    _, row = tripped(alice, falling)
    with pytest.raises(ValueError, match="reason"):
        breakers.reset(row, " ", START, CONSOLE)
    breakers.reset(row, "fine", falling.closes(5), CONSOLE)
    with pytest.raises(breakers.NothingToReset):
        breakers.reset(row, "fine", falling.closes(5), CONSOLE)
    assert AuditEntry.objects.filter(action="breaker.reset").count() == 1


def test_the_history_of_a_breaker_cannot_be_rewritten(alice: User, falling: Stage) -> None:
    tripped(alice, falling)
    with pytest.raises(IntegrityError), transaction.atomic():
        BreakerEvent.objects.update(reason="nothing happened")


@pytest.mark.parametrize(
    "limits",
    [
        {"stop_loss_pct": "1", "stop_loss_guard_count": 1, "stop_loss_guard_minutes": 7},
        {"low_profit_pct": "0.1", "low_profit_trades": 2, "low_profit_minutes": 9},
        {"max_loss_streak": 2, "max_drawdown_pct": "4"},
    ],
)
def test_a_backtest_trips_as_the_live_path_does(
    alice: User, monkeypatch: pytest.MonkeyPatch, limits: dict[str, Any]
) -> None:
    script = [(0, 1, 0, 2)[index % 4] for index in range(60)]
    prices = [100 + (index * 7 % 11) - (index * 5 % 13) for index in range(60)]
    candles = scripted_candles(script, prices)
    with staged(Stage(candles), monkeypatch.setattr) as stage:
        run = start_run(alice, limits=limits)
        play(stage, 58)
    signals = ScriptedStrategy().signals(candles)
    outcome = engine.run(candles, signals, Terms(D(1000), MARKET, parse_limits(limits)))
    assert [trade.pnl for trade in outcome.trades] == list(
        TradeLog.objects.filter(run=run, side="sell").order_by("id").values_list("pnl", flat=True)
    )
    assert outcome.denied


# --- faces --------------------------------------------------------------------------------------


def test_everybody_sees_their_own_tripped_ones_first(alice: User, bob: User, falling: Stage) -> None:
    run, row = tripped(alice, falling, cooldown_seconds=1)
    found = breakers_of(alice, falling.closes(5))
    assert [(view.name, view.state) for view in found] == [("loss_streak", "open"), ("cooldown", "closed")]
    assert (found[0].code, found[0].symbol, found[0].target) == ("LOSS_STREAK", "BTC/USDT", run.pk)
    assert breakers_of(bob, falling.closes(5)) == []
    assert len(breakers_of(None, falling.closes(5))) == 2
    with pytest.raises(Breaker.DoesNotExist):
        breaker_model(bob, row.pk)
    assert found[0] == replace(breakers_of(None, falling.closes(5))[0])


def test_the_api_lists_and_resets(alice: User, bob: User, falling: Stage) -> None:
    _, row = tripped(alice, falling)
    api, own = TestClient(router), token(alice, "read", "trade")
    (item,) = api.get("/api/v1/breakers?state=half_open", headers=own).json()["items"]
    assert (item["id"], item["name"], item["events"][0]["to"]) == (row.pk, "loss_streak", "open")
    path = f"/api/v1/breakers/{row.pk}/reset"
    with pytest.raises(NotFound):
        api.post(path, json={"reason": "mine now"}, headers=token(bob, "trade"))
    assert api.post(path, json={"reason": " "}, headers=own).status_code == 422
    assert api.post(path, json={"reason": "x"}).status_code == 401
    row.refresh_from_db()
    assert row.state == State.OPEN
    for _ in range(2):
        answer = api.post(path, json={"reason": "looked at"}, headers=own)
        assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    assert AuditEntry.objects.filter(action="breaker.reset", actor=alice).count() == 1


def test_the_page_shows_and_resets(alice: User, bob: User, falling: Stage) -> None:
    _, row = tripped(alice, falling)
    owner, stranger = Client(), Client()
    owner.force_login(alice)
    stranger.force_login(bob)
    path = f"/app/risk/breakers/{row.pk}/reset/"
    assert "losing trades in a row" in owner.get("/app/risk/breakers/").content.decode()
    assert "No protections" in stranger.get("/app/risk/breakers/").content.decode()
    assert stranger.post(path, {"reason": "x"}).status_code == 404
    assert owner.get(path).status_code == 405
    for _ in range(2):
        assert owner.post(path, {"reason": "looked at"})["Location"] == "/app/risk/breakers/"
    row.refresh_from_db()
    assert row.state == State.CLOSED


@pytest.mark.parametrize(("typed", "said"), [("  ", "Say why"), ("so " * 150, "at most 300 characters")])
def test_a_refused_reset_keeps_what_was_typed(typed: str, said: str, alice: User, falling: Stage) -> None:
    _, row = tripped(alice, falling)
    owner = Client()
    owner.force_login(alice)
    answer = owner.post(f"/app/risk/breakers/{row.pk}/reset/", {"reason": typed})
    page = answer.content.decode()
    assert answer.status_code == 422
    assert f'value="{typed}"' in page
    assert f'<a href="#reason-{row.pk}">Why is it safe again?</a>: ' in page
    assert said in page
    assert 'aria-invalid="true"' in page
    row.refresh_from_db()
    assert row.state == State.OPEN


def test_the_commands_list_and_reset(alice: User, falling: Stage) -> None:
    _, row = tripped(alice, falling)
    out = io.StringIO()
    call_command("breaker_list", alice.email, "--json", "--at", falling.closes(5).isoformat(), stdout=out)
    assert [item["state"] for item in json.loads(out.getvalue())["items"]] == ["open"]
    out = io.StringIO()
    call_command("breaker_list", stdout=out)
    assert "loss_streak" in out.getvalue()
    for arguments, code in (
        ((str(row.pk), "--yes"), 2),
        ((str(row.pk), "--reason", "x"), 5),
        (("999", "--yes", "--reason", "x"), 3),
    ):
        with pytest.raises(CommandError) as refused:
            call_command("breaker_reset", *arguments)
        assert refused.value.returncode == code
    out = io.StringIO()
    call_command("breaker_reset", str(row.pk), "--yes", "--reason", "looked at", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"id": row.pk, "state": "closed"}
    with pytest.raises(CommandError) as again:
        call_command("breaker_reset", str(row.pk), "--yes", "--reason", "x")
    assert again.value.returncode == 4


def test_the_operator_resets_in_the_administration(alice: User, falling: Stage) -> None:
    _, row = tripped(alice, falling)
    operator = User.objects.create_user("root@example.com", is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(operator)
    present_second_factor(browser, totp(operator))
    assert browser.get("/admin/bots/breakerevent/").status_code == 200
    browser.post("/admin/bots/breaker/", {"action": "reset", "_selected_action": [row.pk]})
    row.refresh_from_db()
    assert row.state == State.CLOSED
    assert Name(row.name) is Name.LOSS_STREAK
