"""Real workers, beats and a broker that dies, at the size of every change; `make nightly` runs them at full size."""

import json

import pytest

from bots.tests.test_proof import run

pytestmark = [pytest.mark.slow, pytest.mark.redis]


def test_what_was_queued_in_a_dead_broker_is_done_soon_after_it_is_back() -> None:
    done = run("broker_kill", "--kills", "1", "--runs", "30", "--absence", "0", "--workers", "1")
    assert done.stdout, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert (done.returncode, found["failures"], found["deaths"]) == (0, [], [])
    assert found["due at the kill"][0] > 0
