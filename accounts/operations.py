"""Every write to accounts and tokens; pages, administration and commands call these."""

import hashlib
import secrets
import string
from collections.abc import Callable, Sequence
from datetime import datetime
from ipaddress import ip_network

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.adapters import MFA_PURPOSE
from accounts.audit import SYSTEM, Actor
from accounts.models import SCOPES, ApiToken, User
from accounts.vault import is_current, seal, unseal

PREFIX_ALPHABET = string.ascii_letters + string.digits
PREFIX_LENGTH = 8
LABEL_LENGTH = 80
MAX_NETWORKS = 50
SEALED_FIELDS = ("secret", "seed")


def create_user(email: str, password: str, at: datetime, actor: Actor, *, is_staff: bool = False) -> User:
    """Raise ``ValidationError`` naming ``email`` or ``password``; the address counts as verified by the actor."""
    email = email.strip().lower()
    candidate = User(email=email, is_staff=is_staff, is_superuser=is_staff, date_joined=at)
    _validate("email", lambda: validate_email(email))
    _validate("email", lambda: candidate.clean_fields(exclude=["password"]))
    _validate("password", lambda: validate_password(password, candidate))
    candidate.set_password(password)
    try:
        with transaction.atomic():
            candidate.save(force_insert=True)
            EmailAddress.objects.create(user=candidate, email=email, primary=True, verified=True)
            audit.record(actor, "user_created", f"user:{candidate.pk}", at=at, email=email, is_staff=is_staff)
    except IntegrityError:
        raise ValidationError({"email": f"Expected a new address, was {email}, which has an account."}) from None
    return candidate


def create_token(
    user: User,
    scopes: Sequence[str],
    at: datetime,
    actor: Actor,
    *,
    expires_at: datetime | None = None,
    label: str = "",
    allowed_ips: Sequence[str] = (),
) -> tuple[ApiToken, str]:
    """The stored token and its text, which cannot be had again.

    Without ``expires_at`` it is valid until revoked. Raise ``ValueError`` naming an unknown scope, and
    ``ValidationError`` for anything else that is wrong.
    """
    for scope in scopes:
        if scope not in SCOPES:
            raise ValueError(f"scopes: Expected some of {', '.join(SCOPES)}, was {scope!r}.")
    if not scopes:
        raise ValueError(f"scopes: Expected one or more of {', '.join(SCOPES)}, was none.")
    _validate_token(user, at, expires_at, label)
    prefix = "".join(secrets.choice(PREFIX_ALPHABET) for _ in range(PREFIX_LENGTH))
    secret = secrets.token_urlsafe(32)
    token = ApiToken(
        user=user,
        label=label.strip(),
        prefix=prefix,
        secret_hash=secret_hash(secret),
        scopes=[scope for scope in SCOPES if scope in scopes],
        allowed_ips=networks(allowed_ips),
        created_at=at,
        expires_at=expires_at,
    )
    with transaction.atomic():
        token.save(force_insert=True)
        facts = {"prefix": prefix, "scopes": token.scopes, "expires_at": expires_at, "allowed_ips": token.allowed_ips}
        audit.record(actor, "token_created", f"user:{user.pk}", at=at, **facts)
    return token, f"tb_{prefix}_{secret}"


def revoke_token(token: ApiToken, at: datetime, actor: Actor) -> bool:
    """Whether it was this call that revoked it; a second one changes nothing."""
    with transaction.atomic():
        if not ApiToken.objects.filter(pk=token.pk, revoked_at=None).update(revoked_at=at):
            return False
        audit.record(actor, "token_revoked", f"user:{token.user_id}", at=at, prefix=token.prefix)
    token.revoked_at = at
    return True


def change_user(user: User, at: datetime, actor: Actor, **fields: bool) -> None:
    """Set is_active, is_staff or is_superuser; tokens that say more than the user may are revoked."""
    with transaction.atomic():
        was = {name: getattr(user, name) for name in fields}
        for name, value in fields.items():
            setattr(user, name, value)
        user.save(update_fields=list(fields))
        excessive = [
            token.pk
            for token in user.api_tokens.filter(revoked_at=None)
            if not user.is_active or ("admin" in token.scopes and not user.is_staff and was.get("is_staff"))
        ]
        ApiToken.objects.filter(pk__in=excessive).update(revoked_at=at)
        audit.record(actor, "user_changed", f"user:{user.pk}", at=at, was=was, now=fields)


def remove_second_factor(authenticator: Authenticator, at: datetime, actor: Actor) -> None:
    """For who lost the device; recovery codes alone are no second factor and go with the last other one."""
    user = authenticator.user
    with transaction.atomic():
        authenticator.delete()
        left = Authenticator.objects.filter(user=user)
        if not left.exclude(type=Authenticator.Type.RECOVERY_CODES).exists():
            left.delete()
        audit.record(actor, "second_factor_removed", f"user:{user.pk}", at=at, type=str(authenticator.type))


def choose_theme(user: User, theme: str) -> None:
    user.theme = theme
    user.save(update_fields=["theme"])


def reseal_second_factors(at: datetime) -> int:
    """Seal every second factor under the newest key; how many were not. Safe to stop, repeat and run beside logins."""
    count = sum(_reseal(pk) for pk in Authenticator.objects.order_by("pk").values_list("pk", flat=True))
    if count:
        audit.record(SYSTEM, "second_factors_resealed", at=at, count=count)
    return count


def secret_hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def networks(texts: Sequence[str]) -> list[str]:
    """Addresses and networks in one spelling; raise ``ValidationError`` naming the one that is neither."""
    found = []
    for text in texts:
        try:
            found.append(str(ip_network(text.strip(), strict=False)))
        except ValueError:
            raise ValidationError({"allowed_ips": f"Expected an address or a network, was {text!r}."}) from None
    if len(found) > MAX_NETWORKS:
        raise ValidationError({"allowed_ips": f"Expected at most {MAX_NETWORKS} networks, was {len(found)}."})
    return found


def _validate_token(user: User, at: datetime, expires_at: datetime | None, label: str) -> None:
    if not user.is_active:
        raise ValidationError({"user": f"Expected an active user, was {user.email}, who is deactivated."})
    if expires_at is not None and expires_at <= at:
        raise ValidationError({"expires_at": f"Expected a time after {at:%Y-%m-%d %H:%M} UTC, was {expires_at}."})
    if len(label) > LABEL_LENGTH:
        raise ValidationError({"label": f"Expected at most {LABEL_LENGTH} characters, was {len(label)}."})


def _validate(field: str, check: Callable[[], object]) -> None:
    """Run a validator; its messages under the field's name, whatever shape they come in."""
    try:
        check()
    except ValidationError as error:
        raise ValidationError({field: error.messages}) from None


def _reseal(pk: int) -> int:
    with transaction.atomic():
        authenticator = Authenticator.objects.select_for_update().filter(pk=pk).first()
        stale = [] if authenticator is None else _stale_fields(authenticator)
        for field in stale:
            authenticator.data[field] = seal(MFA_PURPOSE, unseal(MFA_PURPOSE, authenticator.data[field]))
        if stale:
            authenticator.save(update_fields=["data"])
        return int(bool(stale))


def _stale_fields(authenticator: Authenticator) -> list[str]:
    return [
        field for field in SEALED_FIELDS if field in authenticator.data and not is_current(authenticator.data[field])
    ]
