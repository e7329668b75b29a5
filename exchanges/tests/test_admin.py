"""The administration shows what a key is and may do; it changes nothing and shows no secret."""

import pytest
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpRequest
from django.test import RequestFactory

from accounts.audit import SYSTEM
from accounts.models import User
from accounts.tests.cast import user
from exchanges import operations
from exchanges.admin import ExchangeKeyAdmin
from exchanges.models import ExchangeKey
from exchanges.tests.conftest import AT
from exchanges.tests.loopback import API_KEY, API_SECRET, LoopbackExchange
from exchanges.tests.loopback.faults import http_error

pytestmark = pytest.mark.django_db
HIDDEN = {
    name for name in (field.name for field in ExchangeKey._meta.get_fields()) if name.startswith(("encrypted_", "iv_"))
}


@pytest.fixture
def page() -> ExchangeKeyAdmin:
    return ExchangeKeyAdmin(ExchangeKey, admin.site)


@pytest.fixture
def key(loopback: LoopbackExchange) -> ExchangeKey:
    owner: User = user("alice@example.com")
    return operations.add_key(owner, "binance", API_KEY, API_SECRET, at=AT, actor=SYSTEM)


def request_of(staff: User) -> HttpRequest:
    request = RequestFactory().post("/admin/")
    request.user = staff
    request.session = {}  # type: ignore[assignment]
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    return request


def test_no_ciphertext_nonce_or_fingerprint_is_shown_or_searched(page: ExchangeKeyAdmin):
    assert len(HIDDEN) == 6
    shown = {*page.fields, *page.list_display, *page.list_filter, *page.search_fields, *page.readonly_fields}
    assert not shown & (HIDDEN | {"fingerprint"})


def test_nothing_can_be_added_changed_or_deleted(page: ExchangeKeyAdmin, key: ExchangeKey):
    request = request_of(user("root@example.com", is_staff=True, is_superuser=True))

    assert not page.has_add_permission(request)
    assert not page.has_change_permission(request, key)
    assert not page.has_delete_permission(request, key)


def test_check_action_asks_the_exchange_and_says_what_it_heard(
    page: ExchangeKeyAdmin, key: ExchangeKey, loopback: LoopbackExchange, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("django.utils.timezone.now", lambda: AT)
    loopback.open_account(API_KEY, API_SECRET, enableWithdrawals=True)
    request = request_of(user("root@example.com", is_staff=True, is_superuser=True))

    page.check_permissions(request, ExchangeKey.objects.all())

    assert ExchangeKey.objects.get().can_withdraw is True
    assert [message.level_tag for message in request._messages] == ["warning"]


def test_check_action_survives_an_exchange_that_is_down(
    page: ExchangeKeyAdmin, key: ExchangeKey, loopback: LoopbackExchange, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("django.utils.timezone.now", lambda: AT)
    loopback.faults.add(http_error("GET /sapi", 502))
    request = request_of(user("root@example.com", is_staff=True, is_superuser=True))

    page.check_permissions(request, ExchangeKey.objects.all())

    [message] = request._messages
    assert message.level_tag == "error"
    assert API_KEY not in str(message)
