from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.core.exceptions import ValidationError

from accounts import audit, operations
from accounts.audit import CONSOLE
from accounts.models import ApiToken, AuditEntry, User
from accounts.tests.cast import NOW, PASSWORD, totp
from accounts.vault import is_current

pytestmark = pytest.mark.django_db


def actions() -> list[str]:
    return list(AuditEntry.objects.order_by("id").values_list("action", flat=True))


def test_created_user_logs_in_by_email_and_is_audited():
    user = operations.create_user(" Alice@Example.com ", PASSWORD, NOW, CONSOLE)
    user.refresh_from_db()
    assert (user.email, user.is_staff, user.date_joined) == ("alice@example.com", False, NOW)
    assert user.check_password(PASSWORD)
    assert user.password.startswith("argon2")
    assert EmailAddress.objects.get().verified
    assert actions() == ["user_created"]
    assert PASSWORD not in str(AuditEntry.objects.get().detail)


@pytest.mark.parametrize(
    ("email", "password", "field"),
    [
        ("", PASSWORD, "email"),
        ("alice", PASSWORD, "email"),
        ("alice@example.com\x00", PASSWORD, "email"),
        ("a" * 250 + "@example.com", PASSWORD, "email"),
        ("alice@example.com", "short", "password"),
        ("alice@example.com", "123456789012345", "password"),
        ("alice@example.com", "alice@example.com", "password"),
        ("alice@example.com", "", "password"),
    ],
)
def test_bad_user_is_refused_by_field_and_nothing_is_written(email, password, field):
    with pytest.raises(ValidationError) as caught:
        operations.create_user(email, password, NOW, CONSOLE)
    assert list(caught.value.message_dict) == [field]
    assert not User.objects.exists()
    assert actions() == []


def test_second_account_of_an_address_is_refused_whatever_its_case(alice):
    with pytest.raises(ValidationError, match="which has an account"):
        operations.create_user("ALICE@example.com", PASSWORD, NOW, CONSOLE)
    assert User.objects.count() == 1


def test_created_token_has_the_documented_shape(alice):
    token, text = operations.create_token(alice, ["trade", "read", "read"], NOW, CONSOLE, label=" laptop ")
    prefix, secret = text.removeprefix("tb_").split("_", 1)
    assert prefix == token.prefix
    assert len(prefix) == 8
    assert prefix.isascii()
    assert prefix.isalnum()
    assert len(secret) >= 43
    assert token.scopes == ["read", "trade"]
    assert (token.label, token.expires_at, token.created_at) == ("laptop", None, NOW)
    assert actions() == ["token_created"]
    assert secret not in str(AuditEntry.objects.get().detail)


def test_unknown_scope_is_named(alice):
    with pytest.raises(ValueError, match="was 'write'"):
        operations.create_token(alice, ["read", "write"], NOW, CONSOLE)
    with pytest.raises(ValueError, match="was none"):
        operations.create_token(alice, [], NOW, CONSOLE)
    assert not ApiToken.objects.exists()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"expires_at": NOW}, "expires_at"),
        ({"expires_at": NOW - timedelta(days=1)}, "expires_at"),
        ({"label": "x" * 81}, "label"),
        ({"allowed_ips": ["192.0.2.0/33"]}, "allowed_ips"),
        ({"allowed_ips": ["example.com"]}, "allowed_ips"),
        ({"allowed_ips": [f"192.0.2.{n}" for n in range(51)]}, "allowed_ips"),
    ],
)
def test_bad_token_is_refused_by_field(alice, options, field):
    with pytest.raises(ValidationError) as caught:
        operations.create_token(alice, ["read"], NOW, CONSOLE, **options)
    assert list(caught.value.message_dict) == [field]
    assert not ApiToken.objects.exists()


def test_token_for_a_deactivated_user_is_refused(alice):
    alice.is_active = False
    with pytest.raises(ValidationError, match="deactivated"):
        operations.create_token(alice, ["read"], NOW, CONSOLE)


def test_networks_have_one_spelling():
    assert operations.networks([" 192.0.2.7/24 ", "2001:DB8::1"]) == ["192.0.2.0/24", "2001:db8::1/128"]


def test_token_is_revoked_once(alice):
    token, _text = operations.create_token(alice, ["read"], NOW, CONSOLE)
    later = NOW + timedelta(hours=1)
    assert operations.revoke_token(token, later, CONSOLE)
    assert not operations.revoke_token(token, later + timedelta(hours=1), CONSOLE)
    token.refresh_from_db()
    assert token.revoked_at == later
    assert actions() == ["token_created", "token_revoked"]


def test_deactivation_revokes_the_tokens(alice, bob):
    for user in (alice, bob):
        operations.create_token(user, ["read"], NOW, CONSOLE)
    operations.change_user(alice, NOW, CONSOLE, is_active=False)
    assert [token.user for token in ApiToken.objects.valid(NOW)] == [bob]
    assert AuditEntry.objects.first().detail == {"was": {"is_active": True}, "now": {"is_active": False}}


def test_demotion_revokes_the_admin_tokens(staff):
    for scope in ("read", "admin"):
        operations.create_token(staff, [scope], NOW, CONSOLE)
    operations.change_user(staff, NOW, CONSOLE, is_staff=False)
    assert [token.scopes for token in ApiToken.objects.valid(NOW)] == [["read"]]


def test_lost_second_factor_goes_with_its_recovery_codes(alice):
    factor = totp(alice)
    Authenticator.objects.create(user=alice, type=Authenticator.Type.RECOVERY_CODES, data={})
    operations.remove_second_factor(factor, NOW, CONSOLE)
    assert not Authenticator.objects.exists()
    assert actions() == ["second_factor_removed"]


def test_second_factors_are_resealed_under_the_newest_key(alice, bob, settings):
    factors = [totp(alice), totp(bob)]
    settings.ENCRYPTION_KEYS = [bytes(range(100, 132)), *settings.ENCRYPTION_KEYS]
    assert not is_current(Authenticator.objects.first().data["secret"])
    assert operations.reseal_second_factors(NOW) == 2
    assert operations.reseal_second_factors(NOW) == 0
    settings.ENCRYPTION_KEYS = settings.ENCRYPTION_KEYS[:1]
    for factor in factors:
        stored = Authenticator.objects.get(pk=factor.pk)
        assert is_current(stored.data["secret"])
        assert operations.unseal(operations.MFA_PURPOSE, stored.data["secret"]) == factor.clear
    assert actions() == ["second_factors_resealed"]


def test_theme_is_kept(alice):
    operations.choose_theme(alice, "dark")
    alice.refresh_from_db()
    assert alice.theme == "dark"
    assert audit.first_break() is None
