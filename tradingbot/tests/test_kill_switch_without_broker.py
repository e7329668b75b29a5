"""The kill switch needs nothing but the database: with a Redis that is gone it is engaged by API, page and command."""

from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client

from accounts.models import User
from bots.models import TradingGate
from bots.testing import learn_strategies, make_user
from tradingbot.tests.api_client import ApiClient

pytestmark = pytest.mark.django_db


@pytest.fixture
def no_redis(tmp_path: Path, settings: Any) -> None:
    nobody = f"unix://{tmp_path}/nobody.sock"
    settings.REDIS_URL = nobody
    options = {"socket_timeout": 1, "socket_connect_timeout": 1}
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": nobody, "OPTIONS": options}
    settings.CACHES = {"default": redis}


@pytest.fixture
def owner(no_redis: None) -> User:
    learn_strategies()
    return make_user()


def state() -> str:
    return TradingGate.objects.get().state


@pytest.mark.parametrize(("action", "expected"), [("halt", "HALTED"), ("reduce", "REDUCING"), ("flatten", "REDUCING")])
def test_the_api_stops_trading(owner: User, action: str, expected: str) -> None:
    body = {"level": "user", "action": action, "reason": "Redis is gone."}
    answer = ApiClient(owner).post("/api/v1/kill-switch", body)
    assert (answer.status_code, state()) == (200, expected)


def test_the_page_stops_trading(owner: User) -> None:
    client = Client()
    client.force_login(owner)
    answer = client.post("/app/risk/stop/", {"level": "user", "action": "halt", "reason": "Redis is gone."})
    assert answer.status_code in {200, 302}
    assert state() == "HALTED"


def test_the_command_stops_trading(owner: User) -> None:
    call_command("kill_switch", "halt", "--reason", "Redis is gone.")
    assert state() == "HALTED"
