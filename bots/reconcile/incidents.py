"""Something that should not happen did: it is written down, and the account is held back until a person looked."""

from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import audit
from bots import gates
from bots.core.risk import Gate
from bots.models import BotRun, Incident, Level, TradingAccount, TradingGate
from bots.situation import SEVERITY

ACTION = {Gate.REDUCING: "reduce", Gate.HALTED: "halt"}


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
    """Once per kind and subject, unless a person has resolved it and it happens anew under another subject."""
    if Incident.objects.filter(account=account, kind=kind, evidence__subject=subject).exists():
        return False
    Incident.objects.create(
        account=account, kind=kind, detail=detail[:400], evidence={"subject": subject} | evidence, at=at
    )
    hold_back(account, gate, detail, at)
    return True


def hold_back(account: TradingAccount, gate: Gate, reason: str, at: datetime) -> None:
    """Tighten the account's kill switch: its key's when live, else its run's; never loosen it."""
    if account.key_id is not None:
        targets = [(Level.KEY, account.key_id)]
    else:
        targets = [(Level.RUN, run) for run in BotRun.objects.filter(account=account).values_list("pk", flat=True)]
    for level, target in targets:
        row = TradingGate.objects.filter(level=level, target=target).first()
        if row is None or SEVERITY[Gate(row.state)] < SEVERITY[gate]:
            gates.switch(level, target, ACTION[gate], reason[:300], at, audit.SYSTEM)
