"""Who plays: Alice owns what is looked at, Bob owns other things, the admin administers."""

from datetime import UTC, datetime

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
