"""Exchange keys over the API, against an exchange that answers over HTTP."""

from pathlib import Path
from typing import Any

import pytest

from accounts.models import User
from bots.models import BotRun, TradingAccount
from bots.testing import START, Stage, start_run
from exchanges.models import ExchangeKey
from exchanges.tests.loopback import API_KEY, API_SECRET, LoopbackExchange
from exchanges.tests.loopback.wiring import in_place_of_binance
from tradingbot.tests.api_client import ApiClient, fields, problem
from tradingbot.tests.api_world import make_key

BODY = {"exchange": "binance", "api_key": API_KEY, "api_secret": API_SECRET, "label": "main"}
KEY_FIELDS = {
    "id", "exchange", "label", "api_key_hint", "permissions", "can_withdraw", "ip_restricted", "created_at",
    "last_checked_at",
}  # fmt: skip


@pytest.fixture
def binance(tmp_path: Path) -> Any:
    with in_place_of_binance(tmp_path / "books.sqlite3") as exchange:
        yield exchange


@pytest.fixture
def api(alice: User) -> ApiClient:
    return ApiClient(alice)


def test_a_key_is_added_listed_and_deleted(api: ApiClient, binance: LoopbackExchange) -> None:
    added = api.post("/exchange/keys", BODY)
    assert added.status_code == 201, added.content
    key = added.json()
    assert key.keys() == KEY_FIELDS
    assert (key["permissions"], key["can_withdraw"], key["api_key_hint"]) == ("trade", False, API_KEY[-4:])
    assert API_SECRET not in added.content.decode()
    assert api.get("/exchange/keys/me").json() == {"items": [key], "next": None}
    deleted = api.delete(f"/exchange/keys/{key['id']}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert api.get("/exchange/keys/me").json()["items"] == []
    row = ExchangeKey.objects.get()
    assert (row.encrypted_key, row.encrypted_secret) == ("", "")
    assert row.deleted_at is not None
    problem(api.delete(f"/exchange/keys/{key['id']}"), 404)


def test_a_key_that_can_withdraw_is_never_stored(api: ApiClient, binance: LoopbackExchange) -> None:
    binance.open_account(API_KEY, API_SECRET, enableWithdrawals=True)
    problem(api.post("/exchange/keys", BODY), 422, "key_can_withdraw")
    assert ExchangeKey.objects.count() == 0


def test_a_key_that_the_exchange_refuses_is_not_stored(api: ApiClient, binance: LoopbackExchange) -> None:
    problem(api.post("/exchange/keys", {**BODY, "api_secret": "not its secret"}), 422, "key_refused")
    assert ExchangeKey.objects.count() == 0


def test_a_key_is_added_once(api: ApiClient, binance: LoopbackExchange) -> None:
    api.post("/exchange/keys", BODY)
    problem(api.post("/exchange/keys", BODY), 409, "key_exists")
    assert ExchangeKey.objects.count() == 1


def test_an_exchange_that_is_down_leaves_the_key_unverified(api: ApiClient, binance: LoopbackExchange) -> None:
    binance.stop_listening()
    key = api.post("/exchange/keys", BODY).json()
    assert (key["permissions"], key["can_withdraw"], key["last_checked_at"]) == ("unverified", None, None)


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"exchange": "mtgox"}, "body.exchange"),
        ({"api_key": "short"}, "body.api_key"),
        ({"api_secret": ""}, "body.api_secret"),
        ({"api_secret": None}, "body.api_secret"),
        ({"label": "x" * 81}, "body.label"),
        ({"exchange": "kucoin"}, "body.passphrase"),
        ({"owner": 1}, "body.owner"),
        ({"permissions": "trade"}, "body.permissions"),
    ],
)
def test_what_is_wrong_with_a_key_is_named(api: ApiClient, changed: dict[str, Any], place: str) -> None:
    assert place in fields(problem(api.post("/exchange/keys", {**BODY, **changed}), 422))
    assert ExchangeKey.objects.count() == 0


def test_a_key_in_use_stays(api: ApiClient, alice: User, stage: Stage) -> None:
    key, run = make_key(alice), start_run(alice)
    account = TradingAccount.objects.create(owner=alice, mode="live", exchange="binance", key=key)
    BotRun.objects.filter(pk=run.pk).update(mode="live", key=key, account=account)
    problem(api.delete(f"/exchange/keys/{key.pk}"), 409, "key_in_use")
    BotRun.objects.filter(pk=run.pk).update(status="error")
    problem(api.delete(f"/exchange/keys/{key.pk}"), 409, "key_in_use")
    assert ExchangeKey.objects.get().encrypted_secret
    BotRun.objects.filter(pk=run.pk).update(status="stopped", stopped_at=START)
    assert api.delete(f"/exchange/keys/{key.pk}").status_code == 204
