"""Keys from the operator's console: the API's field names, exit codes, and no secret on any stream."""

import io
import json
import sys
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import override_settings

from accounts.models import User
from accounts.tests.cast import user
from exchanges.models import ExchangeKey
from exchanges.tests.conftest import AT
from exchanges.tests.loopback import API_KEY, API_SECRET, LoopbackExchange
from exchanges.tests.loopback.faults import http_error

pytestmark = pytest.mark.django_db
EMAIL = "alice@example.com"
KEY = json.dumps({"api_key": API_KEY, "api_secret": API_SECRET})
FIELDS = {
    "id", "exchange", "label", "api_key_hint", "permissions", "can_withdraw", "ip_restricted", "created_at",
    "last_checked_at",
}  # fmt: skip


@pytest.fixture
def alice() -> User:
    return user(EMAIL)


def run(monkeypatch: pytest.MonkeyPatch, name: str, *args: str, stdin: str = "") -> Any:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
    call_command(name, *args, "--json", stdout=out)
    return json.loads(out.getvalue())


def code_of(monkeypatch: pytest.MonkeyPatch, name: str, *args: str, stdin: str = "") -> tuple[int, str]:
    with pytest.raises(CommandError) as failure:
        run(monkeypatch, name, *args, stdin=stdin)
    return failure.value.returncode, str(failure.value)


def test_added_key_is_shown_with_the_fields_of_the_api(
    loopback: LoopbackExchange, alice: User, monkeypatch: pytest.MonkeyPatch
):
    at = ("--at", AT.isoformat())
    added = run(monkeypatch, "key_add", EMAIL, "binance", "--label", "main", *at, stdin=KEY)

    assert set(added) == FIELDS
    assert (added["permissions"], added["can_withdraw"], added["created_at"]) == (
        "trade",
        False,
        "2024-02-01T10:00:01Z",
    )
    assert run(monkeypatch, "key_list", EMAIL) == {"items": [added], "next": None}
    assert run(monkeypatch, "key_list")["items"][0]["id"] == added["id"]
    assert run(monkeypatch, "key_check", str(added["id"]), *at)["permissions"] == "trade"


def test_lines_for_a_person_hold_no_secret(loopback: LoopbackExchange, alice: User, monkeypatch: pytest.MonkeyPatch):
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(KEY))
    call_command("key_add", EMAIL, "binance", "--at", AT.isoformat(), stdout=out)
    call_command("key_list", stdout=out)

    assert out.getvalue().count(f"…{API_KEY[-4:]}") == 2
    assert API_KEY not in out.getvalue()
    assert API_SECRET not in out.getvalue()


@pytest.mark.parametrize(
    "stdin",
    ["", "not json", "[]", "{}", '{"api_key": "k"}', '{"api_key": 1, "api_secret": "s"}',
     '{"api_key": "kkkkkkkk", "api_secret": "ssssssss", "more": "x"}', '{"api_key": "k", "api_secret": "s"}'],
)  # fmt: skip
def test_malformed_stdin_is_invalid(
    loopback: LoopbackExchange, alice: User, monkeypatch: pytest.MonkeyPatch, stdin: str
):
    code, text = code_of(monkeypatch, "key_add", EMAIL, "binance", stdin=stdin)

    assert code == 4
    assert "\n" not in text
    assert not ExchangeKey.objects.exists()


def test_failures_have_their_exit_codes(loopback: LoopbackExchange, alice: User, monkeypatch: pytest.MonkeyPatch):
    at = ("--at", AT.isoformat())
    assert code_of(monkeypatch, "key_add", "nobody@example.com", "binance", stdin=KEY)[0] == 3
    assert code_of(monkeypatch, "key_add", EMAIL, "nope", stdin=KEY)[0] == 4
    loopback.open_account(API_KEY, API_SECRET, enableWithdrawals=True)
    assert code_of(monkeypatch, "key_add", EMAIL, "binance", *at, stdin=KEY)[0] == 5
    loopback.open_account(API_KEY, API_SECRET)
    key = run(monkeypatch, "key_add", EMAIL, "binance", *at, stdin=KEY)
    assert code_of(monkeypatch, "key_add", EMAIL, "binance", *at, stdin=KEY)[0] == 4
    assert code_of(monkeypatch, "key_check", "99999", *at)[0] == 3
    loopback.faults.add(http_error("GET /sapi", 502))
    assert code_of(monkeypatch, "key_check", str(key["id"]), *at)[0] == 6


def test_rotation_says_what_it_did(loopback: LoopbackExchange, alice: User, monkeypatch: pytest.MonkeyPatch):
    old, new = bytes(range(32)), bytes(range(32, 64))
    with override_settings(ENCRYPTION_KEYS=[old]):
        run(monkeypatch, "key_add", EMAIL, "binance", "--at", AT.isoformat(), stdin=KEY)
    with override_settings(ENCRYPTION_KEYS=[new, old]):
        dry = run(monkeypatch, "key_rotate", "--dry-run")
        done = run(monkeypatch, "key_rotate", "--batch", "1")

    assert (dry["rotated"], dry["remaining"], dry["dry_run"]) == (1, 1, True)
    assert (done["rotated"], done["remaining"], done["unreadable"]) == (1, 0, [])
    assert code_of(monkeypatch, "key_rotate", "--batch", "0")[0] == 2


def test_rotation_without_the_old_key_fails_and_names_the_rows(
    loopback: LoopbackExchange, alice: User, monkeypatch: pytest.MonkeyPatch
):
    with override_settings(ENCRYPTION_KEYS=[bytes(range(32))]):
        key = run(monkeypatch, "key_add", EMAIL, "binance", "--at", AT.isoformat(), stdin=KEY)
    with override_settings(ENCRYPTION_KEYS=[bytes(range(32, 64))]):
        code, text = code_of(monkeypatch, "key_rotate")

    assert code == 1
    assert str(key["id"]) in text
