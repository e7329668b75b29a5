"""An attempt at a long piece of work: what is told when it fails, and what is raised all the same."""

import pytest

from bots.core.attempt import MOST_WORDS, Unwanted, guarded


@pytest.mark.parametrize("error", [ValueError("a bound"), KeyError("a name")])
def test_wrong_input_fails_with_its_words(error: Exception) -> None:
    told: list[str] = []
    with guarded(told.append):
        raise error
    assert told == [f"{type(error).__name__}: {error}"]


def test_a_flaw_is_told_and_raised() -> None:
    told: list[str] = []
    with pytest.raises(ZeroDivisionError), guarded(told.append):
        raise ZeroDivisionError("x" * 1000)
    assert len(told[0]) == MOST_WORDS


def test_what_is_unwanted_or_went_well_says_nothing() -> None:
    told: list[str] = []
    with guarded(told.append):
        raise Unwanted
    with guarded(told.append):
        pass
    assert told == []
