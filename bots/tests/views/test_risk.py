import re

import pytest
from django.utils import timezone

from accounts.audit import CONSOLE
from accounts.models import AuditEntry
from accounts.tests.cast import present_second_factor, totp
from bots import gates, operations
from bots.models import BotRun, GateState, Status, TradingGate
from bots.queries import risk
from bots.reconcile import incidents

STOP = "/app/risk/stop/"


def text(response) -> str:
    return response.content.decode()


@pytest.mark.parametrize(
    ("action", "state"), [("halt", GateState.HALTED), ("reduce", GateState.REDUCING), ("flatten", GateState.REDUCING)]
)
def test_the_switch_is_engaged_with_its_reason(action, state, alices, alice, traded):
    answer = alices.post(STOP, {"level": "user", "action": action, "reason": "the news"})
    assert answer.url == "/app/risk/"
    gate = TradingGate.objects.get()
    assert (gate.level, gate.target, gate.state, gate.reason) == ("user", alice.pk, state, "the news")
    assert AuditEntry.objects.filter(action=f"kill_switch.{action}", actor=alice).exists()
    assert "the news" in text(alices.get("/app/risk/"))


def test_flattening_asks_the_bots_to_sell(alices, holding):
    alices.post(STOP, {"level": "user", "action": "flatten", "reason": "out"})
    holding.refresh_from_db()
    assert (holding.status, holding.close_requested) == (Status.STOPPING, True)


def test_the_dialog_shows_what_a_bot_in_error_holds(alices, holding):
    BotRun.objects.update(status=Status.ERROR)
    dialog = text(alices.get(STOP))
    assert "0 active bots, 1 open position:" in dialog


def test_trading_can_be_resumed(alices, alice, traded):
    gates.switch("user", alice.pk, "halt", "the news", timezone.now(), CONSOLE)
    assert "the news" in text(alices.get(STOP))
    alices.post(STOP, {"level": "user", "action": "resume", "reason": "calm again"})
    assert risk.gate_of("user", alice.pk).state == GateState.ACTIVE


def test_one_bot_alone_can_be_stopped(alices, traded):
    alices.post(STOP, {"level": "run", "target": traded.pk, "action": "halt", "reason": "odd"})
    assert TradingGate.objects.get().target == traded.pk


@pytest.mark.parametrize("wrong", [{"reason": " "}, {"action": "explode"}, {"level": "world"}])
def test_a_wrong_form_stops_nothing_and_says_why(wrong, alices, traded):
    answer = alices.post(STOP, {"level": "user", "action": "halt", "reason": "x", **wrong})
    assert answer.status_code == 422
    assert 'role="alert"' in text(answer)
    assert not TradingGate.objects.exists()


def checked(page: str, name: str) -> str:
    return re.search(rf'name="{name}" value="([^"]*)" checked', page)[1]


def test_a_form_sent_back_still_speaks_for_the_one_bot(alices, traded):
    answer = alices.post(STOP, {"level": "run", "target": traded.pk, "action": "reduce", "reason": " "})
    page = text(answer)
    assert '<option value="run" selected>' in page
    assert f'list="kill-targets" value="{traded.pk}"' in page
    assert checked(page, "action") == "reduce"
    assert 'id="error-summary"' in page


@pytest.mark.parametrize("target", ["", "999"])
def test_a_bot_that_is_not_there_is_said_beside_what_was_typed(target, alices, traded):
    answer = alices.post(STOP, {"level": "run", "target": target, "action": "halt", "reason": "the news"})
    assert answer.status_code == 422
    assert "Expected the number of a bot of yours." in text(answer)
    assert 'value="the news"' in text(answer)
    assert not TradingGate.objects.exists()


@pytest.mark.parametrize("page", ["/app/", "/app/bots/", "/app/strategies/", "/app/keys/", "/app/nothing/"])
def test_the_switch_is_two_taps_away_on_every_page(page, alices):
    assert f'href="{STOP}"' in text(alices.get(page))
    dialog = text(alices.get(STOP, HTTP_HX_REQUEST="true"))
    assert 'value="halt" checked' in dialog
    assert 'value="Stopped by hand"' in dialog
    assert "<html" not in dialog


def test_the_page_shows_use_limits_and_cases(alices, alice, holding):
    limits = {"max_exposure": "5000", "max_position_notional": "500"}
    operations.set_limits("user", alice.pk, limits, timezone.now(), CONSOLE)
    incidents.tell(holding.account, "overfill", "order:1", "1 or 2?", {"order": 1}, timezone.now())
    page = text(alices.get("/app/risk/"))
    assert "Max exposure" in page
    assert "5,000.00" in page
    assert "1 or 2?" in page
    assert "<meter" in page


def test_limits_are_changed_behind_a_second_factor(alices, alice):
    present_second_factor(alices, totp(alice))
    page = "/app/risk/limits/"
    assert "Max daily loss" in text(alices.get(page))
    assert alices.post(page, {"max_daily_loss": "50"}).url == "/app/risk/"
    assert risk.limits_at("user", alice.pk) == {"max_daily_loss": "50"}
    refused = alices.post(page, {"max_daily_loss": "-50"})
    assert refused.status_code == 422
    assert "#id_max_daily_loss" in text(refused)
    assert risk.limits_at("user", alice.pk) == {"max_daily_loss": "50"}
