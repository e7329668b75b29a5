"""The operator's pages: every model opens for staff with a second factor, secrets never, ledgers are read-only."""

import re
from decimal import Decimal

import pytest
from django.contrib import admin
from django.test import Client
from django.utils import timezone

from accounts import operations as accounts
from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from accounts.tests.cast import present_second_factor, totp
from bots import arming, gates, rounds
from bots.core.risk import Gate
from bots.models import (
    Arming,
    BotRun,
    Decision,
    EquityPoint,
    Fill,
    Incident,
    Order,
    OrderEvent,
    RiskLimits,
    RunPosition,
    Status,
    TradeLog,
    TradingAccount,
    TradingGate,
)
from bots.operations import set_limits
from bots.reconcile import incidents
from bots.testing import Stage, start_run
from exchanges.connect import place_of
from exchanges.models import ExchangeKey
from exchanges.operations import _write
from exchanges.vault import Credentials, keyring, seal

API_SECRET = "never-to-be-seen-secret-of-the-exchange"
LEDGERS = (Order, Fill, TradeLog, Decision, Incident, TradingGate, TradingAccount, AuditEntry)
#: Written by their owners' own transactions, shown inside other pages.
INSIDE_OTHERS = {OrderEvent, RunPosition, EquityPoint}


@pytest.fixture
def root(db: None) -> Client:
    """Staff, signed in, with a second factor presented."""
    person = User.objects.create_superuser("root@example.com", "x" * 20)
    browser = Client()
    browser.force_login(person)
    present_second_factor(browser, totp(person))
    return browser


@pytest.fixture
def key(alice: User) -> ExchangeKey:
    made = ExchangeKey(
        owner=alice, exchange="binance", label="main", api_key_hint="wxyz", fingerprint="f" * 16, permissions="trade",
        can_withdraw=False, created_at=timezone.now(), last_checked_at=timezone.now(),
    )  # fmt: skip
    _write(made, seal(keyring(), place_of(made), Credentials("api-key-in-the-clear", API_SECRET, "")))
    made.save(force_insert=True)
    return made


@pytest.fixture
def world(alice: User, stage: Stage, key: ExchangeKey) -> BotRun:
    """A run that traded, and one row at least of everything around it."""
    run = start_run(alice)
    for index in range(5):
        rounds.whole_round(stage.closes(index))
    at = stage.closes(5)
    arming.arm(key, "page", timezone.now(), CONSOLE)
    gates.switch("user", alice.pk, "reduce", "drill", at, CONSOLE)
    gates.switch("user", alice.pk, "resume", "over", at, CONSOLE)
    set_limits("user", alice.pk, {"max_open_orders": 5}, at, CONSOLE)
    incidents.tell(run.account, "late_fill", "order:1", "A fill came late.", {"order": 1}, at, Gate.REDUCING)
    accounts.create_token(alice, ["read"], timezone.now(), CONSOLE)
    return BotRun.objects.get(pk=run.pk)


def url(model: type, *rest: object) -> str:
    parts = "/".join(str(part) for part in rest)
    return f"/admin/{model._meta.app_label}/{model._meta.model_name}/{parts}{'/' if parts else ''}"


def test_every_page_of_every_model_opens_and_shows_no_secret(root: Client, world: BotRun, key: ExchangeKey) -> None:
    secrets = [API_SECRET, "api-key-in-the-clear", key.encrypted_secret, key.encrypted_key, key.iv_secret]
    opened = 0
    for model in admin.site._registry:
        listed = root.get(url(model))
        assert listed.status_code == 200, model
        pages = [listed.content.decode()]
        row = model._default_manager.first()
        if row is not None:
            shown = root.get(url(model, row.pk, "change"))
            assert shown.status_code == 200, model
            pages.append(shown.content.decode())
            opened += 1
        for text in secrets:
            assert not any(text in page for page in pages), f"{model.__name__} shows a secret"
    assert opened >= 15


def test_every_model_of_ours_is_in_the_administration() -> None:
    ours = [model for model in admin.site._registry if model.__module__.startswith("bots.")]
    missing = {BotRun, RiskLimits, Arming, *LEDGERS} - INSIDE_OTHERS - {AuditEntry} - set(ours)
    assert not missing


@pytest.mark.parametrize("model", LEDGERS)
def test_ledgers_are_looked_at_only(root: Client, world: BotRun, model: type) -> None:
    row = model._default_manager.first()
    before = model._default_manager.count()
    assert root.get(url(model, "add")).status_code == 403
    assert root.post(url(model, "add"), {}).status_code == 403
    assert root.post(url(model, row.pk, "change"), {"detail": "forged"}).status_code == 403
    assert root.post(url(model, row.pk, "delete"), {"post": "yes"}).status_code == 403
    everything = {"action": "delete_selected", "_selected_action": [row.pk], "post": "yes"}
    root.post(url(model), everything)
    assert model._default_manager.count() == before
    assert model._default_manager.filter(pk=row.pk).exists()


def test_a_run_s_fields_cannot_be_written(root: Client, world: BotRun) -> None:
    root.post(url(BotRun, world.pk, "change"), {"status": "stopped", "capital": "1", "held": "0"})
    unchanged = BotRun.objects.get(pk=world.pk)
    assert (unchanged.status, unchanged.capital, unchanged.held) == (world.status, world.capital, world.held)
    assert root.get(url(BotRun, "add")).status_code == 403
    assert root.post(url(BotRun, world.pk, "delete"), {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("who", ["nobody", "user", "staff without a second factor"])
def test_nobody_else_gets_in(world: BotRun, who: str) -> None:
    browser = Client()
    if who != "nobody":
        person = User.objects.create_user("someone@example.com", "x" * 20, is_staff=who.startswith("staff"))
        browser.force_login(person)
    for model in admin.site._registry:
        answer = browser.get(url(model))
        assert answer.status_code in (302, 403), model
    act(browser, world, "halt")
    assert not TradingGate.objects.filter(state="HALTED").exists()


def act(browser: Client, run: BotRun, action: str) -> str:
    form = {"action": action, "_selected_action": [run.pk]}
    return browser.post(url(BotRun), form, follow=True).content.decode()


def test_actions_halt_and_resume(root: Client, world: BotRun) -> None:
    assert "Halt: 1 at level run." in act(root, world, "halt")
    gate = TradingGate.objects.get(level="run", target=world.pk)
    assert (gate.state, gate.actor.startswith("user:")) == ("HALTED", True)
    act(root, world, "resume_trading")
    gate.refresh_from_db()
    assert gate.state == "ACTIVE"
    actions = AuditEntry.objects.filter(subject=f"run:{world.pk}", actor_kind="user").values_list("action", flat=True)
    assert {"kill_switch.halt", "kill_switch.resume"} <= set(actions)


def test_action_stop_keeps_the_position(root: Client, world: BotRun) -> None:
    act(root, world, "stop_keep")
    stopped = BotRun.objects.get(pk=world.pk)
    assert (stopped.status, stopped.held) == (Status.STOPPED, world.held)
    assert world.held > 0


def test_action_stop_and_sell_sells_by_the_same_path(
    root: Client, world: BotRun, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("django.utils.timezone.now", lambda: stage.closes(6))
    act(root, world, "stop_close")
    rounds.whole_round(stage.closes(7))
    stopped = BotRun.objects.get(pk=world.pk)
    assert (stopped.status, stopped.held) == (Status.STOPPED, 0)
    assert Order.objects.first().purpose == "exit"


def test_action_settle_says_what_it_found(root: Client, world: BotRun) -> None:
    assert "0 orders looked at, 0 fills booked." in act(root, world, "settle_orders")


def test_action_resolve_wants_a_note_and_ends_a_case_once(root: Client, world: BotRun) -> None:
    case = Incident.objects.get()
    form = {"action": "resolve", "_selected_action": [case.pk]}
    page = root.post(url(Incident), {**form, "note": " "}, follow=True).content.decode()
    assert "Nothing was resolved." in page
    assert Incident.objects.get().resolved_at is None
    for note in ("It was the exchange.", "Again."):
        assert root.post(url(Incident), {**form, "note": note}, follow=True).status_code == 200
    case.refresh_from_db()
    assert (case.resolution, case.resolved_by) == (
        "It was the exchange.",
        f"user:{User.objects.get(email='root@example.com').pk}",
    )
    assert AuditEntry.objects.filter(action="case.resolved", subject=f"case:{case.pk}").count() == 1


def test_action_accept_is_for_balances(root: Client, world: BotRun) -> None:
    form = {"action": "accept", "_selected_action": [Incident.objects.get().pk], "note": "Fine."}
    page = root.post(url(Incident), form, follow=True).content.decode()
    assert "Only a balance can be taken" in page
    assert Incident.objects.get().resolved_at is None


def test_a_case_shows_its_evidence_and_takes_no_change(root: Client, world: BotRun) -> None:
    case = Incident.objects.get()
    page = root.get(url(Incident, case.pk, "change")).content.decode()
    assert "filled after the exchange had said that it ended" in page
    root.post(url(Incident, case.pk, "change"), {"detail": "Nothing happened."})
    assert Incident.objects.get().detail == "A fill came late."
    assert (
        "not compared"
        in root.post(url(Incident), {"action": "recheck", "_selected_action": [case.pk]}, follow=True).content.decode()
    )


def test_the_trade_list_shows_what_the_log_holds(root: Client, world: BotRun) -> None:
    page = root.get(url(TradeLog)).content.decode()
    shown = [Decimal(text.replace(",", "")) for text in re.findall(r'class="field-price[^"]*">([^<]+)', page)]
    assert shown == list(TradeLog.objects.values_list("price", flat=True))


def test_lists_ask_the_database_a_fixed_number_of_times(
    root: Client, world: BotRun, alice: User, stage: Stage, django_assert_max_num_queries: object
) -> None:
    for _ in range(10):
        start_run(alice)
    for index in range(6, 9):
        rounds.whole_round(stage.closes(index))
    for model in (BotRun, Order, Fill, TradeLog, Decision, TradingAccount, Arming, Incident):
        with django_assert_max_num_queries(12):  # type: ignore[operator]
            assert root.get(url(model)).status_code == 200
