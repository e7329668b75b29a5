"""A ciphertext opens in its own place only, and with none of its bits changed."""

import base64
import itertools
import uuid
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.keyring import Keyring, Undecryptable
from exchanges.vault import FIELDS, Credentials, Place, Sealed, fingerprint, open_row, seal

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
RING = Keyring([OLD])
PLACE = Place(7, uuid.UUID(int=1), "binance", 1)
SECRETS = Credentials("canary-api-key", "canary-api-secret", "canary-passphrase")


def test_what_was_sealed_opens_in_its_place():
    assert open_row(RING, PLACE, seal(RING, PLACE, SECRETS)) == SECRETS


def test_empty_passphrase_stays_empty():
    plain = replace(SECRETS, passphrase="")
    sealed = seal(RING, PLACE, plain)

    assert sealed.fields["passphrase"] == ("", "")
    assert open_row(RING, PLACE, sealed) == plain


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_any_text_survives(api_key: str, api_secret: str, passphrase: str):
    secrets = Credentials(api_key, api_secret, passphrase)

    assert open_row(RING, PLACE, seal(RING, PLACE, secrets)) == secrets


def test_nothing_of_the_secret_is_stored_or_shown():
    sealed = seal(RING, PLACE, SECRETS)

    for canary in ("canary", base64.b64encode(b"canary").decode()[:6]):
        assert canary not in repr(sealed)
        assert canary not in repr(SECRETS)
        assert canary not in str(SECRETS)


def test_nonces_are_of_twelve_bytes_and_never_repeat():
    nonces = [nonce for _ in range(300) for nonce, _ in seal(RING, PLACE, SECRETS).fields.values()]

    assert {len(base64.b64decode(nonce)) for nonce in nonces} == {12}
    assert len(set(nonces)) == 900


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("part", [0, 1])
def test_every_single_bit_counts(field: str, part: int):
    sealed = seal(RING, PLACE, SECRETS)
    whole = sealed.fields[field]
    data = base64.b64decode(whole[part])

    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        text = base64.b64encode(changed).decode()
        pair = (text, whole[1]) if part == 0 else (whole[0], text)
        with pytest.raises(Undecryptable):
            open_row(RING, PLACE, Sealed(sealed.key_id, {**sealed.fields, field: pair}))


PLACES = [
    Place(owner, row, exchange, version)
    for owner, row, exchange, version in itertools.product(
        (7, 8), (uuid.UUID(int=1), uuid.UUID(int=2)), ("binance", "okx"), (1, 2)
    )
]


@pytest.mark.parametrize("other", [place for place in PLACES if place != PLACE], ids=str)
def test_moved_to_another_owner_row_exchange_or_version_it_does_not_open(other: Place):
    with pytest.raises(Undecryptable):
        open_row(RING, other, seal(RING, PLACE, SECRETS))


@pytest.mark.parametrize(("left", "right"), list(itertools.combinations(FIELDS, 2)))
def test_moved_to_another_field_it_does_not_open(left: str, right: str):
    fields = seal(RING, PLACE, SECRETS).fields
    swapped = {**fields, left: fields[right], right: fields[left]}

    with pytest.raises(Undecryptable):
        open_row(RING, PLACE, Sealed(RING.primary_id, swapped))


def test_nonce_of_another_field_does_not_open():
    fields = seal(RING, PLACE, SECRETS).fields
    mixed = {**fields, "api_key": (fields["api_secret"][0], fields["api_key"][1])}

    with pytest.raises(Undecryptable):
        open_row(RING, PLACE, Sealed(RING.primary_id, mixed))


def test_parts_with_moved_borders_are_another_place():
    left, right = Place(1, PLACE.row, "1x", 1), Place(11, PLACE.row, "x", 1)

    with pytest.raises(Undecryptable):
        open_row(RING, right, seal(RING, left, SECRETS))


@pytest.mark.parametrize("text", ["", "!!!", "AAAA", "AAAAAAAAAAAAAAAA"])
@pytest.mark.parametrize("part", [0, 1])
def test_rubbish_in_a_column_is_undecryptable(text: str, part: int):
    sealed = seal(RING, PLACE, SECRETS)
    nonce, ciphertext = sealed.fields["api_secret"]
    pair = (text, ciphertext) if part == 0 else (nonce, text)

    with pytest.raises(Undecryptable):
        open_row(RING, PLACE, Sealed(sealed.key_id, {**sealed.fields, "api_secret": pair}))


def test_retired_key_still_opens_and_the_newest_seals():
    both = Keyring([NEW, OLD])

    assert open_row(both, PLACE, seal(RING, PLACE, SECRETS)) == SECRETS
    assert seal(both, PLACE, SECRETS).key_id == Keyring([NEW]).primary_id


def test_key_that_is_gone_is_named_in_the_failure():
    with pytest.raises(Undecryptable, match=RING.primary_id):
        open_row(Keyring([NEW]), PLACE, seal(RING, PLACE, SECRETS))


def test_fingerprint_finds_the_same_key_and_tells_others_apart():
    marks = {
        fingerprint(ring, owner, exchange, key)
        for ring in (RING, Keyring([NEW]))
        for owner in (1, 2)
        for exchange in ("binance", "okx")
        for key in ("a-key", "b-key")
    }

    assert len(marks) == 16
    assert fingerprint(RING, 1, "okx", "a-key") == fingerprint(RING, 1, "okx", "a-key")
