"""Limits of the platform, a user, a key and a run: set on each face that may, the tightest wins; arming by command."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from decimal import Decimal as D
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from django.db import connections
from django.test import Client

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from accounts.tests.cast import present_second_factor, totp
from bots import operations
from bots.core.limits import Limits
from bots.models import SWITCHED, Arming, Level, RiskLimits
from bots.situation import limits_of
from bots.testing import START
from bots.tests.desk import Desk
from bots.tests.test_switch_faces import staff, target_of
from tradingbot.tests.api_client import ApiClient, problem
from tradingbot.tests.journey.console import done, manage

pytestmark = pytest.mark.usefixtures("sealed")
LEVELS = [level.value for level in SWITCHED]


def by_page(desk: Desk, level: str, limit: str) -> None:
    browser = staff(desk.run.user)
    present_second_factor(browser, totp(User.objects.get(pk=desk.run.user_id)))
    page = f"/app/risk/limits/?level={level}&target={target_of(desk.run, level)}"
    assert browser.get(page).status_code == 200
    assert browser.post(page, {"max_daily_loss": limit}).status_code == 302


def by_command(desk: Desk, level: str, limit: str) -> None:
    target = ["--target", target_of(desk.run, level)] if level != "platform" else []
    done("limit_set", f'{{"max_daily_loss": "{limit}"}}', "--level", level, *target, "--yes")


@pytest.mark.parametrize("by", [by_page, by_command], ids=["page", "command"])
@pytest.mark.parametrize("level", LEVELS)
def test_limits_are_set_at_every_level(desk: Desk, by: Any, level: str) -> None:
    by(desk, level, "50")
    row = RiskLimits.objects.get()
    assert (row.level, row.target, row.limits) == (level, target_of(desk.run, level), {"max_daily_loss": "50"})
    assert limits_of(desk.run).max_daily_loss == 50
    assert AuditEntry.objects.get(action="limits.set").subject == f"{level}:{row.target}"


@pytest.mark.parametrize("tightest", LEVELS)
def test_the_tightest_level_wins(desk: Desk, tightest: str) -> None:
    for level in LEVELS:
        by_command(desk, level, "10" if level == tightest else "70")
    assert limits_of(desk.run).max_daily_loss == D(10)
    assert [item["level"] for item in done("limit_list")["items"]] == sorted(LEVELS)


@pytest.mark.parametrize("level", ["user", "key", "run"])
def test_a_token_tightens_ones_own_and_loosens_nothing(desk: Desk, bob: User, level: str) -> None:
    body = {"level": level, "target": target_of(desk.run, level), "limits": {"max_daily_loss": "50"}}
    mine = ApiClient(desk.run.user)
    assert mine.put("/api/v1/risk", body).status_code == 200
    problem(mine.put("/api/v1/risk", {**body, "limits": {"max_daily_loss": "51"}}), 403, "step_up_required")
    problem(ApiClient(bob).put("/api/v1/risk", body), 404)
    assert RiskLimits.objects.get().limits == {"max_daily_loss": "50"}


@pytest.mark.parametrize(("level", "target"), [("platform", 0), ("key", 1), ("run", 1), ("account", 1), ("run", 2**80)])
def test_the_page_is_for_ones_own_and_the_platforms_for_staff(
    desk: Desk, bob: User, client: Client, level: str, target: int
) -> None:
    client.force_login(bob)
    present_second_factor(client, totp(bob))
    assert client.post(f"/app/risk/limits/?level={level}&target={target}", {"max_daily_loss": "1"}).status_code == 404
    assert not RiskLimits.objects.exists()


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (("{}",), 5),
        (("{}", "--level", "run", "--yes"), 2),
        (("{}", "--level", "run", "--target", "999", "--yes"), 3),
        (('{"color": 1}', "--yes"), 4),
        (("[]", "--yes"), 2),
    ],
)
def test_what_the_console_refuses_sets_nothing(desk: Desk, given: tuple[str, ...], code: int) -> None:
    assert manage("limit_set", *given).code == code
    assert not RiskLimits.objects.exists()


def test_arming_is_shown_taken_back_and_given_at_the_console(desk: Desk) -> None:
    user, key = desk.run.user, desk.run.key_id
    at = ["--at", START.isoformat()]
    (shown,) = done("arming_list", user.email, *at)["items"]
    assert (shown["exchange_key_id"], shown["permit"], shown["active_runs"]) == (key, "GRANTED", 1)
    assert done("key_disarm", key, *at) == {"exchange_key_id": key, "disarmed": True}
    assert done("key_disarm", key, *at)["disarmed"] is False
    assert done("arming_list", user.email, *at)["items"][0]["permit"] == "NOT_ARMED"
    assert manage("key_arm", key, *at).code == 5
    assert done("key_arm", key, "--yes", *at)["exchange_key_id"] == key
    assert Arming.objects.get(dropped_at=None).by == "console"
    assert "GRANTED" in manage("arming_list", user.email, *at).out


def tightened_twice_at_once(user: User) -> None:
    """Two callers who tighten at once: the second is held against what the first has set, and not before."""
    operations.set_limits(Level.USER, user.pk, {"max_daily_loss": "100"}, START, CONSOLE)
    together, seen = Barrier(2), []

    def permit(before: Limits, after: Limits) -> None:
        seen.append(before.max_daily_loss)
        with suppress(BrokenBarrierError):
            together.wait(1.5)

    def put(limit: str) -> None:
        try:
            operations.set_limits(Level.USER, user.pk, {"max_daily_loss": limit}, START, CONSOLE, permit)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(put, ["50", "80"]))
    assert seen in ([D(100), D(50)], [D(100), D(80)])


@pytest.mark.django_db(transaction=True)
def test_who_tightens_is_held_against_what_stands(desk: Desk) -> None:
    tightened_twice_at_once(desk.run.user)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_who_tightens_is_held_against_what_stands_on_postgresql(desk: Desk) -> None:
    tightened_twice_at_once(desk.run.user)
