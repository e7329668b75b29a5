"""Arming: a person's permission, for a while, to trade live with one key."""

from datetime import datetime, timedelta

from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from bots.models import Arming
from exchanges.models import ExchangeKey

LIFE = timedelta(days=7)


class ArmingRefused(Exception):
    """The key cannot be armed; ``code`` is stable."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


def phrase_of(key: ExchangeKey) -> str:
    """What a person types who means it."""
    return f"trade live with {key.api_key_hint}"


def refusal(key: ExchangeKey) -> ArmingRefused | None:
    """Why the key cannot be armed, whoever asks."""
    if key.deleted_at is not None:
        return ArmingRefused("KEY_INVALID", "The key was deleted.")
    if key.can_withdraw:
        return ArmingRefused("KEY_CAN_WITHDRAW", "The key may withdraw; such a key is never used.")
    if key.permissions != ExchangeKey.Permissions.TRADE:
        return ArmingRefused("PAPER_ONLY", "The key's permission to trade is not verified.")
    return None


@transaction.atomic
def arm(key: ExchangeKey, by: str, at: datetime, actor: Actor, *, life: timedelta = LIFE) -> Arming:
    """Only behind a fresh second factor (`page`, `admin`) or by the operator (`console`); audited as such."""
    if refused := refusal(key):
        raise refused
    disarm(key, "armed anew", at, actor, told=False)
    arming = Arming.objects.create(key=key, user_id=key.owner_id, by=by, armed_at=at, expires_at=at + life)
    audit.record(actor, "key.armed", f"key:{key.pk}", at=at, by=by, until=arming.expires_at.isoformat())
    return arming


@transaction.atomic
def disarm(key: ExchangeKey, reason: str, at: datetime, actor: Actor, *, told: bool = True) -> bool:
    """End the key's arming, if it has one."""
    ended = Arming.objects.filter(key=key, dropped_at=None).update(dropped_at=at, drop_reason=reason[:120])
    if ended and told:
        audit.record(actor, "key.disarmed", f"key:{key.pk}", at=at, reason=reason)
    return bool(ended)
