"""When an order that came to nothing is decided anew, and under which key."""

from datetime import datetime, timedelta

from django.db.models import Q

from bots.core.codes import Code
from bots.models import BotRun, Decision

#: Between tries of an order that came to nothing.
RETRY_EVERY = timedelta(seconds=20)


def next_key(run: BotRun, key: str, at: datetime) -> str | None:
    """The first try under the cause's own key, later ones under numbered keys; None: it was tried a moment ago."""
    root = key.split(":retry:")[0]
    tried = Decision.objects.filter(run=run).filter(Q(decision_key=root) | Q(decision_key__startswith=f"{root}:retry:"))
    latest = tried.order_by("-id").first()
    if latest is None:
        return key
    return f"{root}:retry:{tried.count()}" if at - latest.at >= RETRY_EVERY or _crossed(latest) else None


def _crossed(latest: Decision) -> bool:
    """The next try begins by calling back what stood in its way: there is nothing to wait for."""
    denied = latest.order.reject_code if latest.order is not None else latest.code
    return denied == Code.SELF_CROSS
