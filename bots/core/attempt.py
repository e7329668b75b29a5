"""One attempt at a long piece of work: whatever goes wrong ends it with a sentence, and a flaw of ours is raised."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

#: As long as an error's column.
MOST_WORDS: Final = 500
#: What a request, its candles or its strategy can be wrong about: told, and no flaw of the program.
WRONG_INPUT: Final = (ValueError, LookupError)


class Unwanted(Exception):
    """The work was canceled, or another worker has taken it over."""


@contextmanager
def guarded(fail: Callable[[str], None]) -> Iterator[None]:
    """``fail`` is told in words why the attempt failed; one that nobody wants any more ends without a word."""
    try:
        yield
    except Unwanted:
        return
    except Exception as error:
        fail(f"{type(error).__name__}: {error}"[:MOST_WORDS])
        if not isinstance(error, WRONG_INPUT):
            raise
