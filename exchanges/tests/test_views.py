"""The key pages, against an exchange that answers over HTTP."""

from collections.abc import Iterator

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from accounts.tests.cast import present_second_factor, totp, user
from exchanges.models import ExchangeKey
from exchanges.tests.loopback import API_KEY, API_SECRET, LoopbackExchange
from exchanges.tests.loopback.wiring import in_place_of_binance

pytestmark = pytest.mark.django_db
NEW = "/app/keys/new/"
FORM = {"exchange": "binance", "label": "main", "api_key": API_KEY, "api_secret": API_SECRET}


@pytest.fixture
def alice() -> User:
    return user("alice@example.com")


@pytest.fixture
def alices(alice: User) -> Client:
    client = Client()
    client.force_login(alice)
    return client


@pytest.fixture
def stepped(alices: Client, alice: User) -> Client:
    present_second_factor(alices, totp(alice))
    return alices


@pytest.fixture
def today(tmp_path) -> Iterator[LoopbackExchange]:
    """The exchange with a clock like ours: pages read the time themselves."""
    with in_place_of_binance(tmp_path / "books.sqlite3", timezone.now()) as exchange:
        yield exchange


def text(response) -> str:
    return response.content.decode()


def test_a_key_is_added_and_told_what_it_may(stepped, alice, today):
    page = text(stepped.post(NEW, FORM, follow=True))
    key = ExchangeKey.objects.get()
    assert (key.owner, key.permissions) == (alice, "trade")
    assert "It may trade" in page or "it may trade" in page
    assert API_SECRET not in page
    assert API_KEY not in page


def test_without_a_second_factor_nothing_is_stored(alices, today):
    assert alices.post(NEW, FORM).status_code == 302
    assert not ExchangeKey.objects.exists()


def test_the_way_back_from_the_second_factor_carries_no_secret(alices, alice, today):
    totp(alice)
    answer = alices.post(NEW, FORM)
    assert answer.status_code == 302
    assert API_SECRET not in answer.url
    assert answer.url.endswith("next=%2Fapp%2Fkeys%2Fnew%2F")


def test_a_key_that_can_withdraw_is_refused_in_words(stepped, today):
    today.open_account(API_KEY, API_SECRET, enableWithdrawals=True)
    answer = stepped.post(NEW, FORM)
    assert answer.status_code == 422
    assert "Nothing was stored." in text(answer)
    assert not ExchangeKey.objects.exists()


def test_a_refused_form_never_shows_the_secret_again(stepped, today):
    page = text(stepped.post(NEW, {**FORM, "api_key": "short"}))
    assert "#id_api_key" in page
    assert API_SECRET not in page


def test_an_unknown_exchange_is_refused(stepped):
    assert stepped.post(NEW, {**FORM, "exchange": "nowhere"}).status_code == 422


def test_a_check_asks_again(stepped, today):
    stepped.post(NEW, FORM)
    key = ExchangeKey.objects.get()
    today.open_account(API_KEY, API_SECRET, enableWithdrawals=True)
    page = text(stepped.post(f"/app/keys/{key.pk}/check/", follow=True))
    assert "can withdraw" in page
    today.open_account(API_KEY, API_SECRET, enableSpotAndMarginTrading=False)
    assert "only read" in text(stepped.post(f"/app/keys/{key.pk}/check/", follow=True))


def test_a_check_while_the_exchange_is_away_changes_nothing(stepped, today):
    stepped.post(NEW, FORM)
    key = ExchangeKey.objects.get()
    today.close()
    page = text(stepped.post(f"/app/keys/{key.pk}/check/", follow=True))
    assert "nothing was changed" in page
    key.refresh_from_db()
    assert key.permissions == "trade"


def test_a_strangers_key_is_not_checked(stepped, client, today):
    stepped.post(NEW, FORM)
    client.force_login(user("bob@example.com"))
    path = f"/app/keys/{ExchangeKey.objects.get().pk}/check/"
    assert client.post(path).status_code == 404
    assert client.get(path).status_code == 405
