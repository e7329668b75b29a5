import hashlib
import hmac
from pathlib import Path

import cryptography_vectors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core import keyring
from accounts.core.keyring import Keyring, Undecryptable, fingerprint

OLD = bytes(range(32))
NEW = bytes(range(32, 64))
GCM = Path(cryptography_vectors.__file__).parent / "ciphers" / "AES" / "GCM"


def nist_cases(name: str) -> list[dict[str, str]]:
    """The groups of NIST's GCM response files that use what we use: 96-bit nonces and full tags."""
    cases: list[dict[str, str]] = []
    section: dict[str, str] = {}
    for line in (GCM / name).read_text().splitlines():
        if line.startswith("["):
            key, _, value = line.strip("[]").partition(" = ")
            section[key] = value
        elif line.startswith("Count"):
            cases.append({"IVlen": section["IVlen"], "Taglen": section["Taglen"]})
        elif " =" in line:
            key, _, value = line.partition(" =")
            cases[-1][key] = value.strip()
        elif line == "FAIL":
            cases[-1]["FAIL"] = "yes"
    return [case for case in cases if case["IVlen"] == "96" and case["Taglen"] == "128"]


def unhex(case: dict[str, str], *names: str) -> tuple[bytes, ...]:
    return tuple(bytes.fromhex(case.get(name, "")) for name in names)


def test_nist_encryption_vectors_match_byte_for_byte(monkeypatch):
    cases = nist_cases("gcmEncryptExtIV256.rsp")
    assert len(cases) == 375
    for case in cases:
        key, nonce, plain, aad, cipher, tag = unhex(case, "Key", "IV", "PT", "AAD", "CT", "Tag")
        monkeypatch.setattr(keyring.os, "urandom", lambda size, nonce=nonce: nonce[:size])
        assert Keyring([key]).encrypt(plain, aad) == (fingerprint(key), nonce, cipher + tag)


def test_nist_decryption_vectors_open_or_are_refused():
    cases = nist_cases("gcmDecrypt256.rsp")
    refused = 0
    for case in cases:
        key, nonce, plain, aad, cipher, tag = unhex(case, "Key", "IV", "PT", "AAD", "CT", "Tag")
        ring = Keyring([key])
        if "FAIL" in case:
            refused += 1
            with pytest.raises(Undecryptable):
                ring.decrypt(ring.primary_id, nonce, cipher + tag, aad)
        else:
            assert ring.decrypt(ring.primary_id, nonce, cipher + tag, aad) == plain
    assert (len(cases), refused) == (375, 191)


@given(st.binary(max_size=200), st.binary(max_size=60))
def test_what_is_encrypted_opens_again_and_needs_its_place(plain, aad):
    ring = Keyring([OLD])
    key_id, nonce, cipher = ring.encrypt(plain, aad)
    assert len(nonce) == 12
    assert ring.decrypt(key_id, nonce, cipher, aad) == plain
    with pytest.raises(Undecryptable):
        ring.decrypt(key_id, nonce, cipher, aad + b"x")


def test_every_flipped_bit_is_refused():
    ring = Keyring([OLD])
    key_id, nonce, cipher = ring.encrypt(b"secret", b"place")
    for part, whole in ((0, nonce), (1, cipher), (2, b"place")):
        for bit in range(8 * len(whole)):
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            pieces = [nonce, cipher, b"place"]
            pieces[part] = bytes(flipped)
            with pytest.raises(Undecryptable):
                ring.decrypt(key_id, *pieces)


def test_same_plaintext_twice_has_other_nonce_and_ciphertext():
    ring = Keyring([OLD])
    assert len({ring.encrypt(b"secret", b"")[1:] for _ in range(200)}) == 200


def test_rotated_ring_encrypts_with_newest_and_opens_the_old():
    sealed = Keyring([OLD]).encrypt(b"secret", b"place")
    ring = Keyring([NEW, OLD])
    assert ring.primary_id == fingerprint(NEW)
    assert ring.key_ids == (fingerprint(NEW), fingerprint(OLD))
    assert ring.encrypt(b"secret", b"place")[0] == fingerprint(NEW)
    assert ring.decrypt(*sealed, b"place") == b"secret"


def test_unknown_key_is_named():
    sealed = Keyring([OLD]).encrypt(b"secret", b"")
    with pytest.raises(Undecryptable, match=fingerprint(OLD)):
        Keyring([NEW]).decrypt(*sealed, b"")


def test_nonce_of_other_length_is_refused():
    ring = Keyring([OLD])
    with pytest.raises(Undecryptable, match="12 bytes, was 16"):
        ring.decrypt(ring.primary_id, bytes(16), bytes(32), b"")
    # AESGCM raises InvalidTag as well for a ciphertext shorter than its tag.
    with pytest.raises(Undecryptable):
        ring.decrypt(ring.primary_id, bytes(12), b"short", b"")


def test_derived_ring_keeps_names_and_shares_nothing_else():
    ring = Keyring([NEW, OLD])
    totp, other = ring.derive(b"totp"), ring.derive(b"other")
    sealed = totp.encrypt(b"secret", b"")
    assert totp.key_ids == ring.key_ids
    assert ring.derive(b"totp").decrypt(*sealed, b"") == b"secret"
    for stranger in (ring, other):
        with pytest.raises(Undecryptable):
            stranger.decrypt(*sealed, b"")


def test_derivation_follows_rfc_5869():
    # RFC 5869 §2 written out: extract with the zero salt, then one block of expand.
    extracted = hmac.new(bytes(32), OLD, hashlib.sha256).digest()
    expanded = hmac.new(extracted, b"totp" + b"\x01", hashlib.sha256).digest()
    assert Keyring([OLD]).derive(b"totp").digest(b"x") == hmac.new(expanded, b"x", hashlib.sha256).digest()


def test_digest_is_stable_and_keyed():
    assert Keyring([OLD]).digest(b"x") == Keyring([OLD, NEW]).digest(b"x")
    assert Keyring([OLD]).digest(b"x") != Keyring([NEW]).digest(b"x")


def test_repr_shows_no_key():
    text = repr(Keyring([OLD]))
    assert fingerprint(OLD) in text
    assert OLD.hex() not in text
    assert repr(OLD) not in text


@pytest.mark.parametrize("keys", [[], [OLD, OLD], [OLD[:31]], [OLD + b"x"], [b""]])
def test_unusable_keys_are_refused(keys):
    with pytest.raises(ValueError, match="Expected"):
        Keyring(keys)


def test_primary_name_is_the_documented_fingerprint():
    assert Keyring([OLD]).primary_id == hmac.new(OLD, b"kcv", hashlib.sha256).digest()[:4].hex()
