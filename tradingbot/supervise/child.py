"""One program that is kept running: its process, its output by lines, and when it may start again."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, cast

LEASH = str(Path(__file__).with_name("leash.py"))
# A program that lived this long is not counted as having died quickly.
STEADY_SECONDS = 60.0
QUICK_DEATHS = 5
LONGEST_PAUSE = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: `module` is run by Python, else `argv` is a program of its own."""

    name: str
    argv: tuple[str, ...]
    module: bool = True
    # How long it may take to leave after SIGTERM.
    stop_seconds: float = 3.0
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def command(self) -> list[str]:
        # -S spares a leash that only watches another program the site packages.
        options = ["-m"] if self.module else []
        return [sys.executable, *([] if self.module else ["-S"]), LEASH, *options, *self.argv]


class Restarts:
    """How long to wait before the next start: 1, 2, 4 … seconds, and never again after too many quick deaths."""

    def __init__(self) -> None:
        self.quick_deaths = 0

    def after(self, lived: float) -> float | None:
        """The pause after a life of so many seconds; None = give up."""
        self.quick_deaths = 0 if lived >= STEADY_SECONDS else self.quick_deaths + 1
        if self.quick_deaths >= QUICK_DEATHS:
            return None
        return min(LONGEST_PAUSE, 2.0 ** max(0, self.quick_deaths - 1))


class Child:
    """A program's current process. Its standard input is the leash: it ends when the supervisor does."""

    def __init__(self, program: Program, folder: Path, now: float) -> None:
        self.program = program
        self.folder = folder
        self.restarts = Restarts()
        self.start(now)

    def start(self, now: float) -> None:
        # A session of its own: the terminal's Ctrl-C reaches the supervisor alone, which stops in order.
        self.process = subprocess.Popen(
            self.program.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self.folder,
            env={**os.environ, **self.program.environment, "PYTHONUNBUFFERED": "1"},
            start_new_session=True,
        )
        self.started_at = now
        # When to start it again once it has ended; None while it runs.
        self.due_at: float | None = None
        self._rest = b""
        os.set_blocking(self.output.fileno(), False)

    @property
    def output(self) -> IO[bytes]:
        return cast(IO[bytes], self.process.stdout)

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def read_lines(self) -> list[str] | None:
        """The complete lines that have come since the last call; None at the end of the output."""
        try:
            data = os.read(self.output.fileno(), 65536)
        except BlockingIOError:
            return []
        if not data:
            rest, self._rest = self._rest, b""
            return [rest.decode(errors="replace")] if rest else None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def terminate(self) -> None:
        self.process.terminate()

    def kill(self) -> None:
        """SIGKILL for the whole session: what it left behind must not meet its successor."""
        # PermissionError is macOS's word for a group of zombies.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Reap the process and give its pipes back."""
        self.process.wait()
        self.output.close()
        if self.process.stdin is not None:
            self.process.stdin.close()
