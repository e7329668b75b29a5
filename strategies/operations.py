"""Writes to the table of strategies and to users' rule sets."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.audit import Actor
from accounts.models import User
from strategies.core.rule_words import render
from strategies.core.rules import RuleError, parse_definition
from strategies.core.strategy import StrategyRegistry
from strategies.models import MAX_DESCRIPTION, MAX_NAME, RuleSet, RuleSetVersion, Strategy


@dataclass(frozen=True, slots=True)
class Synced:
    """Names, sorted; a strategy is ``missing`` when it has a row and no module provides it any more."""

    added: tuple[str, ...]
    updated: tuple[str, ...]
    missing: tuple[str, ...]


@transaction.atomic
def sync(at: datetime, actor: Actor) -> Synced:
    """Bring the table to what the registry knows. Nobody's switch is touched, no row is deleted: runs refer to them."""
    rows = {row.name: row for row in Strategy.objects.select_for_update()}
    added, updated = [], []
    for name in StrategyRegistry.list_all():
        mirrored = _mirrored(name)
        if name not in rows:
            Strategy.objects.create(name=name, synced_at=at, **mirrored)
            added.append(name)
        elif any(getattr(rows[name], field) != value for field, value in mirrored.items()):
            Strategy.objects.filter(name=name).update(synced_at=at, **mirrored)
            updated.append(name)
    missing = sorted(rows.keys() - set(StrategyRegistry.list_all()))
    newly_missing = Strategy.objects.filter(name__in=missing, missing_since=None).update(missing_since=at)
    synced = Synced(tuple(added), tuple(updated), tuple(missing))
    if added or updated or newly_missing:
        audit.record(actor, "strategy.sync", at=at, added=added, updated=updated, missing=missing)
    return synced


def row_of(name: str, at: datetime, actor: Actor) -> Strategy:
    """The row of a registered strategy, mirrored now if nobody has synced the table yet."""
    row = Strategy.objects.filter(name=name).first()
    if row is None:
        sync(at, actor)
        row = Strategy.objects.get(name=name)
    return row


def _mirrored(name: str) -> dict[str, Any]:
    kind = StrategyRegistry.get(name)
    return {
        "description": kind.description,
        "version": kind.version,
        "parameters": kind.json_schema(),
        "module": f"{kind.__module__}:{kind.__qualname__}",
        "missing_since": None,
    }


@transaction.atomic
def set_enabled(strategy: Strategy, enabled: bool, at: datetime, actor: Actor) -> bool:
    """Switch it on or off for what is new; False when it already was."""
    changed = Strategy.objects.filter(pk=strategy.pk, enabled=not enabled).update(enabled=enabled)
    if changed:
        audit.record(actor, "strategy.enable" if enabled else "strategy.disable", strategy.name, at=at)
    strategy.enabled = enabled
    return bool(changed)


# --- rule sets ---------------------------------------------------------------------------------------------------

MOST_RULE_SETS = 200


class RuleSetProblem(Exception):
    """Nothing was written; ``code`` is stable, the message safe to show."""

    code = "rule_set_problem"


class RuleSetNameTaken(RuleSetProblem):
    """Choose another name (409)."""

    code = "rule_set_name_taken"


class RuleSetChanged(RuleSetProblem):
    """Somebody saved another version in between: look at it first (409)."""

    code = "rule_set_changed"


class RuleSetInUse(RuleSetProblem):
    """Stop what runs by it first (409)."""

    code = "rule_set_in_use"


class TooManyRuleSets(RuleSetProblem):
    """Delete one that is no longer needed (409)."""

    code = "too_many_rule_sets"


@dataclass(frozen=True, slots=True)
class RuleSetFacts:
    """What a user says; ``definition`` is JSON as it came."""

    name: str
    description: str
    definition: Any


def create_rule_set(owner: User, facts: RuleSetFacts, at: datetime, actor: Actor) -> RuleSet:
    """Raises ValidationError by field, RuleSetNameTaken, TooManyRuleSets."""
    checked = _checked(facts)
    if RuleSet.objects.for_user(owner).count() >= MOST_RULE_SETS:
        raise TooManyRuleSets(f"Expected at most {MOST_RULE_SETS} rule sets; delete one first.")
    rule_set = RuleSet(owner=owner, created_at=at, updated_at=at, **checked)
    with _unique_name(facts), transaction.atomic():
        rule_set.save(force_insert=True)
        _keep_version(rule_set, at)
        audit.record(actor, "rule_set.create", _subject(rule_set), at=at, name=rule_set.name)
    return rule_set


def update_rule_set(
    rule_set: RuleSet, facts: RuleSetFacts, at: datetime, actor: Actor, *, expected_version: int | None = None
) -> RuleSet:
    """A new version, unless nothing differs. Runs keep the definition that they were started with.

    Raises ValidationError by field, RuleSetNameTaken, and RuleSetChanged when ``expected_version`` is no longer it.
    """
    checked = _checked(facts)
    with _unique_name(facts), transaction.atomic():
        fresh = RuleSet.objects.select_for_update().get(pk=rule_set.pk, deleted_at=None)
        if expected_version is not None and fresh.version != expected_version:
            raise RuleSetChanged(f"Version {fresh.version} was saved since version {expected_version} was read.")
        if all(getattr(fresh, name) == value for name, value in checked.items()):
            return fresh
        for name, value in checked.items():
            setattr(fresh, name, value)
        fresh.version, fresh.updated_at = fresh.version + 1, at
        fresh.save(update_fields=[*checked, "version", "updated_at"])
        _keep_version(fresh, at)
        audit.record(actor, "rule_set.update", _subject(fresh), at=at, name=fresh.name, version=fresh.version)
    return fresh


def delete_rule_set(rule_set: RuleSet, at: datetime, actor: Actor, *, in_use: Callable[[RuleSet], bool]) -> None:
    """The rows stay, for whoever asks what an old run was made from. Raises RuleSetInUse, asked under the lock."""
    with transaction.atomic():
        fresh = RuleSet.objects.select_for_update().get(pk=rule_set.pk, deleted_at=None)
        if in_use(fresh):
            raise RuleSetInUse(f"The rule set {fresh.name} is used by an active run; stop the run first.")
        fresh.deleted_at = at
        fresh.save(update_fields=["deleted_at"])
        audit.record(actor, "rule_set.delete", _subject(fresh), at=at, name=fresh.name)


def _checked(facts: RuleSetFacts) -> dict[str, Any]:
    """The columns; every field that is wrong is named at once."""
    name, description, errors = " ".join(facts.name.split()), facts.description.strip(), dict[str, str]()
    if not (0 < len(name) <= MAX_NAME and name.isprintable()):
        errors["name"] = f"Expected 1 to {MAX_NAME} printable characters, was {len(name)}."
    if len(description) > MAX_DESCRIPTION or not "".join(description.split()).isprintable():
        errors["description"] = f"Expected at most {MAX_DESCRIPTION} printable characters, was {len(description)}."
    definition: dict[str, Any] = {}
    try:
        definition = render(parse_definition(facts.definition))
    except RuleError as error:
        errors["definition"] = str(error)
    if errors:
        raise ValidationError(errors)
    return {"name": name, "description": description, "definition": definition}


@contextmanager
def _unique_name(facts: RuleSetFacts) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise RuleSetNameTaken(f"You have a rule set named {' '.join(facts.name.split())} already.") from None


def _keep_version(rule_set: RuleSet, at: datetime) -> None:
    RuleSetVersion.objects.create(
        rule_set=rule_set,
        version=rule_set.version,
        name=rule_set.name,
        description=rule_set.description,
        definition=rule_set.definition,
        created_at=at,
    )


def _subject(rule_set: RuleSet) -> str:
    return f"rule_set:{rule_set.pk}"
