import pytest
from django.utils import timezone

from accounts.audit import CONSOLE
from accounts.models import User
from accounts.tests.cast import present_second_factor, totp
from bots import arming
from bots.models import Arming, BotRun, TradingAccount
from bots.testing import START
from exchanges.models import ExchangeKey
from strategies.models import Strategy


def text(response) -> str:
    return response.content.decode()


def make_key(owner: User, **facts: object) -> ExchangeKey:
    sealed = {"encrypted_key": "x", "iv_key": "x", "encrypted_secret": "c1ph3r", "iv_secret": "x", "key_id": "00000000"}
    plain = {"exchange": "binance", "permissions": "trade", "can_withdraw": False, "api_key_hint": "abcd"}
    at = timezone.now()
    return ExchangeKey.objects.create(
        owner=owner, created_at=at, **{**sealed, **plain, "last_checked_at": at, "fingerprint": "f", **facts}
    )


def use(key: ExchangeKey) -> BotRun:
    account = TradingAccount.objects.create(owner=key.owner, mode="live", exchange=key.exchange, key=key)
    return BotRun.objects.create(
        user=key.owner, strategy=Strategy.objects.first(), exchange=key.exchange, symbol="BTC/USDT", timeframe="1h",
        mode="live", key=key, account=account, base="BTC", quote="USDT", capital=100, created_at=START,
        started_at=START, next_check_at=START,
    )  # fmt: skip


@pytest.fixture
def key(alice: User) -> ExchangeKey:
    return make_key(alice)


@pytest.fixture
def stepped(alices, alice):
    present_second_factor(alices, totp(alice))
    return alices


def test_the_list_shows_what_a_key_may_and_never_its_secret(alices, key):
    page = text(alices.get("/app/keys/"))
    assert "…abcd" in page
    assert "cannot withdraw" in page
    assert "c1ph3r" not in page
    assert "Arm…" in page


def test_somebody_elses_keys_are_not_listed(bobs, key):
    assert "abcd" not in text(bobs.get("/app/keys/"))


@pytest.mark.parametrize("verb", ["arm", "delete"])
def test_a_strangers_key_is_not_found(verb, bob, bobs, key):
    present_second_factor(bobs, totp(bob))
    assert bobs.post(f"/app/keys/{key.pk}/{verb}/", {"phrase": "trade live with abcd"}).status_code == 404
    assert bobs.post(f"/app/keys/{key.pk}/disarm/").status_code == 404
    assert not Arming.objects.exists()
    key.refresh_from_db()
    assert key.deleted_at is None


@pytest.mark.parametrize("verb", ["arm", "delete"])
def test_without_a_second_factor_nothing_happens(verb, alices, key):
    assert alices.post(f"/app/keys/{key.pk}/{verb}/", {"phrase": "trade live with abcd"}).status_code == 302
    assert not Arming.objects.exists()
    key.refresh_from_db()
    assert key.deleted_at is None


def test_arming_takes_the_typed_phrase(stepped, alice, key):
    path = f"/app/keys/{key.pk}/arm/"
    assert "Your real funds." in text(stepped.get(path))
    refused = stepped.post(path, {"phrase": "yes"})
    assert refused.status_code == 422
    assert not Arming.objects.exists()
    assert stepped.post(path, {"phrase": "trade live with abcd"}).url == "/app/keys/"
    armed = Arming.objects.get()
    assert (armed.key, armed.by, armed.dropped_at) == (key, "page", None)
    assert "armed" in text(stepped.get("/app/keys/"))


def test_a_key_that_may_not_trade_is_not_armed(stepped, key):
    ExchangeKey.objects.update(permissions="read")
    answer = stepped.post(f"/app/keys/{key.pk}/arm/", {"phrase": "trade live with abcd"})
    assert "The key was not armed." in text(answer)
    assert not Arming.objects.exists()


def test_disarming_needs_no_second_factor(alices, key):
    arming.arm(key, "console", timezone.now(), CONSOLE)
    alices.post(f"/app/keys/{key.pk}/disarm/")
    assert Arming.objects.get().dropped_at is not None


def test_a_deleted_key_leaves_no_ciphertext(stepped, key):
    assert "Delete the key" in text(stepped.get(f"/app/keys/{key.pk}/delete/"))
    stepped.post(f"/app/keys/{key.pk}/delete/")
    key.refresh_from_db()
    assert key.deleted_at is not None
    assert key.encrypted_secret == ""


def test_a_key_in_use_stays(stepped, key):
    use(key)
    answer = stepped.post(f"/app/keys/{key.pk}/delete/")
    assert answer.status_code == 409
    assert "Stop the bot first." in text(answer)
    assert "1 active" in text(stepped.get("/app/keys/"))
    key.refresh_from_db()
    assert key.deleted_at is None
