"""Runs a program that must not outlive whoever started it: it leaves when standard input ends.

Run by its path and built on the standard library alone, so that a leash is small and starts at once:

    leash.py [--user NAME] PROGRAM ARGUMENT…    the program is a child of the leash
    leash.py -m MODULE ARGUMENT…                the Python module runs in this very process
"""

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

GRACE_SECONDS = 6.0


def main(argv: list[str]) -> int:
    if argv[:1] == ["-m"]:
        return run_module(argv[1], argv[2:])
    user = None
    if argv[:1] == ["--user"]:
        user, argv = argv[1], argv[2:]
    return run_program(argv, user)


def run_module(name: str, argv: list[str]) -> int:
    # This file's own folder must not be importable as if its modules were top-level ones.
    sys.path[0] = str(os.getcwd())  # noqa: PTH109
    sys.argv = [name, *argv]
    on_orphaned(_leave)
    runpy.run_module(name, run_name="__main__", alter_sys=True)
    return 0


def run_program(argv: list[str], user: str | None = None) -> int:
    """Run to the end, hand on SIGINT and SIGTERM, and answer with the program's exit status."""
    received: list[int] = []
    child: subprocess.Popen[bytes] | None = None

    def hand_on(number: int, _frame: object) -> None:
        received.append(number)
        if child is not None:
            child.send_signal(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hand_on)
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, user=user, cwd="/")
    if received:
        child.send_signal(received[-1])
    on_orphaned(lambda: _stop(child))
    status = child.wait()
    return status if status >= 0 else 128 - status


def on_orphaned(leave: Callable[[], None]) -> None:
    """Call `leave` in a thread of its own once standard input has ended."""

    def wait() -> None:
        # os.read: a thread inside sys.stdin would hold its lock while the interpreter shuts down.
        with contextlib.suppress(OSError):
            while os.read(0, 4096):
                pass
        leave()

    threading.Thread(target=wait, name="leash", daemon=True).start()


def _leave() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(GRACE_SECONDS)
    os._exit(1)


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
