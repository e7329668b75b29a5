"""Seals short texts for the database under the keys of settings.ENCRYPTION_KEYS, one derived key per purpose."""

import base64
import binascii

from django.conf import settings

from accounts.core.keyring import NONCE_BYTES, Keyring, Undecryptable

VERSION = "tbs1"


def seal(purpose: str, text: str) -> str:
    """``tbs1.<key id>.<base64url of nonce ‖ ciphertext>``; opens under the same purpose only."""
    key_id, nonce, ciphertext = _ring(purpose).encrypt(text.encode(), _place(purpose))
    return f"{VERSION}.{key_id}.{base64.urlsafe_b64encode(nonce + ciphertext).decode()}"


def unseal(purpose: str, sealed: str) -> str:
    """Raise ``Undecryptable`` for what is no seal, was altered, or needs a key that is gone."""
    version, _, rest = sealed.partition(".")
    key_id, _, encoded = rest.partition(".")
    if version != VERSION:
        raise Undecryptable(f"Expected a text sealed as {VERSION}, was something else.")
    try:
        blob = base64.b64decode(encoded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise Undecryptable("Expected base64url behind the key id, was something else.") from None
    return _ring(purpose).decrypt(key_id, blob[:NONCE_BYTES], blob[NONCE_BYTES:], _place(purpose)).decode()


def is_current(sealed: str) -> bool:
    """Whether the newest key sealed it."""
    return sealed.startswith(f"{VERSION}.{Keyring(settings.ENCRYPTION_KEYS).primary_id}.")


def _ring(purpose: str) -> Keyring:
    return Keyring(settings.ENCRYPTION_KEYS).derive(f"tradingbot {purpose}".encode())


def _place(purpose: str) -> bytes:
    return f"{VERSION} {purpose}".encode()
