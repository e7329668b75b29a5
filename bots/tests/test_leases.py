"""At most one worker acts on a run, and one that was overtaken can write nothing more."""

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
