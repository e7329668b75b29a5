"""Waits for what other processes do."""

import time
from collections.abc import Callable


def wait_for(done: Callable[[], object], seconds: float = 10.0) -> None:
    """Return once `done()` is true; fail when it stays false for so long."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"Expected within {seconds} s what never came."
        time.sleep(0.05)
