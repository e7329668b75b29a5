"""Encrypts a user's exchange credentials so that each ciphertext opens only in its own place.

AES-256-GCM with a fresh random nonce per field. The key is derived per user from the master (HKDF-SHA256), and
the associated data bind purpose, owner, row, exchange, field, version and master key, each with its length in
front: a ciphertext moved to another row, user, field, exchange or version does not open, and neither does an
older ciphertext put back into its own row. `open_row` is the only function of the product that decrypts one.
"""

import base64
import binascii
import struct
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings

from accounts.core.keyring import Keyring, Undecryptable

PURPOSE = "exchange_credential"
FIELDS = ("api_key", "api_secret", "passphrase")


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What signs a request; has no `repr`, so that no log line or traceback shows it by accident."""

    api_key: str
    api_secret: str
    passphrase: str = ""

    def __repr__(self) -> str:
        return "Credentials(•••)"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a ciphertext belongs: the row and the version of its content."""

    owner_id: int
    row: uuid.UUID
    exchange: str
    version: int


@dataclass(frozen=True, slots=True)
class Sealed:
    """The master's fingerprint, and (nonce, ciphertext) in base64 per field; an empty field stays empty."""

    key_id: str
    fields: Mapping[str, tuple[str, str]]


def keyring() -> Keyring:
    """The configured keys: the newest encrypts, all decrypt."""
    return Keyring(settings.ENCRYPTION_KEYS)


def seal(keys: Keyring, place: Place, credentials: Credentials) -> Sealed:
    ring = _ring(keys, place)
    fields = {}
    for name in FIELDS:
        text: str = getattr(credentials, name)
        if not text:
            fields[name] = ("", "")
            continue
        _, nonce, ciphertext = ring.encrypt(text.encode(), _aad(place, name, ring.primary_id))
        fields[name] = (base64.b64encode(nonce).decode(), base64.b64encode(ciphertext).decode())
    return Sealed(ring.primary_id, fields)


def open_row(keys: Keyring, place: Place, sealed: Sealed) -> Credentials:
    """Raises Undecryptable, which tells neither the field nor what was wrong with it."""
    ring = _ring(keys, place)
    texts = {}
    for name in FIELDS:
        nonce, ciphertext = sealed.fields[name]
        if not (nonce or ciphertext):
            texts[name] = ""
            continue
        plain = ring.decrypt(sealed.key_id, _bytes(nonce), _bytes(ciphertext), _aad(place, name, sealed.key_id))
        texts[name] = plain.decode()
    return Credentials(**texts)


def fingerprint(keys: Keyring, owner_id: int, exchange: str, api_key: str) -> str:
    """Finds a key that was added twice; reveals nothing without the master key."""
    message = b"".join(_counted(part) for part in (str(owner_id), exchange, api_key))
    return keys.derive(b"exchange key fingerprint").digest(message).hex()[:16]


def _ring(keys: Keyring, place: Place) -> Keyring:
    return keys.derive(f"cred|{place.owner_id}".encode())


def _aad(place: Place, field: str, key_id: str) -> bytes:
    parts = (PURPOSE, str(place.owner_id), place.row.hex, place.exchange, field, key_id)
    return b"".join(_counted(part) for part in parts) + struct.pack(">Q", place.version)


def _counted(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">I", len(data)) + data


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Undecryptable("Expected base64, was something else.") from None
