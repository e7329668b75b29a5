"""From paper to live only when the whole policy is met; what is missing is named, and nothing is half-done."""

import io
import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal as D

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from ninja.testing import TestClient

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from accounts.tests.cast import present_second_factor, totp
from bots import arming, lifecycle, promotion
from bots.api.promotion import router
from bots.lifecycle import Conflict, Invalid
from bots.models import Arming, BotRun, Breaker, Mode, Status
from bots.testing import START, Stage, start_run
from bots.tests.test_capital_faces import token
from bots.tests.test_lifecycle import Funded, make_key
from exchanges import connect
from exchanges.models import ExchangeKey

LATER = START + timedelta(days=7)
LIMITS = {"max_daily_loss": "50"}


@pytest.fixture(autouse=True)
def live() -> Iterator[None]:
    with override_settings(LIVE_TRADING=True):
        yield


@pytest.fixture
def funded(monkeypatch: pytest.MonkeyPatch) -> Funded:
    account = Funded(D(1500))
    monkeypatch.setattr(connect, "open_exchange", lambda key, at, purpose: account)
    return account


@pytest.fixture
def paper(alice: User, stage: Stage, funded: Funded) -> BotRun:
    run = start_run(alice, exchange="binance", limits=LIMITS, params={})
    BotRun.objects.filter(pk=run.pk).update(status=Status.RUNNING)
    run.refresh_from_db()
    return run


@pytest.fixture
def key(alice: User, paper: BotRun) -> ExchangeKey:
    made = make_key(alice, last_checked_at=LATER)
    arming.arm(made, "page", LATER, CONSOLE)
    return made


def unmet(run: BotRun, key: ExchangeKey | None, at: object = LATER) -> list[str]:
    return [one.name for one in promotion.conditions(run, key, at) if not one.met]  # type: ignore[arg-type]


def test_a_run_that_meets_the_policy_trades_live_and_the_paper_run_stops(paper: BotRun, key: ExchangeKey) -> None:
    made = promotion.promote(paper, key, LATER, CONSOLE)
    assert (made.mode, made.status, made.capital, made.key) == (Mode.LIVE, Status.STARTING, paper.capital, key)
    same = ("strategy", "params", "limits", "symbol", "timeframe", "exchange", "user")
    assert [getattr(made, name) for name in same] == [getattr(paper, name) for name in same]
    paper.refresh_from_db()
    assert paper.status == Status.STOPPED
    entry = AuditEntry.objects.get(action="run.promoted")
    assert (entry.subject, entry.detail["live"]) == (f"run:{paper.pk}", made.pk)


def test_promoting_twice_starts_one(paper: BotRun, key: ExchangeKey) -> None:
    promotion.promote(paper, key, LATER, CONSOLE)
    paper.refresh_from_db()
    with pytest.raises(Invalid) as again:
        promotion.promote(paper, key, LATER, CONSOLE)
    assert list(again.value.errors) == ["paper"]
    assert BotRun.objects.filter(mode=Mode.LIVE).count() == 1


def test_each_condition_is_named_when_it_is_not_met(
    alice: User, bob: User, paper: BotRun, key: ExchangeKey, stage: Stage
) -> None:
    assert unmet(paper, key) == []
    assert unmet(paper, key, LATER - timedelta(seconds=1)) == ["days"]
    assert unmet(paper, key, LATER + timedelta(hours=1, seconds=1)) == ["arming"]
    assert unmet(paper, None) == ["key", "verified", "arming"]
    assert unmet(paper, make_key(bob, fingerprint="b", last_checked_at=LATER)) == ["key", "arming"]
    assert "key" in unmet(paper, make_key(alice, fingerprint="k", exchange="kraken", last_checked_at=LATER))
    stale = make_key(alice, fingerprint="s", last_checked_at=LATER - timedelta(days=7))
    arming.arm(stale, "page", LATER, CONSOLE)
    assert unmet(paper, stale) == ["verified"]
    assert unmet(paper, make_key(alice, fingerprint="w", can_withdraw=True)) == ["verified", "arming"]
    with override_settings(LIVE_TRADING=False):
        assert unmet(paper, key) == ["platform"]
    with override_settings(PROMOTION_MIN_PAPER_DAYS=8):
        assert unmet(paper, key) == ["days"]
    paper.limits = {"max_order_notional": "100"}
    assert unmet(paper, key) == ["limits"]
    on_demo = start_run(alice, limits=LIMITS)
    assert {"paper", "platform", "key"} <= set(unmet(on_demo, key))


def test_an_open_breaker_stands_in_the_way(paper: BotRun, key: ExchangeKey) -> None:
    facts = {"mode": "paper", "since": START, "changed_at": START, "changed_by": "risk"}
    Breaker.objects.create(level="run", target=paper.pk, name="daily_loss", state="open", tripped_at=START, **facts)
    assert unmet(paper, key) == ["breakers"]


def test_what_is_missing_is_refused_as_a_list_and_changes_nothing(paper: BotRun, key: ExchangeKey) -> None:
    with pytest.raises(Invalid) as refused:
        promotion.promote(paper, key, START + timedelta(days=2), CONSOLE)
    assert refused.value.code == "not_ready"
    assert set(refused.value.errors) >= {"days"}
    assert "was 2.0" in refused.value.errors["days"]
    paper.refresh_from_db()
    assert (paper.status, BotRun.objects.count()) == (Status.RUNNING, 1)


def test_every_check_of_a_live_start_applies_too(paper: BotRun, key: ExchangeKey, funded: Funded) -> None:
    funded.free = D(999)
    with pytest.raises(Invalid) as poor:
        promotion.promote(paper, key, LATER, CONSOLE)
    assert poor.value.code == "insufficient_funds"
    funded.free = D(5000)
    start_run(paper.user, exchange="binance", mode="live", exchange_key_id=key.pk, capital=D(100))
    with pytest.raises(Conflict):
        promotion.promote(paper, key, LATER, CONSOLE)
    paper.refresh_from_db()
    assert paper.status == Status.RUNNING


def test_the_api_promotes_and_names_what_is_missing(alice: User, paper: BotRun, key: ExchangeKey) -> None:
    api = TestClient(router)
    path, body = f"/api/v1/bot/{paper.pk}/promote", {"exchange_key_id": key.pk}
    assert api.post(path, json=body).status_code == 401
    with time_machine.travel(LATER - timedelta(days=1)), pytest.raises(Invalid):
        api.post(path, json=body, headers=token(alice, "trade"))
    with time_machine.travel(LATER):
        answer = api.post(path, json=body, headers=token(alice, "trade"))
    assert answer.status_code == 201
    made = BotRun.objects.get(mode=Mode.LIVE)
    assert answer.json()["bot_run_id"] == made.pk
    assert answer["Location"] == f"/bot/status/{made.pk}"


def test_a_strangers_run_is_not_there(bob: User, paper: BotRun, key: ExchangeKey) -> None:
    with pytest.raises(BotRun.DoesNotExist):
        TestClient(router).post(
            f"/api/v1/bot/{paper.pk}/promote", json={"exchange_key_id": key.pk}, headers=token(bob, "trade")
        )
    assert BotRun.objects.count() == 1


def test_the_page_wants_a_second_factor_and_shows_the_policy(
    alice: User, bob: User, paper: BotRun, key: ExchangeKey
) -> None:
    path = f"/app/bots/{paper.pk}/promote/"
    with time_machine.travel(LATER):
        browser, stranger = Client(), Client()
        browser.force_login(alice)
        stranger.force_login(bob)
        assert browser.post(path, {"key": key.pk}).status_code == 302
        assert BotRun.objects.count() == 1
        present_second_factor(browser, totp(alice))
        present_second_factor(stranger, totp(bob))
        assert stranger.get(path).status_code == 404
        assert browser.get(path).content.decode().count("not met") == 0
        with override_settings(PROMOTION_MIN_PAPER_DAYS=30):
            refused = browser.post(path, {"key": key.pk})
        assert refused.status_code == 422
        assert "Expected 30 days on paper" in refused.content.decode()
        answer = browser.post(path, {"key": key.pk})
    assert answer["Location"] == f"/app/bots/{BotRun.objects.get(mode=Mode.LIVE).pk}/"


def test_without_a_key_the_page_says_what_to_do(alice: User, paper: BotRun) -> None:
    browser = Client()
    browser.force_login(alice)
    present_second_factor(browser, totp(alice))
    assert "Add a binance key" in browser.get(f"/app/bots/{paper.pk}/promote/").content.decode()


def test_the_operators_yes_arms_and_promotes(paper: BotRun, alice: User) -> None:
    key = make_key(alice, last_checked_at=LATER)
    at = LATER.isoformat()
    with pytest.raises(CommandError) as asked:
        call_command("bot_promote", str(paper.pk), "--key", str(key.pk), "--at", at)
    assert asked.value.returncode == 5
    with pytest.raises(CommandError) as early:
        call_command("bot_promote", str(paper.pk), "--key", str(key.pk), "--at", START.isoformat(), "--yes")
    assert early.value.returncode == 4
    assert not Arming.objects.filter(dropped_at=None).exists()
    out = io.StringIO()
    call_command("bot_promote", str(paper.pk), "--key", str(key.pk), "--at", at, "--yes", "--json", stdout=out)
    made = BotRun.objects.get(mode=Mode.LIVE)
    assert json.loads(out.getvalue()) == {"bot_run_id": made.pk, "status": "starting"}
    assert lifecycle.stop(made, "keep", LATER, CONSOLE).status == Status.STOPPED
