"""The cast of the bots' tests: alice owns runs, bob owns others, charlie nothing."""

from collections.abc import Callable, Iterator

import pytest

from accounts.models import User
from bots.testing import Stage, learn_strategies, make_user, scripted_candles, staged
from bots.tests.desk import Desk
from bots.tests.desk import desk as desk
from exchanges.models import ExchangeKey
from exchanges.vault import keyring

MakeStage = Callable[..., Stage]


@pytest.fixture
def alice(db: None) -> User:
    learn_strategies()
    return make_user("alice@example.com")


@pytest.fixture
def bob(db: None) -> User:
    return make_user("bob@example.com")


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A market whose candles 3 and 6 ask for an entry and an exit."""
    script = [0, 0, 0, 1, 0, 0, 2, 0, 0, 0]
    prices = [100, 101, 102, 103, 104, 105, 106, 107, 108, 109]
    with staged(Stage(scripted_candles(script, prices)), monkeypatch.setattr) as prepared:
        yield prepared


@pytest.fixture
def sealed(desk: Desk) -> None:
    """The desk's key under a master key that is configured, as the commands' system check wants it."""
    ExchangeKey.objects.update(key_id=keyring().primary_id)
