"""AES-256-GCM under a ring of keys: the first encrypts, all decrypt.

A key is named by its fingerprint, so that nobody numbers keys by hand and a stored ``key_id`` says which key is needed.
A derived ring keeps the names of the keys it came from: what is stored names the master, which is what gets rotated.
"""

import hashlib
import hmac
import os
from collections.abc import Sequence
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
NONCE_BYTES = 12


class Undecryptable(Exception):
    """Wrong or missing key, another place than it was encrypted for, or altered bytes; which one is not told."""


def fingerprint(key: bytes) -> str:
    """Eight hex digits that tell keys apart and say nothing about them."""
    return hmac.new(key, b"kcv", hashlib.sha256).digest()[:4].hex()


class Keyring:
    """Immutable; ``repr`` shows the names of the keys, never a key."""

    __slots__ = ("_keys", "primary_id")

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Expect distinct keys of 32 bytes, the newest first."""
        for key in keys:
            if len(key) != KEY_BYTES:
                raise ValueError(f"Expected keys of {KEY_BYTES} bytes, was {len(key)}.")
        named = {fingerprint(key): bytes(key) for key in keys}
        if not named or len(named) != len(keys):
            raise ValueError(f"Expected one or more distinct keys, was {len(keys)} with {len(named)} distinct.")
        self._keys = named
        self.primary_id = next(iter(named))

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The primary first."""
        return tuple(self._keys)

    def encrypt(self, plaintext: bytes, aad: bytes) -> tuple[str, bytes, bytes]:
        """Return (key id, nonce of 12 bytes, ciphertext with its 16-byte tag); the nonce is drawn anew each time."""
        nonce = os.urandom(NONCE_BYTES)
        return self.primary_id, nonce, AESGCM(self._keys[self.primary_id]).encrypt(nonce, plaintext, aad)

    def decrypt(self, key_id: str, nonce: bytes, ciphertext: bytes, aad: bytes) -> bytes:
        key = self._keys.get(key_id)
        if key is None:
            raise Undecryptable(f"Expected a key of this ring ({', '.join(self._keys)}), was {key_id!r}.")
        if len(nonce) != NONCE_BYTES:
            raise Undecryptable(f"Expected a nonce of {NONCE_BYTES} bytes, was {len(nonce)}.")
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, aad)
        except InvalidTag:
            raise Undecryptable(f"Expected what key {key_id} encrypted for this place, was something else.") from None

    def derive(self, info: bytes) -> Self:
        """A ring of HKDF-SHA256 keys for one purpose; useless for any other, named like their masters."""
        ring = object.__new__(type(self))
        ring._keys = {
            key_id: HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=info).derive(key)
            for key_id, key in self._keys.items()
        }
        ring.primary_id = self.primary_id
        return ring

    def digest(self, message: bytes) -> bytes:
        """HMAC-SHA256 under the primary key: a look-up value that reveals nothing without the key."""
        return hmac.new(self._keys[self.primary_id], message, hashlib.sha256).digest()
