"""The cast of the rule sets' tests: Alice owns one, Bob owns nothing."""

import pytest

from accounts.tests import cast
from strategies.queries import rules


@pytest.fixture
def alice(db):
    return cast.user("alice@example.com")


@pytest.fixture
def bob(db):
    return cast.user("bob@example.com")


@pytest.fixture
def used(monkeypatch):
    """The ids of rule sets that something runs by."""
    ids = set()
    monkeypatch.setattr(rules, "users", [lambda rule_set: rule_set.pk in ids])
    return ids
