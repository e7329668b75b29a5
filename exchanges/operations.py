"""Adds, checks, deletes and re-encrypts exchange keys; each is audited, and none ever shows a secret."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.audit import Actor
from accounts.core.keyring import Undecryptable
from accounts.models import User
from exchanges.adapters.ccxt_contracts import CONTRACTS
from exchanges.connect import (
    credentials_of,
    needs_passphrase,
    open_exchange,
    open_unsaved,
    place_of,
)
from exchanges.core.errors import ExchangeFault, KeyInvalid, PermissionMissing
from exchanges.core.orders import KeyPermissions
from exchanges.models import ExchangeKey, ExchangeKeyQuerySet
from exchanges.vault import Credentials, Sealed, fingerprint, keyring, seal

LONGEST = {"api_key": 512, "api_secret": 4096, "passphrase": 256, "label": 80}
SHORTEST = {"api_key": 8, "api_secret": 8}


class KeyProblem(Exception):
    """A key cannot be used as asked; ``code`` is a stable word, the message is safe to show."""

    code = "key_problem"


class KeyCanWithdraw(KeyProblem):
    """Whoever stole such a key could empty the account: it is never stored."""

    code = "key_can_withdraw"


class KeyRefused(KeyProblem):
    """The exchange itself does not accept the key."""

    code = "key_refused"


class KeyAlreadyAdded(KeyProblem):
    code = "key_exists"


class KeyInUse(KeyProblem):
    code = "key_in_use"


def add_key(
    owner: User,
    exchange: str,
    api_key: str,
    api_secret: str,
    passphrase: str = "",
    label: str = "",
    *,
    at: datetime,
    actor: Actor,
) -> ExchangeKey:
    """Store a key, encrypted, after asking its exchange what it may do.

    Raises ValidationError (by field), KeyCanWithdraw, KeyRefused or KeyAlreadyAdded; then nothing is stored. An
    exchange that cannot be asked within ten seconds, or has no such call, leaves the key "unverified": paper only.
    """
    credentials = Credentials(api_key.strip(), api_secret.strip(), passphrase.strip())
    _validate(exchange, credentials, label)
    mark = fingerprint(keyring(), owner.pk, exchange, credentials.api_key)
    if ExchangeKey.objects.for_user(owner).present().filter(exchange=exchange, fingerprint=mark).exists():
        raise KeyAlreadyAdded(f"This key for {exchange} was added before.")
    permissions = _permissions(owner, exchange, credentials, at, actor)
    key = ExchangeKey(
        owner=owner,
        uuid=uuid4(),
        exchange=exchange,
        label=label.strip(),
        api_key_hint=credentials.api_key[-4:],
        fingerprint=mark,
        created_at=at,
    )
    _write(key, seal(keyring(), place_of(key), credentials))
    _learn(key, permissions, at)
    try:
        with transaction.atomic():
            key.save(force_insert=True)
            audit.record(actor, "key_added", f"key:{key.pk}", at=at, exchange=exchange, permissions=key.permissions)
    except IntegrityError:
        raise KeyAlreadyAdded(f"This key for {exchange} was added before.") from None
    return key


def check_key(key: ExchangeKey, at: datetime, actor: Actor) -> ExchangeKey:
    """Ask the exchange again what the key may do, and remember the answer.

    A key that has learned to withdraw is kept, marked, so that its runs can be stopped; one that the exchange no longer
    knows becomes unverified. Raises ExchangeFault, and changes nothing, when the exchange cannot be asked.
    """
    try:
        permissions: KeyPermissions | None = open_exchange(key, at=at, purpose="check").fetch_permissions()
    except (KeyInvalid, PermissionMissing):
        permissions = None
    with transaction.atomic():
        fresh = ExchangeKey.objects.select_for_update().present().get(pk=key.pk)
        _learn(fresh, permissions, at)
        fresh.last_checked_at = at
        fresh.save(update_fields=["permissions", "can_withdraw", "ip_restricted", "last_checked_at"])
        audit.record(
            actor, "key_checked", f"key:{key.pk}", at=at, permissions=fresh.permissions, can_withdraw=fresh.can_withdraw
        )
    return fresh


def delete_key(key: ExchangeKey, at: datetime, actor: Actor, *, in_use: Callable[[ExchangeKey], bool]) -> None:
    """Erase the ciphertext; the row stays for the ledger. ``in_use`` is asked while the row is locked: KeyInUse."""
    with transaction.atomic():
        fresh = ExchangeKey.objects.select_for_update().present().get(pk=key.pk)
        if in_use(fresh):
            raise KeyInUse(f"Key {fresh.pk} is used by a run; stop the run first.")
        fresh.encrypted_key = fresh.encrypted_secret = fresh.encrypted_passphrase = ""
        fresh.iv_key = fresh.iv_secret = fresh.iv_passphrase = fresh.fingerprint = ""
        fresh.deleted_at = at
        fresh.save()
        audit.record(actor, "key_deleted", f"key:{fresh.pk}", at=at, exchange=fresh.exchange)


@dataclass(frozen=True, slots=True)
class Rotation:
    """``unreadable`` rows need a master key that is gone, or were altered; they are left as they are."""

    rotated: int
    unreadable: tuple[int, ...]
    remaining: int


def rotate(batch: int, at: datetime, actor: Actor, *, dry_run: bool = False) -> Rotation:
    """Re-encrypt under the newest master key every row that is under an older one.

    Safe to kill, to run again and to run beside everything else: each row is one compare-and-swap on its version.
    With ``dry_run`` every row is opened and none is changed.
    """
    if batch < 1:
        raise ValueError(f"batch: Expected a whole number above zero, was {batch}.")
    rotated, unreadable, last = 0, [], 0
    while keys := list(_stale().filter(pk__gt=last).order_by("pk")[:batch]):
        last = keys[-1].pk
        done = 0
        for key in keys:
            try:
                done += _reencrypt(key, dry_run=dry_run)
            except Undecryptable:
                unreadable.append(key.pk)
        rotated += done
        if done and not dry_run:
            audit.record(actor, "keys_rotated", f"master:{keyring().primary_id}", at=at, count=done, last=last)
    return Rotation(rotated, tuple(unreadable), _stale().count())


def _stale() -> ExchangeKeyQuerySet:
    return ExchangeKey.objects.present().exclude(key_id=keyring().primary_id)


def _reencrypt(key: ExchangeKey, *, dry_run: bool) -> int:
    credentials = credentials_of(key)
    if dry_run:
        return 1
    version = key.row_version
    key.row_version += 1
    _write(key, seal(keyring(), place_of(key), credentials))
    columns = {name: getattr(key, name) for name in ("key_id", "row_version", *_COLUMNS)}
    columns["fingerprint"] = fingerprint(keyring(), key.owner_id, key.exchange, credentials.api_key)
    # Whoever changed or deleted the row meanwhile wins; a second pass takes what is still left.
    return ExchangeKey.objects.present().filter(pk=key.pk, row_version=version).update(**columns)


_COLUMNS = (
    "encrypted_key",
    "iv_key",
    "encrypted_secret",
    "iv_secret",
    "encrypted_passphrase",
    "iv_passphrase",
)


def _write(key: ExchangeKey, sealed: Sealed) -> None:
    key.key_id = sealed.key_id
    key.iv_key, key.encrypted_key = sealed.fields["api_key"]
    key.iv_secret, key.encrypted_secret = sealed.fields["api_secret"]
    key.iv_passphrase, key.encrypted_passphrase = sealed.fields["passphrase"]


def _learn(key: ExchangeKey, permissions: KeyPermissions | None, at: datetime) -> None:
    if permissions is None:
        key.permissions, key.can_withdraw, key.ip_restricted = ExchangeKey.Permissions.UNVERIFIED, None, None
        return
    key.permissions = ExchangeKey.Permissions.TRADE if permissions.can_trade else ExchangeKey.Permissions.READ
    key.can_withdraw, key.ip_restricted = permissions.can_withdraw, permissions.ip_restricted
    key.last_checked_at = at


def _permissions(
    owner: User, exchange: str, credentials: Credentials, at: datetime, actor: Actor
) -> KeyPermissions | None:
    try:
        permissions = open_unsaved(exchange, credentials, at).fetch_permissions()
    except (KeyInvalid, PermissionMissing) as fault:
        audit.record(actor, "key_refused", f"user:{owner.pk}", at=at, exchange=exchange, code=KeyRefused.code)
        raise KeyRefused(f"{exchange} does not accept this key: {fault.detail}") from None
    except ExchangeFault:
        return None
    if permissions.can_withdraw:
        audit.record(actor, "key_refused", f"user:{owner.pk}", at=at, exchange=exchange, code=KeyCanWithdraw.code)
        raise KeyCanWithdraw(
            f"This key can move funds out of {exchange}. Make one without withdrawal and transfer rights, and add that."
        )
    return permissions


def _validate(exchange: str, credentials: Credentials, label: str) -> None:
    texts = {name: getattr(credentials, name) for name in ("api_key", "api_secret", "passphrase")} | {"label": label}
    wrong = {name: problem for name, text in texts.items() if (problem := _problem(name, text))}
    if exchange not in CONTRACTS:
        wrong["exchange"] = f"Expected one of {', '.join(CONTRACTS)}, was {exchange!r}."
    if needs_passphrase(exchange) and not credentials.passphrase:
        wrong["passphrase"] = f"Expected the passphrase that {exchange} gave you with the key, was empty."
    if wrong:
        raise ValidationError({name: [text] for name, text in wrong.items()})


def _problem(name: str, text: str) -> str:
    """What is wrong with one field; the value itself is never repeated."""
    least = SHORTEST.get(name, 0)
    if not least <= len(text) <= LONGEST[name]:
        return f"Expected {least} to {LONGEST[name]} characters, was {len(text)}."
    # A private key in PEM form has line breaks; nothing else in it may be unprintable.
    return "" if text.replace("\n", "").isprintable() else "Expected printable characters only."
