"""Browsers of the cast, and a run that has bought and sold."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import User
from bots import rounds
from bots.models import BotRun
from bots.testing import Stage, start_run


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def alices(alice: User) -> Client:
    return browser(alice)


@pytest.fixture
def bobs(bob: User) -> Client:
    return browser(bob)


def play(stage: Stage, until: int) -> None:
    for index in range(until + 1):
        rounds.whole_round(stage.closes(index))


@pytest.fixture
def holding(alice: User, stage: Stage) -> BotRun:
    """Alice's run, which has bought."""
    run = start_run(alice)
    play(stage, 4)
    run.refresh_from_db()
    return run


@pytest.fixture
def traded(alice: User, stage: Stage) -> BotRun:
    """Alice's run, which has bought and sold."""
    run = start_run(alice)
    play(stage, 8)
    run.refresh_from_db()
    return run
