"""What the account pages show, as plain values."""

from dataclasses import dataclass
from datetime import datetime

from allauth.mfa.models import Authenticator

from accounts.models import ApiToken, AuditEntry, User

HISTORY = 50
WORDS = {
    "login": "Logged in",
    "login_failed": "Failed login: wrong password",
    "logout": "Logged out",
    "signup": "Signed up",
    "user_created": "Account created",
    "user_changed": "Account changed by an administrator",
    "password_changed": "Password changed",
    "password_set": "Password set",
    "password_reset": "Password reset by email",
    "email_added": "Email address added",
    "email_changed": "Email address changed",
    "email_confirmed": "Email address confirmed",
    "email_removed": "Email address removed",
    "second_factor_added": "Second factor added",
    "second_factor_removed": "Second factor removed",
    "second_factor_renewed": "Recovery codes renewed",
    "second_factor_used": "Second factor presented",
    "second_factor_failed": "Failed login: wrong code",
    "token_created": "API token created",
    "token_revoked": "API token revoked",
}
ALARMING = {"login_failed", "second_factor_failed", "second_factor_removed"}


@dataclass(frozen=True, slots=True)
class TokenRow:
    id: int
    label: str
    prefix: str
    scopes: tuple[str, ...]
    allowed_ips: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    state: str


@dataclass(frozen=True, slots=True)
class Event:
    at: datetime
    text: str
    address: str
    alarming: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Profile:
    email: str
    theme: str
    has_second_factor: bool
    valid_tokens: int
    events: tuple[Event, ...]


def profile(user: User, at: datetime) -> Profile:
    return Profile(
        email=user.email,
        theme=user.theme,
        has_second_factor=Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists(),
        valid_tokens=ApiToken.objects.for_user(user).valid(at).count(),
        events=events(user),
    )


def tokens(user: User, at: datetime) -> tuple[TokenRow, ...]:
    """The newest first, revoked and expired ones included."""
    return tuple(
        TokenRow(
            id=token.pk,
            label=token.label,
            prefix=token.prefix,
            scopes=tuple(token.scopes),
            allowed_ips=tuple(token.allowed_ips),
            created_at=token.created_at,
            expires_at=token.expires_at,
            last_used_at=token.last_used_at,
            state=_state(token, at),
        )
        for token in ApiToken.objects.for_user(user)
    )


def token_of(user: User, token_id: int) -> ApiToken | None:
    return ApiToken.objects.for_user(user).filter(pk=token_id).first()


def user_by_email(email: str) -> User:
    """Raise ``User.DoesNotExist`` that names the address."""
    user = User.objects.filter(email__iexact=email.strip()).first()
    if user is None:
        raise User.DoesNotExist(f"Expected the email address of a user, was {email!r}.")
    return user


def events(user: User, limit: int = HISTORY) -> tuple[Event, ...]:
    """What happened to the account, the newest first."""
    entries = AuditEntry.objects.for_user(user).filter(action__in=WORDS)[:limit]
    return tuple(_event(entry) for entry in entries)


def _event(entry: AuditEntry) -> Event:
    return Event(
        at=entry.at,
        text=WORDS[entry.action],
        address=entry.address or ("console" if entry.actor_kind == "console" else ""),
        alarming=entry.action in ALARMING,
        detail=str(entry.detail.get("prefix") or entry.detail.get("now") or entry.detail.get("email") or ""),
    )


def _state(token: ApiToken, at: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "valid" if token.is_valid(at) else "expired"
