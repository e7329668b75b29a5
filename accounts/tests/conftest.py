import pytest
from django.core.cache import cache
from django.test import Client

from accounts.models import User
from accounts.tests import cast


@pytest.fixture(autouse=True)
def _fresh_rate_limits():
    cache.clear()


@pytest.fixture
def alice(db) -> User:
    return cast.user("alice@example.com")


@pytest.fixture
def bob(db) -> User:
    return cast.user("bob@example.com")


@pytest.fixture
def staff(db) -> User:
    return cast.user("staff@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def alices(alice) -> Client:
    """Alice's browser, logged in by password."""
    client = Client()
    client.force_login(alice)
    return client
