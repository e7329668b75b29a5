"""`manage.py up` with real processes: it starts, heals, refuses and stops as it says."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from tradingbot.tests.places import PROJECT
from tradingbot.tests.plugin import VARIABLES
from tradingbot.tests.waiting import wait_for

COLD = {name: value for name, value in os.environ.items() if name not in VARIABLES}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Platform:
    """A running `up` on a folder of its own."""

    def __init__(self, var: Path, port: int) -> None:
        self.var, self.port = var, port
        self.output = var.with_suffix(".out")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up", "--no-demo", "--port", str(port)],
                cwd=PROJECT,
                env=COLD | {"VAR_DIR": str(var)},
                stdout=output,
                stderr=output,
            )

    def text(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        wait_for(lambda: "ready on" in self.text() or self.process.poll() is not None, 60)
        assert f"ready on http://127.0.0.1:{self.port}/" in self.text(), self.text()

    def family(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, word: str) -> psutil.Process:
        return next(process for process in self.family() if word in process.cmdline() and "-m" in process.cmdline())


def refused(var: Path, *options: str) -> str:
    """The one sentence with which `up` refuses."""
    result = subprocess.run(
        [sys.executable, "manage.py", "up", "--no-demo", *options],
        cwd=PROJECT,
        env=COLD | {"VAR_DIR": str(var)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode not in {0, -9}
    assert "Traceback" not in result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


@pytest.fixture
def platform(tmp_path):
    running = Platform(tmp_path / "var", free_port())
    try:
        running.wait_until_ready()
        yield running
    finally:
        family = [] if running.process.poll() is not None else running.family()
        running.process.kill()
        running.process.wait()
        psutil.wait_procs(family, timeout=10)


def test_platform_serves_heals_and_stops_without_a_trace(platform):
    with urllib.request.urlopen(f"http://127.0.0.1:{platform.port}/health", timeout=5) as answer:
        assert (answer.status, answer.read()) == (200, b'{"status": "ok"}')
    assert oct((platform.var / "tradingbot.sqlite3").stat().st_mode)[-3:] == "600"

    assert "already runs on" in refused(platform.var, "--port", str(free_port()))
    assert f"Port {platform.port} is not free" in refused(platform.var.with_name("other"), "--port", str(platform.port))

    worker = platform.child("worker")
    worker.kill()
    wait_for(lambda: "worker ended with status -9; starting it again in 1 s" in platform.text())
    wait_for(lambda: any("worker" in process.cmdline() for process in platform.family()), 15)
    assert platform.process.poll() is None

    family = platform.family()
    assert len(family) >= 4
    began = time.monotonic()
    platform.process.send_signal(signal.SIGINT)
    assert platform.process.wait(15) == 0
    assert time.monotonic() - began < 10
    assert not [process for process in family if process.is_running()]
    assert platform.text().rstrip().endswith("stopped")


def test_killed_supervisor_takes_every_child_along(platform):
    family = platform.family()
    assert len(family) >= 4
    platform.process.kill()
    _, left = psutil.wait_procs(family, timeout=10)
    assert left == []


def test_second_start_finds_what_the_first_one_left(platform):
    secret = (platform.var / "secrets" / "SECRET_KEY").read_text()
    platform.process.kill()
    platform.process.wait()
    wait_for(lambda: not _listens(platform.port))
    again = Platform(platform.var, platform.port)
    try:
        again.wait_until_ready()
        assert (platform.var / "secrets" / "SECRET_KEY").read_text() == secret
    finally:
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(15) == 0


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "var").write_text("not a folder")
    assert refused(tmp_path / "var").startswith("VAR_DIR: Expected a writable folder")


def test_lock_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "var" / "up.lock").mkdir(parents=True)
    assert refused(tmp_path / "var").endswith("(Is a directory).")


def test_port_out_of_range_is_a_usage_error(tmp_path):
    result = subprocess.run(
        [sys.executable, "manage.py", "up", "--port", "70000"],
        cwd=PROJECT,
        env=COLD | {"VAR_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 2
    assert "--port" in result.stderr
