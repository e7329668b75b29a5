"""Exchange keys as their runs see them: armed or not, in use or not."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Max

from accounts.models import User
from bots.core.risk import Permit
from bots.models import Arming, BotRun
from bots.situation import key_permit
from exchanges.models import ExchangeKey
from exchanges.queries import KeyView, view_of


@dataclass(frozen=True, slots=True)
class KeyUse:
    """``permit`` is GRANTED or the code that forbids live orders; ``used_at`` the last start of a run with the key."""

    key: KeyView
    permit: str
    armed_until: datetime | None
    active_runs: int
    used_at: datetime | None


def key_in_use(key: ExchangeKey) -> bool:
    return BotRun.objects.guarded().filter(key=key).exists()


def key_uses(user: User, at: datetime) -> list[KeyUse]:
    """The user's present keys, newest first."""
    keys = list(ExchangeKey.objects.for_user(user).present())
    until = dict(Arming.objects.filter(key__in=keys, dropped_at=None).values_list("key_id", "expires_at"))
    active = Counter(BotRun.objects.guarded().filter(key__in=keys).values_list("key_id", flat=True))
    used = dict(BotRun.objects.filter(key__in=keys).values_list("key_id").annotate(at=Max("started_at")).order_by())
    return [_use(key, at, until, active, used) for key in keys]


def _use(
    key: ExchangeKey,
    at: datetime,
    until: Mapping[int, datetime],
    active: Mapping[int, int],
    used: Mapping[int, datetime],
) -> KeyUse:
    permit = key_permit(key, at)
    return KeyUse(
        key=view_of(key),
        permit=permit.value,
        armed_until=until.get(key.pk) if permit is Permit.GRANTED else None,
        active_runs=active.get(key.pk, 0),
        used_at=used.get(key.pk),
    )
