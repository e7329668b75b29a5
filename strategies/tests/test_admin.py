import pytest
from django.contrib import admin
from django.contrib.messages.storage.fallback import FallbackStorage
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.audit import CONSOLE
from accounts.models import AuditEntry
from accounts.tests import cast
from strategies import operations
from strategies.admin import RuleSetAdmin, StrategyAdmin
from strategies.models import RuleSet, Strategy
from strategies.tests.cases import rule_set

pytestmark = pytest.mark.django_db


@pytest.fixture
def boss():
    return cast.user("boss@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def page(boss):
    operations.sync(cast.NOW, CONSOLE)
    request = RequestFactory().post("/")
    request.user, request.session = boss, {}
    request._messages = FallbackStorage(request)
    return StrategyAdmin(Strategy, admin.site), request


def test_strategies_are_registered_and_their_facts_not_editable(page):
    model_admin, request = page
    assert admin.site.is_registered(Strategy)
    assert set(model_admin.get_readonly_fields(request)) >= {field.name for field in Strategy._meta.fields} - {"id"}
    assert not model_admin.has_add_permission(request)
    assert not model_admin.has_delete_permission(request)
    assert set(model_admin.get_actions(request)) == {"enable", "disable"}


def test_switching_off_and_on_is_audited_with_who_did_it(page, boss):
    model_admin, request = page
    model_admin.disable(request, Strategy.objects.filter(name__in=["breakout", "rsi_cross"]))
    model_admin.enable(request, Strategy.objects.all())
    assert not Strategy.objects.filter(enabled=False).exists()
    switched = AuditEntry.objects.exclude(action="strategy.sync").order_by("id")
    assert [(entry.action, entry.subject) for entry in switched] == [
        ("strategy.disable", "breakout"),
        ("strategy.disable", "rsi_cross"),
        ("strategy.enable", "breakout"),
        ("strategy.enable", "rsi_cross"),
    ]
    assert {entry.actor for entry in switched} == {boss}
    assert [str(message) for message in request._messages] == ["Switched off: 2.", "Switched on: 2."]


def test_rule_sets_are_looked_at_and_not_changed(boss):
    made = rule_set(boss)
    request = RequestFactory().get("/")
    request.user = boss
    model_admin = RuleSetAdmin(RuleSet, admin.site)
    assert set(model_admin.get_readonly_fields(request)) >= {"name", "definition", "owner"}
    for inline in (model_admin, *model_admin.get_inline_instances(request, made)):
        assert not inline.has_add_permission(request, *[made] if inline is not model_admin else [])
        assert not inline.has_change_permission(request, made)
        assert not inline.has_delete_permission(request, made) or inline.can_delete is False
    page = Client()
    page.force_login(boss)
    cast.present_second_factor(page, cast.totp(boss))
    shown = page.get(reverse("admin:strategies_ruleset_change", args=[made.pk]))
    assert shown.status_code == 200
    assert b"crosses_above" in shown.content
