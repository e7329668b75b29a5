"""The append-only log of what people did, chained by hashes."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db import transaction

from accounts.models import AuditEntry, User

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a user on a page, a token's user, the operator's console, or the system itself."""

    kind: str
    user: User | None = None
    address: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.user.pk}" if self.user else self.kind


CONSOLE = Actor("console")
SYSTEM = Actor("system")


def row_hash(previous: str, entry: AuditEntry) -> str:
    """SHA-256(previous hash ‖ canonical JSON of the row)."""
    facts = {
        "at": entry.at.astimezone(UTC).isoformat(),
        "actor": entry.actor_id,
        "kind": entry.actor_kind,
        "action": entry.action,
        "subject": entry.subject,
        "detail": entry.detail,
        "address": entry.address,
    }
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256((previous + text).encode()).hexdigest()


@transaction.atomic
def record(actor: Actor, action: str, subject: str = "", *, at: datetime, **detail: Any) -> AuditEntry:
    """Append one entry; call it inside the transaction of the change that it describes."""
    last = AuditEntry.objects.select_for_update().order_by("-id").values_list("row_hash", flat=True).first()
    entry = AuditEntry(
        at=at,
        actor=actor.user,
        actor_kind=actor.kind,
        action=action,
        subject=subject,
        detail=json.loads(json.dumps(detail, default=str)),
        address=actor.address,
        previous_hash=last or GENESIS,
    )
    entry.row_hash = row_hash(entry.previous_hash, entry)
    entry.save(force_insert=True)
    return entry


def first_break() -> int | None:
    """The id of the first entry that does not follow from the one before, or None."""
    previous = GENESIS
    for entry in AuditEntry.objects.order_by("id").iterator():
        if entry.previous_hash != previous or entry.row_hash != row_hash(previous, entry):
            return int(entry.pk)
        previous = entry.row_hash
    return None
