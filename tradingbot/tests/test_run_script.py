"""./run.sh on a bare machine: what it installs, resumes and refuses (with a lock that holds no package)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tradingbot.tests.places import PROJECT


@pytest.fixture
def clone(tmp_path) -> Path:
    """A project whose platform only prints how it was called."""
    (tmp_path / "deploy").mkdir()
    for name in ("run.sh", "deploy/venv.sh"):
        shutil.copy(PROJECT / name, tmp_path / name)
    (tmp_path / "requirements.lock").write_text("")
    (tmp_path / "manage.py").write_text("import sys; print('manage.py', *sys.argv[1:], sys.prefix != sys.base_prefix)")
    return tmp_path


def run(clone: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    base = {"PATH": f"{Path(sys._base_executable).parent}:{os.environ['PATH']}", "HOME": str(clone)}
    return subprocess.run(
        [shutil.which("bash"), clone / "run.sh", *options],
        env=base | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert "manage.py" not in result.stdout
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]


def test_first_run_installs_and_the_second_does_not(clone):
    first, second = run(clone, "--port", "8123"), run(clone)
    assert "Installing" in first.stdout
    assert first.stdout.endswith("manage.py up --port 8123 True\n")
    assert second.stdout == "manage.py up True\n"


def test_changed_lock_is_installed_anew(clone):
    run(clone)
    (clone / "requirements.lock").write_text("# another one\n")
    assert "Installing" in run(clone).stdout
    assert "Installing" not in run(clone).stdout


def test_install_that_was_cut_short_starts_over(clone):
    run(clone)
    half = clone / ".venv" / "half-copied"
    half.touch()
    (clone / ".venv" / ".unfinished").touch()
    assert "Installing" in run(clone).stdout
    assert not half.exists()
    assert not (clone / ".venv" / ".unfinished").exists()


def test_environment_whose_python_is_gone_is_made_anew(clone):
    run(clone)
    python = clone / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3")
    assert run(clone).stdout.endswith("manage.py up True\n")


def test_failed_install_is_resumed(clone):
    (clone / "requirements.lock").write_text("no-such-package==1.0 --hash=sha256:" + "0" * 64)
    result = run(clone, PIP_NO_INDEX="1")
    assert result.returncode == 1
    assert "could not be installed" in result.stderr.strip().splitlines()[-1]
    (clone / "requirements.lock").write_text("")
    assert run(clone).stdout.endswith("manage.py up True\n")


def test_missing_python_is_named(clone):
    tools = clone / "tools"
    tools.mkdir()
    for name in ("bash", "dirname", "cmp"):
        (tools / name).symlink_to(shutil.which(name))
    assert "Expected Python 3.11 or newer" in refusal(run(clone, PATH=str(tools)))


def test_python_that_is_named_but_not_there_is_said(clone):
    assert "at /no/python3, found none" in refusal(run(clone, PYTHON="/no/python3"))


def test_folder_that_cannot_be_written_is_named(clone):
    # Root may write anywhere but here.
    script = (clone / "deploy" / "venv.sh").read_text().replace("VENV=$PWD/.venv", "VENV=/proc/none/.venv")
    (clone / "deploy" / "venv.sh").write_text(script)
    assert "Expected a writable folder" in refusal(run(clone))
