"""One thing's trouble in a pass over many: told and logged, and no reason to leave the others alone."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import InterfaceError, OperationalError

log = logging.getLogger(__name__)


@contextmanager
def apart(name: str, faults: list[str]) -> Iterator[None]:
    """Keep trouble with ``name`` from ending the pass; a database that does not answer ends it."""
    try:
        yield
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:
        log.exception("%s stumbled", name)
        faults.append(f"{name}: {type(error).__name__}")
