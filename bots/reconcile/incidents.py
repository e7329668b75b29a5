"""Something that should not happen did: a case is opened, and the account is held back until a person resolves it."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from accounts import audit
from bots import gates
from bots.core.risk import Gate
from bots.models import Incident, TradingAccount

#: A case that stands is noted no more often than this; an order in doubt is asked about every two seconds.
NOTED_EVERY = timedelta(seconds=30)
#: Passes that a case keeps word for word: the first ones, and the newest.
FIRST, NEWEST = 2, 8


@transaction.atomic
def tell(
    account: TradingAccount,
    kind: str,
    subject: str,
    detail: str,
    evidence: dict[str, Any],
    at: datetime,
    gate: Gate = Gate.HALTED,
) -> bool:
    """Open a case, or note on the open one that it still stands. What a person has resolved opens anew.

    ``evidence["seen"]``, if given, holds what each pass saw; the later ones are put behind the earlier.
    """
    facts = {"detail": detail[:400], "evidence": evidence, "hold": gate.value, "at": at, "last_at": at}
    case, opened = Incident.objects.get_or_create(
        account=account, kind=kind, subject=subject, resolved_at=None, defaults=facts
    )
    if not opened:
        _still_stands(case, detail, evidence, at)
        return False
    gates.hold(account, f"Case {case.pk}: {detail}", at, audit.SYSTEM)
    return True


def _still_stands(case: Incident, detail: str, evidence: dict[str, Any], at: datetime) -> None:
    fresh = evidence.get("seen", [])
    if not fresh and at - case.last_at < NOTED_EVERY:
        return
    seen = [*case.evidence.get("seen", []), *fresh]
    if len(seen) > FIRST + NEWEST:
        seen = [*seen[:FIRST], *seen[-NEWEST:]]
    known = {**case.evidence, **evidence, **({"seen": seen} if seen else {})}
    Incident.objects.filter(pk=case.pk, resolved_at=None).update(
        detail=detail[:400], evidence=known, last_at=at, passes=F("passes") + 1, agreed_at=None
    )


def agrees(account: TradingAccount, kind: str, subject: str, at: datetime) -> None:
    """A pass compared and found no difference any more; that alone resolves nothing."""
    Incident.objects.filter(account=account, kind=kind, subject=subject, resolved_at=None).update(agreed_at=at)
