"""At most one worker acts on a run, and one that was overtaken can write nothing more."""

import os
import subprocess
import sys

import pytest

from bots import leases
from bots.models import BotRun
from bots.tests.desk import Desk, after


def seen(desk: Desk) -> BotRun:
    return BotRun.objects.get(pk=desk.run.pk)


def test_one_of_two_workers_gets_the_lease(desk: Desk) -> None:
    first, second = seen(desk), seen(desk)
    assert (leases.take(first, "a", after(0)), leases.take(second, "b", after(0))) == (1, None)
    assert leases.take(seen(desk), "b", after(29)) is None


def test_a_lease_runs_out_and_the_next_epoch_begins(desk: Desk) -> None:
    leases.take(seen(desk), "a", after(0))
    assert leases.take(seen(desk), "b", after(30)) == 2


def test_a_released_lease_is_free_at_once(desk: Desk) -> None:
    with leases.leased(seen(desk), "a", after(0)) as epoch:
        assert epoch == 1
        assert leases.take(seen(desk), "b", after(1)) is None
    assert leases.take(seen(desk), "b", after(1)) == 2


def test_an_overtaken_worker_does_not_release_anothers_lease(desk: Desk) -> None:
    slow = seen(desk)
    epoch = leases.take(slow, "a", after(0))
    assert epoch is not None
    leases.take(seen(desk), "b", after(31))
    leases.release(slow, epoch)
    assert (seen(desk).lease_owner, seen(desk).lease_epoch) == ("b", 2)


def test_an_error_releases_the_lease(desk: Desk) -> None:
    with pytest.raises(RuntimeError), leases.leased(seen(desk), "a", after(0)):
        raise RuntimeError
    assert seen(desk).lease_until is None


def test_a_stale_view_of_the_run_gets_no_lease(desk: Desk) -> None:
    stale = seen(desk)
    with leases.leased(seen(desk), "a", after(0)):
        pass
    assert leases.take(stale, "b", after(1)) is None


def held_by(desk: Desk, owner: str) -> int | None:
    return leases.take(seen(desk), owner, after(0))


def gone() -> int:
    """The number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    return process.pid


def owner(pid: int) -> str:
    return leases.owner_name().replace(f":{os.getpid()}", f":{pid}")


def test_a_new_worker_takes_back_what_a_dead_one_of_its_machine_held(desk: Desk) -> None:
    epoch = held_by(desk, owner(gone()))
    assert leases.release_dead(after(1)) == 1
    run = seen(desk)
    assert (run.lease_owner, run.lease_until, leases.take(run, "b", after(1))) == ("", None, 3)
    # Should it have lived all the same, its epoch is over.
    assert epoch == 1


def test_a_new_worker_takes_back_what_its_predecessor_of_the_same_number_held(desk: Desk) -> None:
    held_by(desk, leases.owner_name())
    assert leases.release_dead(after(1)) == 1


@pytest.mark.parametrize("who", ["living", "elsewhere", "without a number"])
def test_a_lease_whose_owner_may_live_runs_out_by_itself(desk: Desk, who: str) -> None:
    names = {"living": owner(os.getppid()), "elsewhere": f"another-machine:{gone()}", "without a number": "console"}
    held_by(desk, names[who])
    assert leases.release_dead(after(1)) == 0
    assert leases.take(seen(desk), "b", after(29)) is None


def test_a_long_machine_name_leaves_room_for_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases.socket, "gethostname", lambda: "m" * 64)
    name = leases.owner_name()
    assert len(name) <= 64
    assert name.endswith(f":{os.getpid()}")
