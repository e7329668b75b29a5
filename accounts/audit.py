"""The append-only log of what people did, chained by hashes."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.db import transaction

from accounts.core.addresses import canonical
from accounts.models import AuditEntry, AuditHead, User

GENESIS = "0" * 64
HEAD = 1


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: a user on a page, a token's user, the operator's console, a stranger, or the system itself."""

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
        "address": canonical(entry.address) if entry.address else None,
    }
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((previous + text).encode()).hexdigest()


@transaction.atomic
def record(actor: Actor, action: str, subject: str = "", *, at: datetime, **detail: Any) -> AuditEntry:
    """Append one entry, in the transaction of the change that it describes.

    Call it last in that transaction: it holds the end of the log until the commit, and whoever then waits for another
    lock makes everybody wait.
    """
    head = _locked_head()
    entry = AuditEntry(
        at=at,
        actor=actor.user,
        actor_kind=actor.kind,
        action=action,
        subject=_text(subject)[:80],
        detail=_storable(detail),
        address=canonical(actor.address) if actor.address else None,
        previous_hash=head.row_hash,
    )
    entry.row_hash = row_hash(entry.previous_hash, entry)
    entry.save(force_insert=True)
    head.entries, head.last_id, head.row_hash = head.entries + 1, entry.pk, entry.row_hash
    head.save(update_fields=["entries", "last_id", "row_hash"])
    return entry


def first_break() -> int | None:
    """The id of the first entry that is edited, out of place, missing at the end or not written by us; None if whole.

    A missing entry is reported as the one after it, a missing tail as the last entry there should be.
    """
    head = AuditHead.objects.filter(pk=HEAD).first()
    last_id = head.last_id if head else 0
    previous, seen = GENESIS, 0
    for entry in AuditEntry.objects.filter(pk__lte=last_id).order_by("id").iterator(chunk_size=2000):
        if entry.previous_hash != previous or entry.row_hash != row_hash(previous, entry):
            return int(entry.pk)
        previous, seen = entry.row_hash, seen + 1
    if head and (previous, seen) != (head.row_hash, head.entries):
        return last_id
    return _first_beyond(head)


def _first_beyond(head: AuditHead | None) -> int | None:
    """An entry behind the end that does not belong to the end having moved on meanwhile."""
    extra = AuditEntry.objects.filter(pk__gt=head.last_id if head else 0).order_by("id").first()
    if extra is None or AuditHead.objects.filter(pk=HEAD, last_id__gte=extra.pk).exists():
        return None
    return int(extra.pk)


def _locked_head() -> AuditHead:
    """The head, held until the transaction ends; SQLite holds its whole database from the transaction's start."""
    heads = AuditHead.objects.select_for_update()
    head = heads.filter(pk=HEAD).first()
    if head is None:
        AuditHead.objects.bulk_create([AuditHead(pk=HEAD, row_hash=GENESIS)], ignore_conflicts=True)
        head = heads.get(pk=HEAD)
    return head


def _storable(value: Any) -> Any:
    """What JSON columns give back as it was: PostgreSQL respells floats and refuses NUL."""
    match value:
        case None | bool() | int():
            return value
        case dict():
            return {_text(key): _storable(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_storable(item) for item in value]
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.astimezone(UTC).isoformat()
    return _text(value)


def _text(value: object) -> str:
    return str(value).replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
