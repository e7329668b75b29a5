import numpy as np
import pytest

from strategies.core import ratchet
from strategies.tests.places import synthetic


def bands(candles, reach):
    return candles.close + reach, candles.close - reach, candles.close, candles.opened_at


@pytest.mark.parametrize("reach", [300.0, 2_000.0])
def test_few_runs_and_many_runs_are_computed_alike(monkeypatch, reach):
    given = bands(synthetic(5_000), reach)
    few = ratchet.ratchet(*given)
    monkeypatch.setattr(ratchet, "FEW", 0)
    for one, other in zip(few, ratchet.ratchet(*given), strict=True):
        assert one.tolist() == other.tolist()
    assert few[2].sum() > 5


@pytest.mark.parametrize("few", [0, 64])
def test_stops_only_tighten_between_turns(monkeypatch, few):
    monkeypatch.setattr(ratchet, "FEW", few)
    line, rising, flipped = ratchet.ratchet(*bands(synthetic(250), 500.0))
    for i in range(1, 250):
        if not flipped[i]:
            assert line[i] >= line[i - 1] if rising[i] else line[i] <= line[i - 1]


def test_nothing_of_no_candles():
    assert [len(part) for part in ratchet.ratchet(*bands(synthetic(0), 1.0))] == [0, 0, 0]


def test_runs_hang_on_the_clock_and_begin_one_block_early():
    candles = synthetic(1_000)
    begin, own, ends = ratchet._beginnings(candles.opened_at)
    slots = candles.opened_at // 3_600_000
    assert (slots[own[1:]] % ratchet.MEMORY == 0).all()
    assert begin[1:].tolist() == own[:-1].tolist()
    assert ends.tolist() == [*own[1:].tolist(), 1_000]
    later = ratchet._beginnings(candles.opened_at[100:])[1]
    assert (later[1:] + 100).tolist() == [start for start in own.tolist() if start > 100]


def test_a_run_after_a_long_gap_begins_anew():
    times = np.concatenate([np.arange(300), np.arange(300) + 5_000]).astype(np.int64) * 60_000
    begin, own, _ = ratchet._beginnings(times)
    assert begin[own == 300].tolist() == [300]
