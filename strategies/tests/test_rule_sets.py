from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from accounts.audit import CONSOLE, Actor
from accounts.models import AuditEntry
from accounts.tests import cast
from strategies import operations, queries
from strategies.core.rules import RuleStrategy
from strategies.models import RuleSet, RuleSetVersion
from strategies.queries import rules
from strategies.tests.cases import DEFINITION, OTHER, WRONG, facts, rule_set

LATER = cast.NOW + timedelta(hours=1)


def test_created_rule_set_is_stored_with_its_defaults_and_first_version(alice):
    made = operations.create_rule_set(alice, facts("  Buy   dips ", " Why "), cast.NOW, Actor("user", alice))
    row = RuleSet.objects.get()
    assert (row.pk, row.name, row.description, row.version, row.owner) == (made.pk, "Buy dips", "Why", 1, alice)
    assert row.definition["entry"]["all"][0]["left"]["params"] == {"period": 14, "method": "cutler"}
    assert [(v.version, v.definition) for v in row.versions.all()] == [(1, row.definition)]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.actor) == ("rule_set.create", f"rule_set:{row.pk}", alice)
    assert str(row) == str(row.versions.get()) == "Buy dips (version 1)"


def test_update_adds_a_version_and_keeps_the_old_one(alice):
    made = rule_set(alice)
    changed = operations.update_rule_set(made, facts(definition=OTHER), LATER, CONSOLE, expected_version=1)
    assert (changed.version, changed.updated_at, changed.created_at) == (2, LATER, cast.NOW)
    assert changed.definition["stop_loss_pct"] == "7.5"
    assert [(v.version, v.definition["stop_loss_pct"]) for v in rules.versions_of(changed)] == [(2, "7.5"), (1, "5")]
    assert rules.version_of(changed, 1).words == rules.view_of(made).words
    assert AuditEntry.objects.order_by("-id")[0].detail["version"] == 2


def test_update_that_changes_nothing_is_no_version(alice):
    made = rule_set(alice)
    same = operations.update_rule_set(made, facts(), LATER, CONSOLE)
    assert (same.version, same.updated_at) == (1, cast.NOW)
    assert AuditEntry.objects.count() == 1


def test_update_of_what_somebody_else_changed_is_refused(alice):
    made = rule_set(alice)
    operations.update_rule_set(made, facts(definition=OTHER), LATER, CONSOLE)
    with pytest.raises(operations.RuleSetChanged, match="Version 2 was saved since version 1 was read"):
        operations.update_rule_set(made, facts("Mine"), LATER, CONSOLE, expected_version=1)
    assert RuleSet.objects.get().name == "Dips"


@pytest.mark.parametrize("name", ["Dips", "dIPS", " dips "])
def test_name_is_unique_per_owner(name, alice, bob):
    rule_set(alice)
    with pytest.raises(operations.RuleSetNameTaken, match="already"):
        rule_set(alice, name=name)
    assert rule_set(bob, name=name).owner == bob
    other = rule_set(alice, name="Other")
    with pytest.raises(operations.RuleSetNameTaken):
        operations.update_rule_set(other, facts(name), LATER, CONSOLE)
    assert RuleSetVersion.objects.filter(rule_set=other).count() == 1


@pytest.mark.parametrize(
    ("wrong", "fields"),
    [
        ({"name": " "}, {"name"}),
        ({"name": "x" * 81}, {"name"}),
        ({"name": "a\x00b"}, {"name"}),
        ({"description": "x" * 2_001}, {"description"}),
        ({"description": "a\x00"}, {"description"}),
        ({"definition": WRONG}, {"definition"}),
        ({"name": "", "description": "x" * 2_001, "definition": []}, {"name", "description", "definition"}),
    ],
)
def test_what_is_wrong_is_named_by_field_and_nothing_is_stored(wrong, fields, alice):
    with pytest.raises(ValidationError) as refused:
        rule_set(alice, **wrong)
    assert set(refused.value.message_dict) == fields
    made = rule_set(alice)
    with pytest.raises(ValidationError):
        operations.update_rule_set(made, facts(**wrong), LATER, CONSOLE)
    assert (RuleSet.objects.get().version, AuditEntry.objects.count()) == (1, 1)


def test_description_may_have_lines(alice):
    assert rule_set(alice, description="One.\r\nTwo.\tThree.").description == "One.\r\nTwo.\tThree."


def test_error_of_a_definition_names_the_condition(alice):
    with pytest.raises(ValidationError, match=r"entry\.all\[0\]\.right: Expected a number"):
        rule_set(alice, definition=WRONG)


def test_rule_sets_per_user_are_limited(alice, bob, monkeypatch):
    monkeypatch.setattr(operations, "MOST_RULE_SETS", 1)
    made = rule_set(alice)
    with pytest.raises(operations.TooManyRuleSets, match="at most 1"):
        rule_set(alice, name="Second")
    rule_set(bob)
    operations.delete_rule_set(made, LATER, CONSOLE, in_use=lambda _: False)
    assert rule_set(alice, name="Second").pk


def test_deleted_rule_set_keeps_its_rows_and_frees_its_name(alice):
    made = rule_set(alice)
    operations.delete_rule_set(made, LATER, CONSOLE, in_use=lambda _: False)
    assert RuleSet.objects.get().deleted_at == LATER
    assert RuleSetVersion.objects.count() == 1
    assert rules.rule_sets_of(alice) == ([], None)
    for gone in (lambda: rules.rule_set_of(alice, made.pk), lambda: rules.rule_set_model(None, made.pk)):
        with pytest.raises(RuleSet.DoesNotExist):
            gone()
    with pytest.raises(RuleSet.DoesNotExist):
        operations.update_rule_set(made, facts("New"), LATER, CONSOLE)
    assert rule_set(alice).name == "Dips"


def test_rule_set_in_use_is_not_deleted(alice, used):
    made = rule_set(alice)
    used.add(made.pk)
    with pytest.raises(operations.RuleSetInUse, match="used by an active run"):
        operations.delete_rule_set(made, LATER, CONSOLE, in_use=rules.in_use)
    assert RuleSet.objects.get().deleted_at is None
    used.clear()
    operations.delete_rule_set(made, LATER, CONSOLE, in_use=rules.in_use)


def test_view_has_what_starts_a_run(alice, django_assert_num_queries):
    made = rule_set(alice)
    view = rules.rule_set_of(alice, made.pk)
    assert view.limits == {"stop_loss_pct": "5"}
    assert view.params == {"definition": made.definition, "rule_set": made.pk, "version": 1}
    assert view.words[0] == "Buys when the RSI of 14 candles (cutler) crosses above 30."
    operations.sync(cast.NOW, CONSOLE)
    assert queries.build("rules", view.params) == RuleStrategy(DEFINITION)
    with django_assert_num_queries(0):
        strategy = queries.rebuild("rules", view.params)
    assert dict(strategy.params) == view.params


def test_edit_does_not_change_what_a_run_carries(alice):
    made = rule_set(alice)
    carried = rules.view_of(made).params
    operations.update_rule_set(made, facts(definition=OTHER), LATER, CONSOLE)
    assert queries.rebuild("rules", carried).protections == {"stop_loss_pct": "5"}


def test_anothers_rule_set_does_not_exist(alice, bob):
    made = rule_set(alice)
    for reading in (rules.rule_set_of, rules.rule_set_model):
        with pytest.raises(RuleSet.DoesNotExist):
            reading(bob, made.pk)
    assert rules.rule_sets_of(bob) == ([], None)
    assert rules.rule_set_model(None, made.pk) == made


def test_list_pages_newest_first_in_one_query(alice, django_assert_num_queries):
    made = [rule_set(alice, name=f"Rule {index}") for index in range(5)]
    with django_assert_num_queries(1):
        first, position = rules.rule_sets_of(alice, limit=3)
    assert [view.id for view in first] == [row.pk for row in made[:1:-1]]
    rest, end = rules.rule_sets_of(alice, limit=3, before=position)
    assert ([view.id for view in rest], end) == ([row.pk for row in made[1::-1]], None)


def test_database_holds_names_unique_and_versions_positive(alice):
    made = rule_set(alice)
    with pytest.raises(IntegrityError):
        RuleSet.objects.filter(pk=made.pk).update(version=0)
