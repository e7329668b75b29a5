"""Drawdown and daily loss of all runs of a user, or of a key: tripped, denied, reset, and told on every face."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal as D

import pytest
from django.core.management import call_command
from django.test import Client
from ninja.testing import TestClient

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from bots import assess, breakers, lifecycle, operations, rounds
from bots.api.breakers import router
from bots.core.breaker import State
from bots.core.codes import Code
from bots.models import BotRun, Breaker, Decision, Level, RunPosition
from bots.testing import START, Stage, scripted_candles, staged, start_run
from bots.tests.desk import PRICE, Desk, after
from bots.tests.test_capital_faces import token
from exchanges import market_data
from exchanges.core.errors import Unavailable

#: Both runs buy at 100; the price falls; the first sells at 94, and would buy again.
SCRIPT = [0, 1, 0, 0, 2, 0, 1, 0, 0, 0]
PRICES = [100, 100, 100, 94, 94, 94, 94, 94, 94, 94]


@pytest.fixture
def falling(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    with staged(Stage(scripted_candles(SCRIPT, PRICES)), monkeypatch.setattr) as stage:
        yield stage


def play(stage: Stage, last: int, first: int = 0) -> None:
    for index in range(first, last + 1):
        rounds.whole_round(stage.closes(index))


def limit(user: User, **limits: str) -> None:
    operations.set_limits(Level.USER, user.pk, limits, START, CONSOLE)


@pytest.mark.parametrize(
    ("limits", "name", "code"),
    [({"max_daily_loss": "100"}, "daily_loss", Code.DAILY_LOSS),
     ({"max_drawdown_pct": "5"}, "max_drawdown", Code.DRAWDOWN_BREAKER)],
)  # fmt: skip
def test_what_two_runs_lose_together_stops_the_entries_of_a_third(
    alice: User, bob: User, falling: Stage, limits: dict[str, str], name: str, code: Code
) -> None:
    limit(alice, **limits)
    for _ in range(2):
        start_run(alice, capital=D(1000))
    idle = start_run(alice, capital=D(100))
    other = start_run(bob)
    BotRun.objects.filter(pk=idle.pk).update(next_check_at=falling.closes(6))
    play(falling, 3)
    # Neither of them lost so much; together they did.
    row = Breaker.objects.get(level=Level.USER, name=name)
    assert (row.target, row.mode, row.quote, row.state) == (alice.pk, "paper", "USDT", State.OPEN)
    assert "All USDT runs together" in row.reason
    assert [event.to_state for event in row.events.all()] == ["open"]
    assert not Breaker.objects.filter(level=Level.RUN, state="open").exists()
    play(falling, 6, 4)
    denied = Decision.objects.get(run=idle, action="BUY")
    assert (denied.code, "All USDT runs together" in denied.reason) == (code, True)
    assert BotRun.objects.get(pk=other.pk).held > 0


def test_other_money_and_other_modes_are_apart(alice: User, falling: Stage) -> None:
    limit(alice, max_daily_loss="100")
    runs = [start_run(alice) for _ in range(2)]
    BotRun.objects.filter(pk=runs[0].pk).update(quote="EUR")
    play(falling, 3)
    assert list(Breaker.objects.filter(level=Level.USER).values_list("quote", "state").order_by("quote")) == [
        ("EUR", "closed"), ("USDT", "closed"),
    ]  # fmt: skip


def tripped(alice: User, stage: Stage, **limits: str) -> Breaker:
    limit(alice, **limits)
    for _ in range(2):
        start_run(alice)
    play(stage, 3)
    return Breaker.objects.get(level=Level.USER)


@pytest.mark.parametrize("limits", [{"max_daily_loss": "100"}, {"max_drawdown_pct": "5"}])
def test_a_reset_begins_the_measure_anew_and_is_audited(alice: User, falling: Stage, limits: dict[str, str]) -> None:
    row = tripped(alice, falling, **limits)
    breakers.reset(row, "looked at", falling.closes(3), CONSOLE)
    assert AuditEntry.objects.get(action="breaker.reset").subject == f"user:{alice.pk}"
    play(falling, 6, 4)
    row.refresh_from_db()
    assert row.state == State.CLOSED
    if row.name == "daily_loss":
        assert Decision.objects.filter(action="BUY", code=Code.SIGNAL_BUY, at=falling.closes(6)).count() == 2


def test_a_daily_loss_is_over_at_midnight_and_a_drawdown_is_not(alice: User, falling: Stage) -> None:
    tripped(alice, falling, max_daily_loss="100")
    limit(alice, max_daily_loss="100", max_drawdown_pct="5")
    assess.assess_risk(falling.closes(3))
    Breaker.objects.filter(name="max_drawdown").update(mark=D(0))
    assess.assess_risk(falling.closes(4))
    assess.assess_risk(falling.closes(4) + timedelta(days=1))
    states = dict(Breaker.objects.filter(level=Level.USER).values_list("name", "state"))
    assert states == {"daily_loss": "closed", "max_drawdown": "open"}


def test_a_run_that_stops_takes_its_loss_from_nobodys_memory(alice: User, falling: Stage) -> None:
    limit(alice, max_daily_loss="100")
    first, second = start_run(alice), start_run(alice)
    BotRun.objects.filter(pk=second.pk).update(next_check_at=lifecycle.NEVER)
    play(falling, 3)
    lifecycle.stop(first, "close", falling.closes(3), CONSOLE)
    play(falling, 4, 4)
    assert BotRun.objects.get(pk=first.pk).status == "stopped"
    # The second one loses as much on the same day.
    RunPosition.objects.filter(run=second).update(cash=D(-60))
    assess.assess_risk(falling.closes(5))
    assert Breaker.objects.get(level=Level.USER).state == State.OPEN


def test_a_price_that_cannot_be_had_raises_no_highest(
    alice: User, falling: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit(alice, max_drawdown_pct="5")
    start_run(alice)
    play(falling, 2)
    before = Breaker.objects.get(level=Level.USER).mark

    def down(*_: object) -> None:
        raise Unavailable("down")

    monkeypatch.setattr(market_data, "quote", down)
    RunPosition.objects.update(cash=D(500))
    assess.assess_risk(falling.closes(3))
    assert Breaker.objects.get(level=Level.USER).mark == before


def test_assessing_a_quiet_sum_writes_nothing(alice: User, falling: Stage) -> None:
    row = tripped(alice, falling, max_daily_loss="1000")
    assess.assess_risk(falling.closes(3))
    again = Breaker.objects.get(pk=row.pk)
    assert (again.state, again.changed_at) == ("closed", row.changed_at)


def test_a_keys_loss_stops_its_runs_alone(desk: Desk) -> None:
    operations.set_limits(Level.KEY, desk.run.key_id or 0, {"max_daily_loss": "50"}, START, CONSOLE)
    RunPosition.objects.update(cash=D(-60), day=START.date(), day_start_equity=D(1000))
    assess.assess_risk(after(30))
    row = Breaker.objects.get(level=Level.KEY)
    assert (row.target, row.mode, row.quote, row.state) == (desk.run.key_id, "live", "USDT", "open")
    RunPosition.objects.update(day_start_equity=D(940))
    denied = desk.place(at=60)
    assert (denied.order, denied.decision and denied.decision.code) == (None, Code.DAILY_LOSS)
    assert PRICE > 0


# --- faces ------------------------------------------------------------------------------------------


def test_every_face_tells_whose_money_it_is(alice: User, bob: User, falling: Stage) -> None:
    row = tripped(alice, falling, max_drawdown_pct="5")
    (item,) = TestClient(router).get("/api/v1/breakers?state=open", headers=token(alice, "read")).json()["items"]
    assert (item["id"], item["level"], item["quote"]) == (row.pk, "user", "USDT")
    assert TestClient(router).get("/api/v1/breakers", headers=token(bob, "read")).json()["items"] == []
    page = Client()
    page.force_login(alice)
    assert "All your USDT bots together" in page.get("/app/risk/breakers/").content.decode()
    page.post(f"/app/risk/breakers/{row.pk}/reset/", {"reason": "looked at"})
    row.refresh_from_db()
    assert row.state == State.CLOSED


def test_a_keys_breaker_is_its_owners_to_see_and_reset(desk: Desk, bob: User, sealed: None) -> None:
    operations.set_limits(Level.KEY, desk.run.key_id or 0, {"max_daily_loss": "50"}, START, CONSOLE)
    RunPosition.objects.update(cash=D(-60), day=START.date(), day_start_equity=D(1000))
    assess.assess_risk(after(30))
    row = Breaker.objects.get(level=Level.KEY)
    owner, stranger = Client(), Client()
    owner.force_login(desk.run.user)
    stranger.force_login(bob)
    assert f"All USDT bots of key {desk.run.key_id} together" in owner.get("/app/risk/breakers/").content.decode()
    assert stranger.post(f"/app/risk/breakers/{row.pk}/reset/", {"reason": "x"}).status_code == 404
    out = io.StringIO()
    call_command("breaker_list", desk.run.user.email, "--json", stdout=out)
    assert [(one["level"], one["quote"]) for one in json.loads(out.getvalue())["items"]] == [
        ("key", "USDT"), ("run", ""),
    ]  # fmt: skip
    call_command("breaker_reset", str(row.pk), "--yes", "--reason", "looked at", stdout=io.StringIO())
    row.refresh_from_db()
    assert row.state == State.CLOSED
