"""The tests' own surroundings: private servers, no network, no configuration from outside."""

import os
import socket
import tomllib

import psycopg
import pytest
import redis
from django.conf import settings

from tradingbot.tests.network import NetworkForbiddenError, is_local
from tradingbot.tests.places import NO_DATA, PROJECT
from tradingbot.tests.plugin import ALLOWED_SKIP


def test_configuration_from_outside_does_not_reach_the_tests():
    assert settings.VAR_DIR.name.startswith("tb-var-")
    assert settings.LIVE_TRADING is False
    assert settings.REDIS_URL == ""


def test_socket_beyond_loopback_is_refused():
    with socket.socket() as plug, pytest.raises(NetworkForbiddenError):
        plug.connect(("192.0.2.1", 80))
    with socket.socket() as plug, pytest.raises(NetworkForbiddenError):
        plug.connect_ex(("2001:db8::1", 80))
    with pytest.raises(NetworkForbiddenError):
        socket.create_connection(("exchange.example", 443))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost", b"localhost", None, ""])
def test_loopback_host_is_local(host):
    assert is_local(host)


@pytest.mark.parametrize("host", ["10.0.0.1", "0.0.0.0", "::", "example.org", b"8.8.8.8"])
def test_other_host_is_not_local(host):
    assert not is_local(host)


def test_postgres_server_is_real(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select current_setting('listen_addresses')").fetchone() == ("",)


def test_redis_server_is_real_and_empty(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.dbsize() == 0
        client.set("a", "b")
        assert client.info("server")["tcp_port"] == 0


def test_redis_server_forgets_what_an_earlier_test_left(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.get("a") is None


@pytest.mark.parametrize("reason", [NO_DATA, "recorded filters are not here", "no container engine on this machine"])
def test_skip_for_what_is_no_part_of_the_machine_is_allowed(reason):
    assert ALLOWED_SKIP.search(reason)


@pytest.mark.parametrize("reason", ["no Chromium on this machine", "no PostgreSQL server on this machine", "later"])
def test_skip_for_a_missing_part_is_not_allowed(reason):
    assert not ALLOWED_SKIP.search(reason)


def test_chromium_is_an_executable(chromium):
    assert os.access(chromium, os.X_OK)


def test_coverage_is_asked_of_every_core():
    tools = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    cores = [str(core.relative_to(PROJECT)) for core in PROJECT.glob("*/core")]
    assert sorted(tools["coverage"]["run"]["source"]) == sorted(cores)
