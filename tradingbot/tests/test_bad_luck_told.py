"""While an order is in doubt every face says so, nobody may enter again, and afterwards every face tells the end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from bots.models import BotRun, Incident, Order
from exchanges.tests.loopback import Fault, Kind
from exchanges.tests.loopback.faults import http_error
from tradingbot.tests.api_client import ApiClient
from tradingbot.tests.journey.console import done, manage
from tradingbot.tests.journey.desk import AFTER, ENTRY, Desk, add_key, open_exchange, play_script, start_live, trader

pytestmark = pytest.mark.django_db
#: Asks to enter on every candle.
EAGER = [0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]


@pytest.fixture
def desk(tmp_path: Path, settings: Any) -> Iterator[Desk]:
    """An entry whose answer was lost, at an exchange that does not say what became of it."""
    settings.LIVE_TRADING = True
    with open_exchange(tmp_path) as exchange:
        play_script(exchange, EAGER)
        owner = trader()
        doubtful = Desk(exchange, start_live(owner, add_key(owner)))
        doubtful.tick(0, 1)
        exchange.faults.add(Fault(Kind.DROP_AFTER, "POST /api/v3/order"))
        exchange.faults.add(*(http_error(f"GET /api/v3/{path}", 503, times=0) for path in ("order", "allOrders")))
        doubtful.tick(ENTRY)
        yield doubtful


def faces(desk: Desk) -> dict[str, Any]:
    """What the console, the API and the pages say of the one order's state."""
    order = Order.objects.get()
    owner = desk.run.user
    browser = Client()
    browser.force_login(owner)
    api = ApiClient(owner, "read").get(f"/api/v1/bot/{desk.run.pk}/orders").json()["items"][0]
    console = done("order_list", "--run", desk.run.pk)["items"][0]
    assert {name: console[name] for name in api} == api
    assert order.state in browser.get(f"/app/bots/{desk.run.pk}/?tab=orders").content.decode()
    life = browser.get(f"/app/orders/{order.pk}/").content.decode()
    assert all(event["to"] in life for event in api["events"])
    assert "No certain answer" in life
    return dict(api)


def test_doubt_is_told_at_every_face_and_lifts_with_the_truth(desk: Desk) -> None:
    told = faces(desk)
    assert (told["state"], told["events"][-1]["to"]) == ("UNKNOWN", "UNKNOWN")
    assert "no certain answer" in told["events"][-1]["cause"]

    desk.exchange.faults.clear()
    desk.settle()

    told = faces(desk)
    assert told["state"] == "FILLED"
    assert [event["to"] for event in told["events"]] == ["PLANNED", "SENDING", "UNKNOWN", "OPEN", "FILLED"]
    desk.check()


def test_nobody_enters_again_while_an_entry_is_in_doubt(desk: Desk) -> None:
    desk.through(ENTRY + 1, ENTRY + 4)
    assert len(desk.sent()) == 1
    run = BotRun.objects.get(pk=desk.run.pk)
    assert run.status == "running"
    assert run.status_reason
    assert Order.objects.get().state == "UNKNOWN"


def test_doubt_of_five_minutes_calls_a_person_and_ends_all_the_same(desk: Desk) -> None:
    began = desk.exchange.clock.now
    while desk.exchange.clock.now - began < AFTER * 180:
        desk.exchange.clock.advance(60)
        done("orders_reconcile", "--at", desk.exchange.clock.now.isoformat())
    assert [incident.kind for incident in Incident.objects.all()] == ["unresolved"]
    assert len(desk.sent()) == 1

    desk.exchange.faults.clear()
    desk.settle()

    assert desk.states() == ["FILLED"]
    assert desk.booked() == desk.executed() != []
    assert manage("order_list").code == 0
