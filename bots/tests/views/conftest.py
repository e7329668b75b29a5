"""Browsers of the cast, a real one among them, and a run that has bought and sold."""

from collections.abc import Iterator

import pytest
from django.core.cache import cache
from django.test import Client
from playwright.sync_api import Page, sync_playwright

from accounts.models import User
from bots import rounds
from bots.models import BotRun
from bots.testing import Stage, learn_strategies, make_user, start_run


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


@pytest.fixture
def owner(db: None) -> User:
    learn_strategies()
    return make_user("alice@example.com")


@pytest.fixture
def page(chromium: str, live_server, owner: User, monkeypatch) -> Iterator[Page]:
    """A window on a phone in which Alice is logged in; it fails for any word on the console."""
    # Playwright's synchronous interface owns an event loop in this thread.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    client = Client()
    client.force_login(owner)
    cookie = {"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}
    said: list[str] = []
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = browser.new_context(viewport={"width": 360, "height": 800}, base_url=live_server.url)
        context.add_cookies([cookie])
        window = context.new_page()
        window.on("console", lambda one: said.append(one.text) if one.type in {"error", "warning"} else None)
        window.on("pageerror", lambda error: said.append(str(error)))
        yield window
        browser.close()
    assert said == []
