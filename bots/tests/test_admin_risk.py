"""The operator writes limits and arms keys in the administration by the functions that pages and commands call."""

import time

import pytest
from django.test import Client
from django.utils import timezone

from accounts.audit import CONSOLE
from accounts.models import AuditEntry, User
from bots import arming
from bots.models import Arming, RiskLimits
from bots.tests.test_admin import key as key
from bots.tests.test_admin import root as root
from bots.tests.test_admin import url
from exchanges import operations as keys
from exchanges.models import ExchangeKey


def test_limits_are_set_changed_and_taken_away_with_the_audit_of_everywhere(root: Client, alice: User) -> None:
    added = {"level": "user", "target": alice.pk, "max_daily_loss": "50", "max_open_orders": "3"}
    assert root.post(url(RiskLimits, "add"), added).status_code == 302
    row = RiskLimits.objects.get()
    assert (row.level, row.target, row.limits) == ("user", alice.pk, {"max_daily_loss": "50", "max_open_orders": 3})
    page = root.get(url(RiskLimits, row.pk, "change")).content.decode()
    assert 'name="max_daily_loss" value="50"' in page
    # Whom it is for cannot be changed: that would be other limits.
    changed = {"level": "platform", "target": 0, "max_daily_loss": "40"}
    assert root.post(url(RiskLimits, row.pk, "change"), changed).status_code == 302
    row.refresh_from_db()
    assert (row.level, row.target, row.limits) == ("user", alice.pk, {"max_daily_loss": "40"})
    root.post(url(RiskLimits, row.pk, "change"), {})
    row.refresh_from_db()
    assert row.limits == {}
    told = AuditEntry.objects.filter(action="limits.set", subject=f"user:{alice.pk}")
    assert told.count() == 3
    assert {entry.actor.email for entry in told if entry.actor} == {"root@example.com"}


@pytest.mark.parametrize(
    ("posted", "text"),
    [
        ({"level": "user", "target": 999, "max_daily_loss": "50"}, "Expected the id of a user, key or run"),
        ({"level": "platform", "target": 7, "max_daily_loss": "50"}, "Expected the id of a user, key or run"),
        ({"level": "platform", "target": 0, "max_daily_loss": "-1"}, "Expected a positive number"),
        ({"level": "account", "target": 1, "max_daily_loss": "1"}, "Select a valid choice"),
        ({"level": "platform", "target": ""}, "This field is required"),
    ],
)
def test_what_the_domain_refuses_is_refused_here(root: Client, posted: dict[str, object], text: str) -> None:
    answer = root.post(url(RiskLimits, "add"), posted)
    assert (answer.status_code, text in answer.content.decode()) == (200, True)
    assert not RiskLimits.objects.exists()
    assert not AuditEntry.objects.filter(action="limits.set").exists()


def test_a_key_is_armed_by_its_phrase_and_disarmed_by_an_action(root: Client, key: ExchangeKey) -> None:
    arming.arm(key, "console", timezone.now(), CONSOLE)
    assert root.post(url(Arming, "add"), {"key": key.pk, "phrase": arming.phrase_of(key)}).status_code == 302
    armed = Arming.objects.get(dropped_at=None)
    assert (armed.key_id, armed.by, Arming.objects.count()) == (key.pk, "admin", 2)
    entry = AuditEntry.objects.filter(action="key.armed").latest("pk")
    assert (entry.subject, entry.actor and entry.actor.email) == (f"key:{key.pk}", "root@example.com")
    root.post(url(Arming, armed.pk, "change"), {"expires_at": "2099-01-01"})
    armed.refresh_from_db()
    assert armed.expires_at.year < 2099
    chosen = Arming.objects.values_list("pk", flat=True)
    answer = root.post(url(Arming), {"action": "disarm", "_selected_action": list(chosen)}, follow=True)
    assert "1 keys are disarmed." in answer.content.decode()
    armed.refresh_from_db()
    assert armed.drop_reason == "taken back in the admin"
    assert AuditEntry.objects.filter(action="key.disarmed").count() == 1


@pytest.mark.parametrize(
    ("facts", "phrase", "text"),
    [
        ({}, "trade live", "letter by letter"),
        ({}, "", "This field is required"),
        ({"can_withdraw": True}, None, "The key may withdraw"),
        ({"permissions": "read"}, None, "permission to trade is not verified"),
    ],
)
def test_a_key_that_must_not_be_armed_is_not(
    root: Client, key: ExchangeKey, facts: dict[str, object], phrase: str | None, text: str
) -> None:
    ExchangeKey.objects.filter(pk=key.pk).update(**facts)
    typed = arming.phrase_of(key) if phrase is None else phrase
    answer = root.post(url(Arming, "add"), {"key": key.pk, "phrase": typed})
    assert (answer.status_code, text in answer.content.decode()) == (200, True)
    assert not Arming.objects.exists()


def test_a_deleted_key_is_no_choice(root: Client, key: ExchangeKey) -> None:
    phrase = arming.phrase_of(key)
    keys.delete_key(key, timezone.now(), CONSOLE, in_use=lambda _: False)
    answer = root.post(url(Arming, "add"), {"key": key.pk, "phrase": phrase})
    assert "Select a valid choice" in answer.content.decode()
    refused = arming.refusal(ExchangeKey.objects.get(pk=key.pk))
    assert refused is not None
    assert refused.code == "KEY_INVALID"


@pytest.mark.parametrize("model", [RiskLimits, Arming])
def test_a_second_factor_of_long_ago_is_asked_for_again(root: Client, alice: User, model: type) -> None:
    session = root.session
    for record in session["account_authentication_methods"]:
        record["at"] = time.time() - 3600
    session.save()
    posted = {"level": "user", "target": alice.pk, "max_daily_loss": "50"}
    answer = root.post(url(model, "add"), posted)
    assert (answer.status_code, "reauthenticate" in answer["Location"]) == (302, True)
    assert not RiskLimits.objects.exists()
    assert root.post(url(model, 1, "delete"), {"post": "yes"}).status_code in (302, 403)
