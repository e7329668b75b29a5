"""How a live run ends, by whatever door: sold or kept, settled first, and its key is free only afterwards."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from accounts.audit import CONSOLE
from bots import arming
from bots.models import BotRun, Decision
from exchanges.tests.loopback import Fault, Kind
from exchanges.tests.loopback.faults import http_error
from tradingbot.tests.api_client import ApiClient
from tradingbot.tests.journey.console import done, iso
from tradingbot.tests.journey.desk import (
    AFTER,
    DUST,
    ENTRY,
    Desk,
    add_key,
    open_exchange,
    play_script,
    start_live,
    trader,
)

pytestmark = pytest.mark.django_db
AT = AFTER * 10


@pytest.fixture
def desk(tmp_path: Path, settings: Any) -> Iterator[Desk]:
    """A live run that holds a position."""
    settings.LIVE_TRADING = True
    with open_exchange(tmp_path) as exchange:
        play_script(exchange)
        owner = trader()
        holding = Desk(exchange, start_live(owner, add_key(owner)))
        holding.through(0, ENTRY)
        yield holding


def ended(desk: Desk) -> BotRun:
    return BotRun.objects.get(pk=desk.run.pk)


def test_api_stop_with_close_sells_and_frees_the_key(desk: Desk) -> None:
    api = ApiClient(desk.run.user)
    key = desk.run.key_id
    assert api.delete(f"/exchange/keys/{key}").status_code == 409
    answer = api.post("/bot/stop", {"bot_run_id": desk.run.pk, "on_open_position": "close"})
    assert (answer.status_code, answer.json()["status"]) == (200, "stopping")
    assert desk.sides() == ["BUY"]

    desk.tick_at(desk.closes(ENTRY) + AT)

    assert desk.sides() == ["BUY", "SELL"]
    assert Decision.objects.filter(code="MANUAL_CLOSE").count() == 1
    assert (ended(desk).status, ended(desk).held < DUST) == ("stopped", True)
    desk.check(status="stopped")
    assert api.delete(f"/exchange/keys/{key}").status_code == 204
    desk.tick(ENTRY + 2)
    assert len(desk.sent()) == 2


def test_api_stop_keeps_the_position_at_the_exchange(desk: Desk) -> None:
    answer = ApiClient(desk.run.user).post("/bot/stop", {"bot_run_id": desk.run.pk})
    assert answer.json()["status"] == "stopped"
    desk.through(ENTRY + 1, ENTRY + 5)
    assert desk.sides() == ["BUY"]
    desk.check(status="stopped")


def test_console_stop_sells_at_once(desk: Desk) -> None:
    at = desk.closes(ENTRY) + AT
    desk.exchange.clock.set(at)
    assert done("bot_stop", desk.run.pk, "--close", "--at", iso(at))["status"] == "stopped"
    assert desk.sides() == ["BUY", "SELL"]
    desk.check(status="stopped")


def test_an_exit_in_doubt_is_settled_before_the_end(desk: Desk) -> None:
    at = desk.closes(ENTRY) + AT
    desk.exchange.clock.set(at)
    desk.exchange.faults.add(Fault(Kind.DROP_AFTER, "POST /api/v3/order"))
    desk.exchange.faults.add(http_error("GET /api/v3/order", 503), http_error("GET /api/v3/allOrders", 503))

    stopping = done("bot_stop", desk.run.pk, "--close", "--at", iso(at))["status"]

    assert (stopping, desk.sides()) == ("stopping", ["BUY", "SELL"])
    desk.exchange.faults.clear()
    desk.wait(10)
    assert ended(desk).status == "stopped"
    assert len(desk.sent()) == 2
    desk.check(status="stopped")


def test_flatten_sells_everything_and_ends_the_run(desk: Desk) -> None:
    at = desk.closes(ENTRY) + AT
    desk.exchange.clock.set(at)
    words = ["--level", "key", "--target", desk.run.key_id, "--reason", "enough", "--yes", "--at", iso(at)]
    gate = done("kill_switch", "flatten", *words)["gates"][0]
    assert (gate["level"], gate["state"]) == ("key", "REDUCING")
    desk.wait(5)
    assert desk.sides() == ["BUY", "SELL"]
    assert ended(desk).status == "stopped"
    desk.check(status="stopped")


def test_a_halt_holds_even_the_exit_and_resume_lets_it_go(desk: Desk) -> None:
    halt = {"level": "run", "target": desk.run.pk, "action": "halt", "reason": "drill"}
    api = ApiClient(desk.run.user)
    assert api.post("/api/v1/kill-switch", halt).status_code == 200
    desk.through(ENTRY + 1, ENTRY + 4)
    assert desk.sides() == ["BUY"]
    assert "TRADING_HALTED" in desk.story()
    assert api.post("/api/v1/kill-switch", halt | {"action": "resume", "reason": "over"}).status_code == 200
    desk.wait(25)
    assert desk.sides() == ["BUY", "SELL"]
    desk.check()


def test_disarming_ends_entries_and_leaves_exits(desk: Desk) -> None:

    arming.disarm(desk.run.key, "taken back", desk.closes(ENTRY), CONSOLE)
    desk.through(ENTRY + 1, ENTRY + 5)
    assert desk.sides() == ["BUY", "SELL"]
    desk.check()
