"""Halt, reduce, flatten and resume, for the platform, a user, a key and a run, on all four faces alike."""

from typing import Any

import pytest
from django.test import Client

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from accounts.tests.cast import present_second_factor, totp
from bots import gates
from bots.core.risk import Gate
from bots.models import SWITCHED, BotRun, Level, TradingGate
from bots.situation import worst_gate
from bots.testing import START
from bots.tests.desk import Desk
from tradingbot.tests.api_client import ApiClient
from tradingbot.tests.journey.console import done

pytestmark = pytest.mark.usefixtures("sealed")
STATES = {"halt": Gate.HALTED, "reduce": Gate.REDUCING, "flatten": Gate.REDUCING, "resume": Gate.ACTIVE}
ADMIN_ACTIONS = {"resume": "resume_trading"}
EACH = [(level.value, action) for level in SWITCHED for action in STATES]
each = pytest.mark.parametrize(("level", "action"), EACH)


def target_of(run: BotRun, level: str) -> int:
    return {"platform": 0, "user": run.user_id, "key": run.key_id or 0, "run": run.pk}[level]


def staff(user: User) -> Client:
    User.objects.filter(pk=user.pk).update(is_staff=True, is_superuser=True)
    browser = Client()
    browser.force_login(User.objects.get(pk=user.pk))
    return browser


def by_page(desk: Desk, level: str, action: str) -> None:
    form = {"level": level, "target": target_of(desk.run, level) or "", "action": action, "reason": "A drill."}
    assert staff(desk.run.user).post("/app/risk/stop/", form).status_code == 302


def by_api(desk: Desk, level: str, action: str) -> None:
    caller = ApiClient(User.objects.get(pk=desk.run.user_id), *(["admin"] if level == "platform" else ["trade"]))
    body: dict[str, Any] = {"level": level, "action": action, "reason": "A drill."}
    if target := target_of(desk.run, level):
        body["target"] = target
    assert caller.post("/api/v1/kill-switch", body).status_code == 200


def by_admin(desk: Desk, level: str, action: str) -> None:
    browser = staff(desk.run.user)
    present_second_factor(browser, totp(User.objects.get(pk=desk.run.user_id)))
    form = {"action": ADMIN_ACTIONS.get(action, action), "_selected_action": [desk.run.pk], "level": level}
    assert browser.post("/admin/bots/botrun/", {**form, "reason": "A drill."}).status_code == 302


def by_command(desk: Desk, level: str, action: str) -> None:
    target = ["--target", target_of(desk.run, level)] if level != "platform" else []
    done("kill_switch", action, "--level", level, *target, "--reason", "A drill.", "--yes", "--at", START.isoformat())


def check(desk: Desk, level: str, action: str) -> None:
    """The row, the run it speaks for, the audit entry; and what flatten asks of the run."""
    gate = TradingGate.objects.get(level=level)
    assert (gate.target, gate.state, gate.reason) == (target_of(desk.run, level), STATES[action], "A drill.")
    run = BotRun.objects.get(pk=desk.run.pk)
    assert worst_gate(run)[0] == STATES[action]
    assert AuditEntry.objects.filter(action=f"kill_switch.{action}", subject=f"{level}:{gate.target}").exists()
    # At the console the flattened run has stopped already: it held nothing.
    assert run.status in (("stopping", "stopped") if action == "flatten" else ("running",))


@each
@pytest.mark.parametrize("by", [by_page, by_api, by_admin, by_command], ids=["page", "api", "admin", "command"])
def test_every_switch_works_on_every_face(desk: Desk, by: Any, level: str, action: str) -> None:
    if action == "resume":
        gates.switch(level, target_of(desk.run, level), "halt", "before", START, CONSOLE)
    by(desk, level, action)
    check(desk, level, action)


@pytest.mark.parametrize("by", [by_page, by_api, by_command], ids=["page", "api", "command"])
def test_nobody_switches_what_only_cases_hold(desk: Desk, by: Any) -> None:
    if by is by_page:
        form = {"level": "account", "target": desk.run.account_id, "action": "resume", "reason": "x"}
        assert staff(desk.run.user).post("/app/risk/stop/", form).status_code == 422
    elif by is by_api:
        body = {"level": "account", "target": desk.run.account_id, "action": "resume", "reason": "x"}
        assert ApiClient(desk.run.user, "admin", "trade").post("/api/v1/kill-switch", body).status_code == 422
    else:
        with pytest.raises(BaseException, match="invalid choice"):
            done("kill_switch", "resume", "--level", Level.ACCOUNT.value, "--target", desk.run.account_id)
    assert not TradingGate.objects.exists()
