"""The supervisor keeps real processes running and stops them in order."""

import os
import signal
import threading
import time

import pytest

from tradingbot.supervise import child as children
from tradingbot.supervise import supervisor as supervising
from tradingbot.supervise.supervisor import Supervisor
from tradingbot.tests.supervise.test_child import script

POLITE = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print('leaving', flush=True), sys.exit(0)))
print('here', flush=True)
time.sleep(60)
"""
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); print('here', flush=True); time.sleep(60)"


class Notes(list):
    def __call__(self, name: str, line: str) -> None:
        self.append((name, line))


@pytest.fixture
def notes() -> Notes:
    return Notes()


def stop_after(seconds: float) -> None:
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()


def test_children_leave_in_reverse_order_of_their_start(notes, tmp_path):
    with Supervisor(notes, tmp_path) as supervisor:
        for name in ("broker", "worker", "beat"):
            supervisor.start(script(POLITE, name))
        assert supervisor.wait_until(lambda: len(notes) == 3, 10)
    assert [name for name, line in notes if line == "leaving"] == ["beat", "worker", "broker"]
    assert [child.process.returncode for child in supervisor.children] == [0, 0, 0]


def test_child_that_does_not_leave_is_killed(notes, tmp_path):
    with Supervisor(notes, tmp_path) as supervisor:
        supervisor.start(script(STUBBORN, "worker"))
        supervisor.wait_until(lambda: len(notes) == 1, 10)
        began = time.monotonic()
    assert ("up", "worker did not leave in time: killed") in notes
    assert time.monotonic() - began < 5
    assert not supervisor.children[0].alive


def test_signal_ends_the_run_and_the_old_handlers_come_back(notes, tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with Supervisor(notes, tmp_path) as supervisor:
        supervisor.start(script(POLITE))
        stop_after(0.5)
        supervisor.run(60, lambda: None)
    assert supervisor.stopping
    assert supervisor.failed is None
    assert signal.getsignal(signal.SIGTERM) is before


def test_second_signal_kills_at_once(notes, tmp_path):
    with Supervisor(notes, tmp_path) as supervisor:
        supervisor.start(script(STUBBORN, "one"))
        supervisor.start(script(STUBBORN, "two"))
        supervisor.wait_until(lambda: len(notes) == 2, 10)
        stop_after(0.3)
        began = time.monotonic()
    assert time.monotonic() - began < 2.5
    assert not any(child.alive for child in supervisor.children)


def test_child_that_died_is_started_again(notes, tmp_path):
    flag = tmp_path / "second"
    text = f"""
import pathlib, time
flag = pathlib.Path({str(flag)!r})
if not flag.exists():
    flag.touch()
    raise SystemExit(5)
print('again', flush=True)
time.sleep(60)
"""
    with Supervisor(notes, tmp_path) as supervisor:
        supervisor.start(script(text, "worker"))
        assert supervisor.wait_until(lambda: ("worker", "again") in notes, 10)
    assert ("up", "worker ended with status 5; starting it again in 1 s") in notes


def test_child_that_keeps_dying_ends_the_run(notes, tmp_path, monkeypatch):
    monkeypatch.setattr(children, "QUICK_DEATHS", 2)
    with Supervisor(notes, tmp_path) as supervisor:
        other = supervisor.start(script(POLITE, "web"))
        supervisor.start(script("print('why'); raise SystemExit(5)", "worker"))
        supervisor.run(60, lambda: None)
    assert supervisor.failed == "worker keeps ending with status 5."
    assert notes.count(("worker", "why")) == 2
    assert not other.alive


def test_restart_replaces_a_child_that_lives(notes, tmp_path):
    with Supervisor(notes, tmp_path) as supervisor:
        child = supervisor.start(script(POLITE, "worker"))
        supervisor.wait_until(lambda: notes.count(("worker", "here")) == 1, 10)
        supervisor.restart(child, "is silent")
        assert supervisor.wait_until(lambda: notes.count(("worker", "here")) == 2, 10)
    assert ("up", "worker is silent: starting it anew") in notes


def test_check_is_called_now_and_then(notes, tmp_path):
    calls = []
    with Supervisor(notes, tmp_path) as supervisor:
        stop_after(1.2)
        supervisor.run(0.3, lambda: calls.append(1))
    assert 2 <= len(calls) <= 4


def test_wait_ends_when_time_is_up(notes, tmp_path):
    with Supervisor(notes, tmp_path) as supervisor:
        assert supervisor.wait_until(lambda: False, 0.2) is False


def test_error_inside_leaves_no_child(notes, tmp_path):
    def fail_with_child() -> None:
        with Supervisor(notes, tmp_path) as supervisor:
            started.append(supervisor.start(script(POLITE)))
            raise RuntimeError("migration failed")

    started = []
    with pytest.raises(RuntimeError, match="migration failed"):
        fail_with_child()
    assert not started[0].alive


def test_all_together_leave_in_ten_seconds():
    assert supervising.STOP_SECONDS < 10
