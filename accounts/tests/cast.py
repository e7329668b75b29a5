"""Who plays: Alice owns what is looked at, Bob owns other things, the admin administers."""

import time
from datetime import UTC, datetime

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.test import Client

from accounts.models import User

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery staple"
# Hashed once: argon2 is slow on purpose.
_HASHED: list[str] = []


def user(email: str, **fields: object) -> User:
    person = User(email=email, **fields)
    if not _HASHED:
        person.set_password(PASSWORD)
        _HASHED.append(person.password)
    person.password = _HASHED[0]
    person.save()
    return person


def totp(person: User) -> Authenticator:
    """An authenticator app set up for the person, its secret in the clear in ``.clear`` for the tests."""
    secret = generate_totp_secret()
    authenticator = TOTP.activate(person, secret).instance
    authenticator.clear = secret
    return authenticator


def code(secret: str) -> str:
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def present_second_factor(client: Client, factor: Authenticator, ago: float = 0) -> None:
    """Write into the browser's session what allauth writes when a code is accepted."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "at": time.time() - ago, "id": factor.pk}]
    session["account_authentication_methods_user"] = str(factor.user_id)
    session.save()
