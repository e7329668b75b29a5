"""A program's life: when it may start again, what it prints, and that it does not outlive its supervisor."""

import signal
import subprocess
import sys
import time
from itertools import pairwise

import psutil
import pytest

from tradingbot.supervise.child import LEASH, LONGEST_PAUSE, QUICK_DEATHS, STEADY_SECONDS, Child, Program, Restarts
from tradingbot.tests.waiting import wait_for


def script(text: str, name: str = "script") -> Program:
    return Program(name, (sys.executable, "-u", "-c", text), module=False)


def test_pause_grows_until_it_gives_up():
    restarts = Restarts()
    pauses = [restarts.after(lived=1.0) for _ in range(QUICK_DEATHS)]
    assert pauses[:-1] == [1, 2, 4, 8]
    assert pauses[-1] is None


def test_steady_life_forgives_quick_deaths():
    restarts = Restarts()
    for _ in range(QUICK_DEATHS - 1):
        restarts.after(lived=1.0)
    assert restarts.after(lived=STEADY_SECONDS) == 1.0
    assert restarts.after(lived=1.0) == 1.0


def test_pause_never_shrinks_nor_exceeds_the_longest():
    restarts = Restarts()
    pauses = [pause for _ in range(20) if (pause := restarts.after(lived=0.0)) is not None]
    assert all(shorter <= longer <= LONGEST_PAUSE for shorter, longer in pairwise(pauses))


def test_output_comes_by_whole_lines(tmp_path):
    child = Child(
        script(
            "import sys; sys.stdout.write('one\\ntwo\\r\\nthr'); sys.stdout.flush(); print('ee'); print('4', end='')"
        ),
        tmp_path,
        0.0,
    )
    child.process.wait(10)
    lines = []
    while (more := child.read_lines()) is not None:
        lines += more
    child.close()
    assert lines == ["one", "two", "three", "4"]


def test_running_program_without_output_has_no_lines(tmp_path):
    child = Child(script("import time; time.sleep(60)"), tmp_path, 0.0)
    try:
        assert child.read_lines() == []
        assert child.alive
    finally:
        child.kill()
        child.close()
    assert not child.alive


def test_environment_reaches_the_program(tmp_path):
    program = Program(
        "x", (sys.executable, "-c", "import os; print(os.environ['COLOR'])"), False, environment={"COLOR": "red"}
    )
    child = Child(program, tmp_path, 0.0)
    child.process.wait(10)
    assert child.read_lines() == ["red"]
    child.close()


@pytest.mark.parametrize(
    ("text", "status"), [("raise SystemExit(7)", 7), ("import os; os.kill(os.getpid(), 9)", 128 + 9)]
)
def test_leash_answers_with_the_programs_status(text, status):
    with subprocess.Popen([sys.executable, LEASH, sys.executable, "-c", text], stdin=subprocess.PIPE) as leash:
        assert leash.wait(10) == status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_leash_hands_signals_on(number):
    text = f"""
import signal, time
signal.signal({int(number)}, lambda *_: exit(3))
print('up', flush=True)
time.sleep(60)
"""
    leash = subprocess.Popen(
        [sys.executable, LEASH, sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with leash:
        assert leash.stdout.readline() == b"up\n"
        leash.send_signal(number)
        assert leash.wait(10) == 3


@pytest.mark.parametrize(
    "argv", [[sys.executable, "-c", "import time; time.sleep(60)"], ["-m", "http.server", "--bind", "127.0.0.1", "0"]]
)
def test_orphan_leaves(argv):
    leash = subprocess.Popen(
        [sys.executable, LEASH, *argv], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    wait_for(lambda: len(psutil.Process(leash.pid).cmdline()) > 2)
    time.sleep(0.5)
    family = [psutil.Process(leash.pid), *psutil.Process(leash.pid).children()]
    leash.stdin.close()
    leash.wait(10)
    wait_for(lambda: not any(process.is_running() for process in family))
    assert leash.returncode != 0


def test_orphan_that_ignores_its_end_is_killed(tmp_path):
    text = "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    began = time.monotonic()
    leash = subprocess.Popen(
        [sys.executable, LEASH, sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with leash:
        leash.stdout.readline()
        leash.stdin.close()
        assert leash.wait(10) == 128 + 9
    assert time.monotonic() - began < 9
