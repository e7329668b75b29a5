"""Keeps programs running until it is told to stop, then stops them in reverse order of their start."""

import math
import selectors
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

from tradingbot.supervise.child import Child, Program

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# All of them together leave within this time, whatever they are doing: killing is safe at every step.
STOP_SECONDS = 9.5
LOOK_SECONDS = 0.2
Write = Callable[[str, str], None]


class Supervisor:
    """A context: whatever happens inside, no child is left when it is over."""

    def __init__(self, write: Write, folder: Path) -> None:
        self.children: list[Child] = []
        self.failed: str | None = None
        self._say = write
        self._folder = folder
        self._selector = selectors.DefaultSelector()
        self._stops = 0
        self._handlers: list[tuple[signal.Signals, Any]] = []

    def __enter__(self) -> Self:
        self._handlers = [(number, signal.signal(number, self._on_signal)) for number in STOP_SIGNALS]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_children()
        for number, handler in self._handlers:
            signal.signal(number, handler)
        self._selector.close()

    @property
    def stopping(self) -> bool:
        return self._stops > 0

    def start(self, program: Program) -> Child:
        child = Child(program, self._folder, time.monotonic())
        self.children.append(child)
        self._selector.register(child.output, selectors.EVENT_READ, child)
        return child

    def wait_until(self, done: Callable[[], bool], seconds: float) -> bool:
        """Look after the children until `done`; False if told to stop or out of time."""
        deadline = time.monotonic() + seconds
        while not self.stopping and time.monotonic() < deadline:
            if done():
                return True
            self._look(LOOK_SECONDS / 4)
        return False

    def run(self, every: float, check: Callable[[], None]) -> None:
        """Look after the children until told to stop, or until one of them keeps dying; `check` now and then."""
        due = time.monotonic() + every
        while not self.stopping:
            self._look(LOOK_SECONDS)
            if time.monotonic() >= due:
                check()
                due = time.monotonic() + every

    def restart(self, child: Child, reason: str) -> None:
        self._say("up", f"{child.program.name} {reason}: starting it anew")
        child.kill()

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._stops += 1

    def _look(self, seconds: float) -> None:
        self._pump(seconds)
        now = time.monotonic()
        for child in self.children:
            if child.due_at is not None and now >= child.due_at:
                child.start(now)
                self._selector.register(child.output, selectors.EVENT_READ, child)
            elif child.due_at is None and not child.alive:
                self._mourn(child, now)

    def _mourn(self, child: Child, now: float) -> None:
        name, status = child.program.name, child.process.returncode
        self._bury(child)
        pause = child.restarts.after(now - child.started_at)
        if pause is None:
            child.due_at = math.inf
            self.failed = f"{name} keeps ending with status {status}."
            self._stops += 1
            return
        self._say("up", f"{name} ended with status {status}; starting it again in {pause:.0f} s")
        child.due_at = now + pause

    def _pump(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            if not self._hand_on(key.data):
                self._selector.unregister(key.fileobj)

    def _hand_on(self, child: Child) -> bool:
        """Pass on what the child printed; False at the end of its output."""
        lines = child.read_lines()
        for line in lines or ():
            self._say(child.program.name, line)
        return lines is not None

    def _bury(self, child: Child) -> None:
        child.kill()
        child.process.wait()
        if child.output in self._selector.get_map():
            # The writers are dead: what is in the pipe now is all there will be.
            for _ in range(16):
                if not self._hand_on(child):
                    break
            self._selector.unregister(child.output)
        child.close()

    def _stop_children(self) -> None:
        began, asked = time.monotonic(), self._stops
        for child in reversed(self.children):
            if child.due_at is not None:
                continue
            child.terminate()
            grace = min(began + STOP_SECONDS, time.monotonic() + child.program.stop_seconds)
            while child.alive and time.monotonic() < grace and self._stops == asked:
                self._pump(LOOK_SECONDS / 4)
            if child.alive:
                self._say("up", f"{child.program.name} did not leave in time: killed")
            self._bury(child)
