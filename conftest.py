"""Fixtures for every app: real servers, a real browser, and a database that behaves as in production."""

import contextlib
import os
import shutil
from collections.abc import Iterator

import pytest
import redis

from tradingbot.tests import servers
from tradingbot.tests.plugin import POSTGRES


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    tmp_path_factory: pytest.TempPathFactory, django_db_modify_db_settings_parallel_suffix: None
) -> None:
    """SQLite in a file, as in production: in memory, two connections would lock each other out."""
    from django.conf import settings

    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        database["TEST"]["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")
        # Nobody pulls the plug of a test database.
        database["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> None:
    """Argon2 as in production, at the least cost it knows."""
    from django.conf import settings

    settings.PASSWORD_HASHERS = ["tradingbot.tests.hashers.QuickArgon2", *settings.PASSWORD_HASHERS[1:]]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL server (its database `postgres`)."""
    with contextlib.ExitStack() as stack:
        yield os.environ.get(POSTGRES) or started(stack, servers.postgres())


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    with contextlib.ExitStack() as stack:
        yield started(stack, servers.redis_server())


def started(stack: contextlib.ExitStack, server: contextlib.AbstractContextManager[str]) -> str:
    try:
        return stack.enter_context(server)
    except servers.MissingPartError as error:
        pytest.skip(str(error))


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """The URL of a real, empty Redis or Valkey server."""
    with redis.Redis.from_url(redis_server) as client:
        client.flushall()
    return redis_server


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of an installed Chromium."""
    for name in (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    pytest.skip("no Chromium on this machine")
