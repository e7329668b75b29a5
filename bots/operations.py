"""Changes to limits, audited; and whom a limit or a switch may be for."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from accounts.models import User
from bots.core.limits import EXECUTION, LimitError, Limits, parse_limits
from bots.models import Level, RiskLimits
from bots.queries.runs import run_model
from exchanges.models import ExchangeKey


class WrongTarget(ValueError):
    """An id where the platform is meant, or none where somebody else is."""


def require_target(level: str, target: int) -> None:
    """What is not there cannot be stopped or limited, and must not look as if it had been.

    Raises WrongTarget, and DoesNotExist of a user, key or run.
    """
    if (level == Level.PLATFORM) != (target == 0):
        raise WrongTarget("--target: Expected an id for every level but platform.")
    match level:
        case Level.RUN:
            run_model(None, target)
        case Level.KEY:
            ExchangeKey.objects.present().get(pk=target)
        case Level.USER:
            User.objects.get(pk=target)


def checked(limits: Mapping[str, Any]) -> dict[str, str | int | bool]:
    """The limits as they are kept; raises LimitError naming each wrong one."""
    wanted = parse_limits(limits).as_json()
    if misplaced := [name for name in EXECUTION if name in wanted]:
        raise LimitError(dict.fromkeys(misplaced, "Expected this with a run only: it says how its orders are sent."))
    return wanted


@transaction.atomic
def set_limits(
    level: str,
    target: int,
    limits: Mapping[str, Any],
    at: datetime,
    actor: Actor,
    permit: Callable[[Limits, Limits], None] | None = None,
) -> RiskLimits:
    """Replace the limits at one level; raises LimitError naming each wrong one.

    ``permit`` is given what stands and what is wanted, while nobody else can change it, and raises to refuse.
    """
    wanted = checked(limits)
    kept = RiskLimits.objects.select_for_update()
    row, _ = kept.get_or_create(level=level, target=target, defaults={"limits": {}, "changed_at": at})
    if permit is not None:
        permit(parse_limits(row.limits), parse_limits(wanted))
    row.limits, row.changed_at = wanted, at
    row.save(update_fields=["limits", "changed_at"])
    audit.record(actor, "limits.set", f"{level}:{target}", at=at, limits=wanted)
    return row
