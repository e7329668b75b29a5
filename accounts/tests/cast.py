"""Who plays: Alice owns what is looked at, Bob owns other things, the admin administers."""

import base64
import hashlib
import hmac
import struct
import time
from datetime import UTC, datetime

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client

from accounts.models import User

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PASSWORD = "correct horse battery staple"
#: How long a code is shown, and how much of that it takes to type it in, in seconds.
PERIOD, TYPING = 30, 5
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
    """The six digits that an authenticator app shows for a key (RFC 6238, SHA-1, 30 s), shown long enough to type."""
    left = PERIOD - time.time() % PERIOD
    if left < TYPING:
        time.sleep(left)
    digest = hmac.new(base64.b32decode(secret), struct.pack(">Q", int(time.time()) // PERIOD), hashlib.sha1).digest()
    (number,) = struct.unpack_from(">I", digest, digest[-1] & 0xF)
    return f"{(number & 0x7FFFFFFF) % 1_000_000:06}"


def present_second_factor(client: Client, factor: Authenticator, ago: float = 0) -> None:
    """Write into the browser's session what allauth writes when a code is accepted."""
    session = client.session
    session["account_authentication_methods"] = [{"method": "mfa", "at": time.time() - ago, "id": factor.pk}]
    session["account_authentication_methods_user"] = str(factor.user_id)
    session.save()
