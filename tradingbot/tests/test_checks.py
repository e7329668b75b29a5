"""Each mistake of configuration has its id, and a right configuration has none."""

import base64
import os
import re
import subprocess
import sys

import pytest
from django.core.checks.registry import registry

from tradingbot.checks import check_configuration, check_deployment, is_origin
from tradingbot.tests.places import PROJECT

KEY = bytes(range(32))


def ids(messages) -> list[str]:
    return [message.id.removeprefix("tradingbot.") for message in messages]


def test_configuration_of_the_tests_is_right():
    assert check_configuration() == []
    assert check_deployment() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"DEBUG": True, "HTTPS": True}, "E001"),
        ({"SECRET_KEY": base64.b64encode(KEY).decode(), "ENCRYPTION_KEYS": [KEY]}, "E002"),
        ({"ENCRYPTION_KEYS": [KEY, bytes(reversed(KEY)), KEY]}, "E003"),
        ({"CORS_ALLOWED_ORIGINS": ["https://app.example.org", "*"]}, "E004"),
        ({"ADMIN_PATH": "/"}, "E005"),
        ({"ADMIN_PATH": "app/admin/"}, "E005"),
        ({"ADMIN_PATH": "ad min/"}, "E005"),
        ({"EXCHANGE_OVERRIDES": {"binance": "x"}}, "E006"),
        ({"EXCHANGE_OVERRIDES": {"binance": {"apiKey": "x", "urls": {}}}}, "E007"),
    ],
)
def test_mistake_is_found_and_has_a_hint(settings, changes, expected):
    for name, value in changes.items():
        setattr(settings, name, value)
    messages = check_configuration()
    assert ids(messages) == [expected]
    assert messages[0].hint


def test_secret_that_others_may_read_is_found(settings, tmp_path):
    settings.VAR_DIR = tmp_path
    (tmp_path / "secrets").mkdir()
    for name, mode in (("good", 0o600), ("bad", 0o640)):
        (tmp_path / "secrets" / name).write_text("x")
        (tmp_path / "secrets" / name).chmod(mode)
    (message,) = check_configuration()
    assert message.id == "tradingbot.W001"
    assert message.msg.endswith("bad.")


def test_deployment_with_any_host_is_refused(settings):
    settings.ALLOWED_HOSTS = ["*"]
    assert ids(check_deployment()) == ["E008"]


def test_https_without_a_trusted_proxy_is_remarked(settings):
    settings.HTTPS = True
    assert ids(check_deployment()) == ["I001"]
    settings.TRUSTED_PROXIES = 1
    assert check_deployment() == []


@pytest.mark.parametrize("origin", ["https://app.example.org", "http://localhost:3000", "https://a-b.example"])
def test_origin_is_scheme_and_host(origin):
    assert is_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "https://*.example.org",
        "app.example.org",
        "https://app.example.org/",
        "https://a@b.example",
        "https://app.example.org:x",
        "ftp://app.example.org",
        "HTTPS://app.example.org",
        "",
    ],
)
def test_anything_else_is_no_origin(origin):
    assert not is_origin(origin)


def test_checks_are_registered():
    assert check_configuration in registry.get_checks()
    assert check_deployment in registry.get_checks(include_deployment_checks=True)
    assert check_deployment not in registry.get_checks()


def test_a_wrong_variable_is_one_line():
    result = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=PROJECT,
        env=os.environ | {"LOG_LEVEL": "loud"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert re.fullmatch(r"manage.py: LOG_LEVEL: Expected one of .*, was 'LOUD'.\n", result.stderr)


def test_deployment_check_is_clean_with_https():
    result = subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=PROJECT,
        env=os.environ | {"HTTPS": "on"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
