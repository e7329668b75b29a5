"""The kill switch at four levels; it works with nothing but the database."""

from contextlib import suppress
from datetime import datetime

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.audit import Actor
from bots.models import BotRun, GateState, Incident, Level, Status, TradingAccount, TradingGate
from bots.models.run import BotRunQuerySet

STATE_AFTER = {
    "halt": GateState.HALTED,
    "reduce": GateState.REDUCING,
    "flatten": GateState.REDUCING,
    "resume": GateState.ACTIVE,
}


@transaction.atomic
def switch(level: str, target: int, action: str, reason: str, at: datetime, actor: Actor) -> TradingGate:
    """Engage or release; entries are off before any selling. ``flatten`` also asks the runs to sell and stop.

    Orders in flight are not cut off here: planned entries can no longer be claimed, open ones are canceled by
    the next watch.
    """
    if action not in STATE_AFTER:
        raise ValueError(f"action: Expected one of {', '.join(STATE_AFTER)}, was {action!r}.")
    if not reason.strip():
        raise ValueError("reason: Expected a sentence, was empty.")
    if action == "flatten":
        # The runs before the switch, as every claim locks them: two that met crosswise would deadlock.
        _ask_to_sell(runs_under(level, target), reason)
    gate, _ = TradingGate.objects.update_or_create(
        level=level,
        target=target,
        defaults={
            "state": STATE_AFTER[action],
            "reason": reason.strip()[:300],
            "actor": str(actor)[:64],
            "changed_at": at,
        },
    )
    audit.record(actor, f"kill_switch.{action}", f"{level}:{target}", at=at, reason=reason)
    return gate


def _ask_to_sell(runs: BotRunQuerySet, reason: str) -> None:
    """Also those in error, which need no strategy to sell what they hold."""
    asked = {"status": Status.STOPPING, "close_requested": True, "status_reason": reason[:300]}
    runs.active().update(**asked)
    for run in runs.filter(status=Status.ERROR, held__gt=0).order_by("pk"):
        # One whose symbol and key another live run has taken cannot become active again; it holds back no other.
        with suppress(IntegrityError), transaction.atomic():
            BotRun.objects.filter(pk=run.pk, status=Status.ERROR).update(**asked)


@transaction.atomic
def hold(account: TradingAccount, reason: str, at: datetime, actor: Actor) -> None:
    """Set the account's own gate to what its open cases ask for: the strictest of them, open when there is none.

    People switch at the other levels, so that neither undoes the other.
    """
    unheld = {"state": GateState.ACTIVE, "reason": "", "actor": "", "changed_at": at}
    gate, _ = TradingGate.objects.select_for_update().get_or_create(
        level=Level.ACCOUNT, target=account.pk, defaults=unheld
    )
    # Read under the gate's lock: a case that is opened at this moment must not be overlooked.
    asked = set(Incident.objects.filter(account=account, resolved_at=None).values_list("hold", flat=True))
    action = "halt" if GateState.HALTED in asked else "reduce" if asked else "resume"
    if gate.state != STATE_AFTER[action]:
        switch(Level.ACCOUNT, account.pk, action, reason[:300], at, actor)


def runs_under(level: str, target: int) -> BotRunQuerySet:
    """The runs that a switch at this level speaks for."""
    runs = BotRun.objects.all()
    match level:
        case Level.PLATFORM:
            return runs
        case Level.USER:
            return runs.filter(user_id=target)
        case Level.KEY:
            return runs.filter(key_id=target)
        case Level.ACCOUNT:
            return runs.filter(account_id=target)
        case _:
            return runs.filter(pk=target)
