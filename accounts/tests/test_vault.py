import pytest

from accounts.core.keyring import Undecryptable
from accounts.vault import is_current, seal, unseal

NEW = bytes(range(100, 132))


def test_sealed_text_opens_under_its_purpose_only():
    sealed = seal("second factor", "JBSWY3DPEHPK3PXP")
    assert "JBSWY3DPEHPK3PXP" not in sealed
    assert unseal("second factor", sealed) == "JBSWY3DPEHPK3PXP"
    with pytest.raises(Undecryptable):
        unseal("webhook", sealed)


def test_same_text_is_sealed_differently_each_time():
    assert seal("x", "text") != seal("x", "text")


def test_older_key_opens_and_newest_seals(settings):
    old = seal("x", "text")
    settings.ENCRYPTION_KEYS = [NEW, *settings.ENCRYPTION_KEYS]
    assert unseal("x", old) == "text"
    assert not is_current(old)
    assert is_current(seal("x", "text"))
    settings.ENCRYPTION_KEYS = [NEW]
    with pytest.raises(Undecryptable):
        unseal("x", old)


@pytest.mark.parametrize("text", ["", "plain", "tbs1", "tbs1.", "tbs1.0.", "tbs2.00000000.AAAA", "tbs1.00000000.!!!"])
def test_what_is_no_seal_is_refused(text):
    with pytest.raises(Undecryptable):
        unseal("x", text)


def test_altered_seal_is_refused():
    sealed = seal("x", "text")
    flipped = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    with pytest.raises(Undecryptable):
        unseal("x", flipped)
