"""Keys through their whole life, against an exchange that answers over HTTP."""

import base64
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.exceptions import ValidationError
from django.db import connection
from django.test import override_settings

from accounts.audit import SYSTEM, Actor
from accounts.core.keyring import Undecryptable
from accounts.models import AuditEntry, User
from accounts.tests.cast import user
from exchanges import operations, queries
from exchanges.adapters import ccxt_transport
from exchanges.checks import keyring_opens_stored_keys, overrides_name_known_exchanges
from exchanges.connect import KeyErased, credentials_of, exchange_names, open_exchange, open_public
from exchanges.core.errors import Unavailable, UnknownExchange
from exchanges.models import ExchangeKey
from exchanges.operations import KeyAlreadyAdded, KeyCanWithdraw, KeyInUse, KeyRefused
from exchanges.tests.conftest import AT
from exchanges.tests.loopback import API_KEY, API_SECRET, Fault, Kind, LoopbackExchange
from exchanges.tests.loopback.faults import http_error, refusal
from exchanges.vault import Credentials

pytestmark = pytest.mark.django_db
RIGHTS = "GET /sapi/v1/account/apiRestrictions"
OLD, NEW = bytes(range(32)), bytes(range(32, 64))


@pytest.fixture
def alice() -> User:
    return user("alice@example.com")


@pytest.fixture
def bob() -> User:
    return user("bob@example.com")


def add(owner: User, **changes: str) -> ExchangeKey:
    facts = {"exchange": "binance", "api_key": API_KEY, "api_secret": API_SECRET, "label": "main", **changes}
    return operations.add_key(owner, **facts, at=AT, actor=Actor("user", owner))


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_added_key_is_verified_and_encrypted(loopback: LoopbackExchange, alice: User):
    key = add(alice, api_key=f"  {API_KEY}\n", api_secret=f"{API_SECRET} ")

    stored = ExchangeKey.objects.get()
    assert (stored.permissions, stored.can_withdraw, stored.ip_restricted) == ("trade", False, True)
    assert (stored.api_key_hint, stored.label, stored.last_checked_at) == (API_KEY[-4:], "main", AT)
    assert credentials_of(stored) == Credentials(API_KEY, API_SECRET)
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM exchanges_exchangekey")
        row = repr(cursor.fetchall())
    for canary in (API_KEY, API_SECRET):
        assert canary not in row
        assert base64.b64encode(canary.encode()).decode()[:20] not in row
        assert canary not in repr(AuditEntry.objects.values())
    assert "key_added" in actions()
    assert key.pk == stored.pk


def test_key_that_may_only_read_says_so(loopback: LoopbackExchange, alice: User):
    loopback.open_account(API_KEY, API_SECRET, enableSpotAndMarginTrading=False)

    assert add(alice).permissions == "read"


@pytest.mark.parametrize("right", ["enableWithdrawals", "enableInternalTransfer", "permitsUniversalTransfer"])
def test_key_that_can_move_funds_out_is_never_stored(loopback: LoopbackExchange, alice: User, right: str):
    loopback.open_account(API_KEY, API_SECRET, **{right: True})

    with pytest.raises(KeyCanWithdraw) as refusal:
        add(alice)

    assert refusal.value.code == "key_can_withdraw"
    assert not ExchangeKey.objects.exists()
    assert actions() == ["key_refused"]


@pytest.mark.parametrize("wrong", [{"api_key": "unknown-key"}, {"api_secret": "another-secret"}])
def test_key_the_exchange_does_not_accept_is_never_stored(
    loopback: LoopbackExchange, alice: User, wrong: dict[str, str]
):
    with pytest.raises(KeyRefused, match="binance") as refused:
        add(alice, **wrong)

    assert not ExchangeKey.objects.exists()
    assert not any(text in str(refused.value) for text in (API_KEY, API_SECRET, *wrong.values()))


@pytest.mark.parametrize(
    "fault",
    [
        http_error(RIGHTS, 502),
        Fault(Kind.DROP_BEFORE, RIGHTS),
        Fault(Kind.EMPTY, RIGHTS),
        Fault(Kind.ANSWER, RIGHTS, body='{"ipRestrict": true}'),
        refusal(RIGHTS, -1021, "Timestamp for this request is outside of the recvWindow."),
    ],
    ids=lambda fault: fault.kind,
)
def test_exchange_that_does_not_tell_leaves_the_key_unverified(loopback: LoopbackExchange, alice: User, fault: Fault):
    loopback.faults.add(fault)

    key = add(alice)

    assert (key.permissions, key.can_withdraw, key.last_checked_at) == ("unverified", None, None)


def test_exchange_that_drips_leaves_the_key_unverified_in_time(
    loopback: LoopbackExchange, alice: User, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ccxt_transport, "CALL_SECONDS", 0.3)
    loopback.faults.add(Fault(Kind.DRIP, RIGHTS, seconds=0.2))

    assert add(alice).permissions == "unverified"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"exchange": "nope"}, "exchange"),
        ({"exchange": "demo"}, "exchange"),
        ({"api_key": ""}, "api_key"),
        ({"api_key": "short"}, "api_key"),
        ({"api_key": "k" * 513}, "api_key"),
        ({"api_secret": "   "}, "api_secret"),
        ({"api_secret": "bad\x00secret"}, "api_secret"),
        ({"label": "l" * 81}, "label"),
        ({"exchange": "okx"}, "passphrase"),
    ],
)
def test_malformed_input_names_its_field(loopback: LoopbackExchange, alice: User, wrong: dict[str, str], field: str):
    with pytest.raises(ValidationError) as error:
        add(alice, **wrong)

    assert list(error.value.message_dict) == [field]
    assert not ExchangeKey.objects.exists()
    assert loopback.requests() == []


def test_same_key_is_added_once_per_owner(loopback: LoopbackExchange, alice: User, bob: User):
    add(alice)

    with pytest.raises(KeyAlreadyAdded):
        add(alice, label="again")
    add(bob)

    assert ExchangeKey.objects.count() == 2


def test_erased_key_may_be_added_again(loopback: LoopbackExchange, alice: User):
    operations.delete_key(add(alice), AT, SYSTEM, in_use=lambda key: False)

    assert add(alice).pk


def test_check_notices_rights_that_were_granted_later(loopback: LoopbackExchange, alice: User):
    key = add(alice)
    loopback.open_account(API_KEY, API_SECRET, enableWithdrawals=True)

    fresh = operations.check_key(key, AT + timedelta(seconds=1), SYSTEM)

    assert (fresh.can_withdraw, fresh.last_checked_at) == (True, AT + timedelta(seconds=1))
    assert ExchangeKey.objects.get().can_withdraw is True
    assert actions()[-2:] == ["key_decrypted", "key_checked"]


def test_check_of_a_revoked_key_unverifies_it(loopback: LoopbackExchange, alice: User):
    key = add(alice)
    loopback.open_account(API_KEY, "secret-was-replaced")

    assert operations.check_key(key, AT, SYSTEM).permissions == "unverified"


def test_check_that_gets_no_answer_changes_nothing(loopback: LoopbackExchange, alice: User):
    key = add(alice)
    loopback.faults.add(http_error(RIGHTS, 502))

    with pytest.raises(Unavailable):
        operations.check_key(key, AT + timedelta(hours=1), SYSTEM)

    assert ExchangeKey.objects.get().last_checked_at == AT
    assert ExchangeKey.objects.get().permissions == "trade"


def test_deleted_key_is_erased_and_its_row_stays(loopback: LoopbackExchange, alice: User):
    key = add(alice)

    operations.delete_key(key, AT, SYSTEM, in_use=lambda key: False)

    row = ExchangeKey.objects.get()
    assert row.deleted_at == AT
    assert {row.encrypted_key, row.encrypted_secret, row.iv_key, row.iv_secret, row.fingerprint} == {""}
    assert queries.keys_of(alice) == []
    with pytest.raises(KeyErased):
        open_exchange(row, at=AT, purpose="trade")
    with pytest.raises(ExchangeKey.DoesNotExist):
        operations.delete_key(row, AT, SYSTEM, in_use=lambda key: False)


def test_key_in_use_is_not_deleted(loopback: LoopbackExchange, alice: User):
    key = add(alice)

    with pytest.raises(KeyInUse):
        operations.delete_key(key, AT, SYSTEM, in_use=lambda asked: asked.pk == key.pk)

    assert ExchangeKey.objects.present().exists()
    assert "key_deleted" not in actions()


def test_strangers_keys_do_not_exist(loopback: LoopbackExchange, alice: User, bob: User):
    key = add(alice)

    assert queries.key_of(alice, key.pk) == key
    assert queries.keys_of(bob) == []
    with pytest.raises(ExchangeKey.DoesNotExist):
        queries.key_of(bob, key.pk)


def test_ciphertext_of_another_row_does_not_open(loopback: LoopbackExchange, alice: User, bob: User):
    mine, theirs = add(alice), add(bob)
    columns = ("encrypted_key", "iv_key", "encrypted_secret", "iv_secret")
    ExchangeKey.objects.filter(pk=theirs.pk).update(**{name: getattr(mine, name) for name in columns})

    with pytest.raises(Undecryptable):
        credentials_of(ExchangeKey.objects.get(pk=theirs.pk))


def test_decrypting_is_audited_once_an_hour_but_not_for_ticks(loopback: LoopbackExchange, alice: User):
    key = add(alice)
    for _ in range(3):
        open_exchange(key, at=AT, purpose="trade")
        open_exchange(key, at=AT, purpose="balances")

    rows = AuditEntry.objects.filter(action="key_decrypted")
    assert [(row.subject, row.detail) for row in rows] == [(f"key:{key.pk}", {"purpose": "balances"})]


def test_rotation_reencrypts_everything_and_may_be_repeated(loopback: LoopbackExchange, alice: User, bob: User):
    with override_settings(ENCRYPTION_KEYS=[OLD]):
        keys = [add(alice), add(bob)]
    with override_settings(ENCRYPTION_KEYS=[NEW, OLD]):
        first = operations.rotate(1, AT, SYSTEM)
        again = operations.rotate(1, AT, SYSTEM)

    assert (first.rotated, first.remaining, first.unreadable) == (2, 0, ())
    assert again.rotated == 0
    with override_settings(ENCRYPTION_KEYS=[NEW]):
        for key in keys:
            fresh = ExchangeKey.objects.get(pk=key.pk)
            assert fresh.row_version == 2
            assert credentials_of(fresh) == Credentials(API_KEY, API_SECRET)
        with pytest.raises(KeyAlreadyAdded):
            add(alice)


def test_dry_run_of_a_rotation_changes_nothing(loopback: LoopbackExchange, alice: User):
    with override_settings(ENCRYPTION_KEYS=[OLD]):
        key = add(alice)
    with override_settings(ENCRYPTION_KEYS=[NEW, OLD]):
        report = operations.rotate(10, AT, SYSTEM, dry_run=True)

    assert (report.rotated, report.remaining) == (1, 1)
    assert ExchangeKey.objects.get().row_version == key.row_version


def test_rotation_leaves_what_it_cannot_open(loopback: LoopbackExchange, alice: User, bob: User):
    with override_settings(ENCRYPTION_KEYS=[bytes(range(64, 96))]):
        lost = add(alice)
    with override_settings(ENCRYPTION_KEYS=[OLD]):
        add(bob)
    with override_settings(ENCRYPTION_KEYS=[NEW, OLD]):
        report = operations.rotate(10, AT, SYSTEM)
        problems = keyring_opens_stored_keys(None)

    assert (report.rotated, report.unreadable, report.remaining) == (1, (lost.pk,), 1)
    assert ExchangeKey.objects.get(pk=lost.pk).row_version == 1
    assert [problem.id for problem in problems] == ["exchanges.E001"]
    assert lost.key_id in problems[0].msg


def test_rotation_yields_to_a_change_made_meanwhile(
    loopback: LoopbackExchange, alice: User, monkeypatch: pytest.MonkeyPatch
):
    with override_settings(ENCRYPTION_KEYS=[OLD]):
        key = add(alice)
    real = operations.credentials_of

    def deleted_meanwhile(row: ExchangeKey) -> Credentials:
        found = real(row)
        operations.delete_key(row, AT, SYSTEM, in_use=lambda key: False)
        return found

    monkeypatch.setattr(operations, "credentials_of", deleted_meanwhile)
    with override_settings(ENCRYPTION_KEYS=[NEW, OLD]):
        report = operations.rotate(10, AT, SYSTEM)

    assert report.rotated == 0
    assert ExchangeKey.objects.get(pk=key.pk).encrypted_secret == ""


def test_rotation_refuses_an_empty_batch():
    with pytest.raises(ValueError, match="batch"):
        operations.rotate(0, AT, SYSTEM)


def test_public_side_needs_no_key(loopback: LoopbackExchange):
    assert open_public("binance", AT).fetch_quote("BTC/USDT").bid == 50_000
    assert open_public("demo", AT).name == "demo"
    assert {"demo", "binance", "kraken"} <= set(exchange_names())
    with pytest.raises(UnknownExchange, match=r"demo, binance.*'nope'"):
        open_public("nope", AT)


def test_override_of_an_exchange_that_is_not_there_is_reported():
    with override_settings(EXCHANGE_OVERRIDES={"binnance": {}, "okx": [], "kraken": {}}):
        assert [(problem.id, "binnance" in problem.msg) for problem in overrides_name_known_exchanges(None)] == [
            ("exchanges.E002", True),
            ("exchanges.E002", False),
        ]


def test_only_connect_opens_sealed_rows():
    project = Path(operations.__file__).parent
    callers = {
        path.relative_to(project).as_posix()
        for path in project.rglob("*.py")
        if "open_row(" in path.read_text(encoding="utf-8") and "tests" not in path.parts
    }

    assert callers == {"vault.py", "connect.py"}
