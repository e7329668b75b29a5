"""A repeated POST gets the first answer, and nothing happens twice."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection
from django.http import HttpResponse

from accounts.audit import CONSOLE
from bots import lifecycle
from bots.models import BotRun
from bots.testing import learn_strategies, make_user
from exchanges.core.errors import Unavailable
from tradingbot import idempotency
from tradingbot.models import IdempotencyRecord
from tradingbot.problems import Refusal
from tradingbot.tests.api_client import ApiClient, problem
from tradingbot.tests.api_world import make_run

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BODY = {"strategy": "rsi_cross", "symbol": "BTC/USDT", "timeframe": "1m", "exchange": "demo", "capital": "1000"}


@pytest.fixture
def alice(db):
    learn_strategies()
    return make_user("alice@example.com")


@pytest.fixture
def client(alice) -> ApiClient:
    return ApiClient(alice)


def start(client: ApiClient, key: str = "k1", **fields: str):
    return client.post("/bot/start", {**BODY, **fields}, Idempotency_Key=key)


def test_a_repetition_gets_the_first_answer(client):
    first, second = start(client), start(client)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first["Location"] == second["Location"] == f"/bot/status/{first.json()['bot_run_id']}"
    assert first["Content-Type"] == second["Content-Type"]
    assert ("Idempotent-Replay" in first, second["Idempotent-Replay"]) == (False, "true")
    assert BotRun.objects.count() == 1


def test_without_a_key_every_request_counts(client):
    assert client.post("/bot/start", BODY).json() != client.post("/bot/start", BODY).json()
    assert BotRun.objects.count() == 2
    assert IdempotencyRecord.objects.count() == 0


def test_another_key_is_another_request(client):
    assert start(client, "k1").json() != start(client, "k2").json()


def test_another_body_under_the_same_key_is_refused(client):
    start(client)
    problem(start(client, capital="1001"), 422, "idempotency_key_reused")
    assert BotRun.objects.count() == 1


def test_the_order_of_fields_and_spaces_do_not_make_another_body(client):
    first = start(client)
    turned = "{ " + ", ".join(f'"{name}": "{value}"' for name, value in reversed(BODY.items())) + "}"
    assert client.post("/bot/start", turned, Idempotency_Key="k1").json() == first.json()


def test_a_key_belongs_to_its_user_and_path(client, db):
    bob = ApiClient(make_user("bob@example.com"))
    run = start(client).json()["bot_run_id"]
    assert start(bob).json()["bot_run_id"] != run
    stopped = client.post("/bot/stop", {"bot_run_id": run}, Idempotency_Key="k1")
    assert stopped.json() == {"bot_run_id": run, "status": "stopped"}


def test_another_token_of_the_same_user_may_repeat(client, alice):
    assert start(ApiClient(alice)).json() == start(client).json()


def test_a_refusal_by_the_domain_is_an_answer_too(client, alice):
    run = make_run(alice)
    lifecycle.stop(run, "keep", NOW, CONSOLE)
    first = client.post(f"/api/v1/bot/{run.pk}/pause", None, Idempotency_Key="p")
    second = client.post(f"/api/v1/bot/{run.pk}/pause", None, Idempotency_Key="p")
    assert problem(first, 409, "wrong_status")["request_id"] != second["X-Request-ID"]
    assert (second.status_code, second["Idempotent-Replay"]) == (409, "true")
    assert second.content == first.content


def test_what_never_reached_the_domain_is_not_an_answer(client):
    problem(start(client, capital="much"), 422, "invalid")
    problem(client.post("/bot/start?color=red", BODY, Idempotency_Key="k1"), 422, "invalid_query")
    problem(start(ApiClient()), 401)
    assert start(client).status_code == 201


def test_a_failure_of_ours_is_forgotten(client, monkeypatch):
    def fail(*args: object) -> None:
        raise RuntimeError("now")

    with monkeypatch.context() as patched:
        patched.setattr(lifecycle, "start", fail)
        problem(start(client), 500)
    assert start(client).status_code == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "é", "x" * 256, "\t"])
def test_a_key_that_is_no_key_is_named(client, key):
    refused = problem(start(client, key), 422, "invalid_idempotency_key")
    assert refused["errors"][0]["loc"] == ["header", "Idempotency-Key"]
    assert BotRun.objects.count() == 0


def test_a_request_that_still_runs_is_a_conflict_until_it_must_be_dead(alice):
    def claim(at: datetime):
        return idempotency.claim(alice.pk, "/bot/start", "k", "hash", at)

    first, mine = claim(NOW)
    assert mine
    for seconds in (0, 1, 60):
        with pytest.raises(Refusal) as caught:
            claim(NOW + timedelta(seconds=seconds))
        assert caught.value.problem.status == 409
        assert caught.value.problem.headers["Retry-After"] == "1"
    second, mine = claim(NOW + timedelta(seconds=61))
    assert mine
    assert second.pk == first.pk


def test_who_was_given_up_does_not_answer_for_its_successor(alice):
    first, _ = idempotency.claim(alice.pk, "/p", "k", "hash", NOW)
    second, _ = idempotency.claim(alice.pk, "/p", "k", "hash", NOW + timedelta(seconds=61))
    idempotency.remember(first, HttpResponse("late", status=200))
    idempotency.remember(first, HttpResponse("late", status=500))
    assert IdempotencyRecord.objects.get().status is None
    idempotency.remember(second, HttpResponse("in time", status=201))
    assert IdempotencyRecord.objects.get().body == "in time"


def test_an_answer_is_remembered_for_a_day(alice):
    with time_machine.travel(NOW, tick=False) as clock:
        client = ApiClient(alice)
        first = start(client).json()
        clock.shift(timedelta(hours=23, minutes=59))
        assert start(client).json() == first
        clock.shift(timedelta(minutes=1))
        assert start(client).json() != first
    assert IdempotencyRecord.objects.count() == 1


def test_no_secret_is_kept(client, monkeypatch):
    def away(*args: object) -> None:
        raise Unavailable("No exchange in this test.")

    monkeypatch.setattr("exchanges.operations.open_unsaved", away)
    body = {
        "exchange": "binance",
        "api_key": "an api key of ours",
        "api_secret": "its long secret",
        "passphrase": "pp-1",
    }
    first = client.post("/exchange/keys", body, Idempotency_Key="k")
    assert first.status_code == 201, first.content
    assert client.post("/exchange/keys", body, Idempotency_Key="k").json() == first.json()
    kept = str(IdempotencyRecord.objects.values().get())
    assert not any(body[name] in kept for name in ("api_key", "api_secret", "passphrase"))
    problem(client.post("/exchange/keys", {**body, "api_secret": "another secret"}, Idempotency_Key="k"), 422)


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_starts_a_run():
    learn_strategies()
    client = ApiClient(make_user("alice@example.com"))
    gate, answers = threading.Barrier(4), []

    def repeat() -> None:
        gate.wait()
        try:
            answers.append(start(ApiClient(token=client.headers["Authorization"].removeprefix("Bearer "))))
        finally:
            connection.close()

    threads = [threading.Thread(target=repeat) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert BotRun.objects.count() == 1
    assert {answer.status_code for answer in answers} <= {201, 409, 503}
    assert 201 in {answer.status_code for answer in answers}
