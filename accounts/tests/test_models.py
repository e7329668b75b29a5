from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from accounts.models import ApiToken, AuditEntry, AuditHead, User
from accounts.tests.cast import NOW

pytestmark = pytest.mark.django_db


def test_manager_makes_users_by_email():
    boss = User.objects.create_superuser("Boss@Example.com", "x")
    assert (boss.email, boss.is_staff, boss.is_superuser) == ("boss@example.com", True, True)
    assert User.objects.get_by_natural_key("BOSS@EXAMPLE.COM") == boss
    assert str(boss) == "boss@example.com"
    with pytest.raises(ValueError, match="was empty"):
        User.objects.create_user("")


def test_address_is_unique_in_any_case(alice):
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="ALICE@example.com")


def test_token_is_valid_until_it_expires_or_is_revoked(alice):
    forever = ApiToken.objects.create(user=alice, prefix="aaaaaaaa", secret_hash="x", created_at=NOW)
    short = ApiToken.objects.create(user=alice, prefix="bbbbbbbb", secret_hash="x", created_at=NOW, expires_at=NOW)
    revoked = ApiToken.objects.create(user=alice, prefix="cccccccc", secret_hash="x", created_at=NOW, revoked_at=NOW)
    assert [t.is_valid(NOW) for t in (forever, short, revoked)] == [True, False, False]
    assert list(ApiToken.objects.valid(NOW)) == [forever]
    assert short.is_valid(NOW - timedelta(seconds=1))
    assert str(forever) == "tb_aaaaaaaa_…"


def test_log_has_one_head(db):
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditHead.objects.create(pk=2, row_hash="x")
    assert str(AuditHead(entries=3, row_hash="ab" * 32)) == "3 entries to abababababab"
    assert str(AuditEntry(at=NOW, action="login", subject="user:1")) == "2026-03-01 12:00:00 login user:1"
