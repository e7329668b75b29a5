"""Changes to limits, audited."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from bots.core.limits import EXECUTION, LimitError, parse_limits
from bots.models import RiskLimits


def checked(limits: Mapping[str, Any]) -> dict[str, str | int | bool]:
    """The limits as they are kept; raises LimitError naming each wrong one."""
    wanted = parse_limits(limits).as_json()
    if misplaced := [name for name in EXECUTION if name in wanted]:
        raise LimitError(dict.fromkeys(misplaced, "Expected this with a run only: it says how its orders are sent."))
    return wanted


@transaction.atomic
def set_limits(level: str, target: int, limits: Mapping[str, Any], at: datetime, actor: Actor) -> RiskLimits:
    """Replace the limits at one level; raises LimitError naming each wrong one."""
    wanted = checked(limits)
    row, _ = RiskLimits.objects.update_or_create(
        level=level, target=target, defaults={"limits": wanted, "changed_at": at}
    )
    audit.record(actor, "limits.set", f"{level}:{target}", at=at, limits=wanted)
    return row
