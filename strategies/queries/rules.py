"""Users' rule sets, and which of them something still runs by."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from accounts.models import User
from strategies.core.rules import RuleStrategy
from strategies.models import RuleSet, RuleSetVersion

#: Whoever runs rule sets says here whether one is in use; filled when their app is made ready.
users: list[Callable[[RuleSet], bool]] = []


@dataclass(frozen=True, slots=True)
class RuleSetView:
    """``params`` start a run or a backtest of the strategy ``rules``; ``limits`` are the rule's own protections."""

    id: int
    name: str
    description: str
    version: int
    definition: dict[str, Any]
    words: list[str]
    params: dict[str, Any]
    limits: dict[str, str]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class VersionView:
    version: int
    name: str
    description: str
    definition: dict[str, Any]
    words: list[str]
    created_at: datetime


def rule_sets_of(user: User, *, limit: int = 100, before: int | None = None) -> tuple[list[RuleSetView], int | None]:
    """The newest first, and the position after which the next page begins."""
    rows = RuleSet.objects.for_user(user).order_by("-id")
    found = list((rows.filter(pk__lt=before) if before is not None else rows)[: limit + 1])
    return [_view(row) for row in found[:limit]], found[limit - 1].pk if len(found) > limit else None


def rule_set_of(user: User, rule_set_id: int) -> RuleSetView:
    """Raises RuleSet.DoesNotExist, also for another's and for a deleted one."""
    return _view(rule_set_model(user, rule_set_id))


def rule_set_model(user: User | None, rule_set_id: int) -> RuleSet:
    """The same as a row, for operations; user None: anybody's, for the console."""
    rows = RuleSet.objects.filter(deleted_at=None) if user is None else RuleSet.objects.for_user(user)
    return rows.get(pk=rule_set_id)


def view_of(rule_set: RuleSet) -> RuleSetView:
    return _view(rule_set)


def versions_of(rule_set: RuleSet, *, limit: int = 50) -> list[VersionView]:
    """The newest first."""
    return [_version(row) for row in rule_set.versions.order_by("-version")[:limit]]


def version_of(rule_set: RuleSet, version: int) -> VersionView:
    """Raises RuleSetVersion.DoesNotExist."""
    return _version(rule_set.versions.get(version=version))


def in_use(rule_set: RuleSet) -> bool:
    """Whether an active run trades by it."""
    return any(asked(rule_set) for asked in users)


def _view(row: RuleSet) -> RuleSetView:
    strategy = RuleStrategy(row.definition, rule_set=row.pk, version=row.version)
    return RuleSetView(
        id=row.pk,
        name=row.name,
        description=row.description,
        version=row.version,
        definition=row.definition,
        words=strategy.words,
        params=dict(strategy.params),
        limits=dict(strategy.protections),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _version(row: RuleSetVersion) -> VersionView:
    words = RuleStrategy(row.definition).words
    return VersionView(row.version, row.name, row.description, row.definition, words, row.created_at)
