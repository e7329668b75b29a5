"""Pausing, resuming, and what a run decided, ordered and was filled."""

from decimal import Decimal as D

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from bots import lifecycle, rounds
from bots.models import BotRun
from bots.testing import START, Stage, start_run
from tradingbot.tests.api_client import ApiClient, fields, problem


@pytest.fixture
def api(alice: User) -> ApiClient:
    return ApiClient(alice)


@pytest.fixture
def traded(alice: User, stage: Stage) -> BotRun:
    run = start_run(alice)
    for index in range(len(stage.candles) - 1):
        rounds.whole_round(stage.closes(index))
    run.refresh_from_db()
    return run


def test_a_run_is_paused_and_resumed_once_however_often(api: ApiClient, traded: BotRun) -> None:
    for word, status in (("pause", "paused"), ("pause", "paused"), ("resume", "running"), ("resume", "running")):
        answer = api.post(f"/api/v1/bot/{traded.pk}/{word}")
        assert answer.json() == {"bot_run_id": traded.pk, "status": status}
    assert list(AuditEntry.objects.filter(action__in=["run.paused", "run.resumed"]).values_list("action")) == [
        ("run.resumed",),
        ("run.paused",),
    ]


def test_a_stopped_run_stays_stopped(api: ApiClient, traded: BotRun) -> None:
    lifecycle.stop(traded, "keep", START, CONSOLE)
    for word in ("pause", "resume"):
        problem(api.post(f"/api/v1/bot/{traded.pk}/{word}"), 409, "wrong_status")
    traded.refresh_from_db()
    assert traded.status == "stopped"


def test_the_journal_is_newest_first_and_paged(api: ApiClient, traded: BotRun) -> None:
    path = f"/api/v1/bot/{traded.pk}/decisions"
    rows = api.get(path).json()["items"]
    assert [row["code"] for row in rows][::-1][:4] == ["NO_SIGNAL", "NO_SIGNAL", "NO_SIGNAL", "SIGNAL_BUY"]
    assert rows[0].keys() >= {"at", "candle_opened_at", "action", "code", "reason", "confidence", "indicators"}
    assert rows[0]["indicators"] == {"volume": 0.0}
    first = api.get(f"{path}?limit=4").json()
    second = api.get(f"{path}?limit=500&cursor={first['next']}").json()
    assert first["items"] + second["items"] == rows
    assert second["next"] is None
    assert fields(problem(api.get(f"{path}?limit=501"), 422)) == ["query.limit"]


def test_an_order_shows_every_change_of_its_state(api: ApiClient, traded: BotRun) -> None:
    sell, buy = api.get(f"/api/v1/bot/{traded.pk}/orders").json()["items"]
    assert sell.keys() >= {
        "client_order_id", "exchange_order_id", "purpose", "side", "type", "amount", "price", "state", "filled",
        "average", "created_at", "events",
    }  # fmt: skip
    assert (buy["purpose"], buy["side"], buy["state"]) == ("entry", "buy", "FILLED")
    assert buy["filled"] == buy["amount"] != "0"
    assert buy["average"] == "104"
    assert all(event.keys() == {"at", "from", "to", "cause"} for event in buy["events"])
    reached, left = ([event[word] for event in buy["events"]] for word in ("to", "from"))
    assert (reached[0], reached[-1]) == ("PLANNED", "FILLED")
    assert left[1:] == reached[:-1]


def test_fills_are_the_executions(api: ApiClient, traded: BotRun) -> None:
    sell, buy = api.get(f"/api/v1/bot/{traded.pk}/fills").json()["items"]
    assert (buy["side"], buy["price"], sell["side"], sell["price"]) == ("buy", "104", "sell", "107")
    assert D(buy["amount"]) > 0
    orders = {order["client_order_id"] for order in api.get(f"/api/v1/bot/{traded.pk}/orders").json()["items"]}
    assert {buy["order_client_id"], sell["order_client_id"]} == orders


@pytest.mark.parametrize("what", ["decisions", "orders", "fills"])
def test_a_page_takes_few_statements(api: ApiClient, traded: BotRun, what: str) -> None:
    api.get(f"/api/v1/bot/{traded.pk}/{what}")
    with CaptureQueriesContext(connection) as captured:
        api.get(f"/api/v1/bot/{traded.pk}/{what}")
    assert len(captured) <= 4
