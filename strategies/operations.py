"""Writes to the table of strategies."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from strategies.core.strategy import StrategyRegistry
from strategies.models import Strategy


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
