import io
import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from django.core.management import call_command

from accounts.auth import caller_of
from accounts.management.base import Failure
from accounts.models import ApiToken, AuditEntry, User
from accounts.tests.cast import NOW, PASSWORD
from tradingbot.tests.places import PROJECT

pytestmark = pytest.mark.django_db
AT = "2026-03-01T12:00:00Z"


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def typed(monkeypatch):
    def put(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return put


def test_user_is_made_with_the_password_from_stdin(typed):
    typed(f"{PASSWORD}\r\n")
    answer = json.loads(run("user_create", "Alice@example.com", "--staff", "--json", "--at", AT))
    user = User.objects.get()
    assert answer == {"id": user.pk, "email": "alice@example.com", "is_staff": True, "created_at": AT}
    assert user.check_password(PASSWORD)
    assert AuditEntry.objects.get().actor_kind == "console"


def test_user_is_told_in_one_line(typed):
    typed(PASSWORD)
    out = run("user_create", "alice@example.com")
    assert out == f"User {User.objects.get().pk}: alice@example.com\n"
    assert PASSWORD not in out


@pytest.mark.parametrize(
    ("email", "password"), [("alice", PASSWORD), ("a@example.com", "short"), ("a@example.com", "")]
)
def test_bad_user_exits_with_4(typed, email, password):
    typed(password)
    with pytest.raises(Failure) as caught:
        run("user_create", email)
    assert caught.value.returncode == 4
    assert not User.objects.exists()


def test_second_user_of_an_address_exits_with_4(typed, alice):
    typed(PASSWORD)
    with pytest.raises(Failure, match="has an account") as caught:
        run("user_create", alice.email)
    assert caught.value.returncode == 4


def test_token_is_printed_once_and_works(alice):
    options = ("--scopes", "trade, read", "--expires", "30d", "--label", "cron", "--json", "--at", AT)
    answer = json.loads(run("token_create", "ALICE@example.com", *options))
    token = ApiToken.objects.get()
    assert set(answer) == {"token", "prefix", "scopes", "expires_at"}
    assert (answer["prefix"], answer["scopes"]) == (token.prefix, ["read", "trade"])
    assert answer["expires_at"] == "2026-03-31T12:00:00Z"
    assert (token.label, token.expires_at) == ("cron", NOW + timedelta(days=30))
    assert caller_of(answer["token"], None, NOW).user == alice


def test_token_without_expiry_is_valid_until_revoked(alice):
    text = run("token_create", alice.email, "--scopes", "read", "--allow-ip", "192.0.2.0/24").strip()
    token = ApiToken.objects.get()
    assert (token.expires_at, token.allowed_ips) == (None, ["192.0.2.0/24"])
    assert caller_of(text, "192.0.2.9", NOW + timedelta(days=10_000)) is not None


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("nobody@example.com", "--scopes", "read"), 3, "nobody@example.com"),
        (("alice@example.com", "--scopes", "read,write"), 4, "'write'"),
        (("alice@example.com", "--scopes", ","), 4, "was none"),
        (("alice@example.com", "--scopes", "read", "--label", "x" * 81), 4, "label"),
        (("alice@example.com", "--scopes", "read", "--allow-ip", "x"), 4, "allowed_ips"),
    ],
)
def test_bad_token_exits_with_its_code_and_makes_nothing(alice, arguments, code, text):
    with pytest.raises(Failure, match=text) as caught:
        run("token_create", *arguments)
    assert caught.value.returncode == code
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    "arguments", [["token_create"], ["token_create", "a@example.com", "--scopes", "read", "--expires", "soon"]]
)
def test_usage_error_exits_with_2(arguments):
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False, env=os.environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert "usage:" in done.stderr
