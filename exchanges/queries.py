"""What may be shown of exchange keys, and whether the keyring still opens all of them."""

from dataclasses import asdict, dataclass
from datetime import datetime

from accounts.models import User
from exchanges.models import ExchangeKey
from exchanges.vault import keyring


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key without anything secret; ``api_key_hint`` is the end of the API key, never of its secret."""

    id: int
    exchange: str
    label: str
    api_key_hint: str
    permissions: str
    can_withdraw: bool | None
    ip_restricted: bool | None
    created_at: datetime
    last_checked_at: datetime | None


def view_of(key: ExchangeKey) -> KeyView:
    return KeyView(
        id=key.pk,
        exchange=key.exchange,
        label=key.label,
        api_key_hint=key.api_key_hint,
        permissions=key.permissions,
        can_withdraw=key.can_withdraw,
        ip_restricted=key.ip_restricted,
        created_at=key.created_at,
        last_checked_at=key.last_checked_at,
    )


def keys_of(user: User) -> list[KeyView]:
    """The user's present keys, newest first."""
    return [view_of(key) for key in ExchangeKey.objects.for_user(user).present()]


def key_of(user: User, key_id: int) -> ExchangeKey:
    """One of the user's own present keys; anybody else's does not exist (ExchangeKey.DoesNotExist)."""
    return ExchangeKey.objects.for_user(user).present().get(pk=key_id)


def missing_key_ids() -> dict[str, int]:
    """Fingerprints of master keys that stored secrets need and the keyring lacks, with how many rows need each."""
    counts: dict[str, int] = {}
    for key_id in ExchangeKey.objects.present().exclude(key_id__in=keyring().key_ids).values_list("key_id", flat=True):
        counts[key_id] = counts.get(key_id, 0) + 1
    return counts


def all_keys() -> list[KeyView]:
    """For the operator's console."""
    return [view_of(key) for key in ExchangeKey.objects.present()]


def present_key(key_id: int) -> ExchangeKey:
    """For the operator's console; raises ExchangeKey.DoesNotExist."""
    return ExchangeKey.objects.present().get(pk=key_id)


def document(view: KeyView) -> dict[str, object]:
    """The fields of the API."""
    return asdict(view)


def line(view: KeyView) -> str:
    """One line for a console."""
    checked = f"{view.last_checked_at:%Y-%m-%d %H:%M} UTC" if view.last_checked_at else "never"
    may = f"{view.permissions}, CAN WITHDRAW" if view.can_withdraw else view.permissions
    return f"{view.id}  {view.exchange}  {view.label or '-'}  …{view.api_key_hint}  {may}  checked {checked}"
