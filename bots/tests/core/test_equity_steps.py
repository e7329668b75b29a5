import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.core import equity_steps
from bots.core.equity_steps import drawdown_of, stepped


@pytest.mark.parametrize(
    ("values", "deepest", "longest"),
    [
        ([1000, 900, 950, 1000, 1100, 1045], 10.0, 2),
        ([900, 800], 20.0, 2),
        ([1000, 1000, 1001], 0.0, 0),
        ([1100, 1050, 1060, 1070, 1080], 100 * 50 / 1100, 4),
    ],
)
def test_drawdown_starts_from_the_initial_cash(values, deepest, longest):
    assert drawdown_of(np.array(values, dtype=float), 1000.0) == (pytest.approx(deepest), longest)


def test_drawdown_over_several_blocks_is_that_of_the_whole():
    values = 1000 * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.001, 70_000)))
    peaks = np.maximum(np.maximum.accumulate(values), 1000.0)
    deepest, longest = drawdown_of(values, 1000.0)
    assert deepest == pytest.approx(100 * ((peaks - values) / peaks).max())
    below = "".join("b" if flag else " " for flag in values < peaks)
    assert longest == max(map(len, below.split()))


@st.composite
def steps(draw):
    """Steps between random changes, some of them on one candle; what is held is often nothing."""
    chance = np.random.default_rng(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 400))
    changes = np.sort(chance.integers(0, count, draw(st.integers(0, 30))))
    trend = draw(st.sampled_from([-0.01, 0.0, 0.01]))
    closes = np.round(100 * np.exp(np.cumsum(chance.normal(trend, 0.02, count))), draw(st.sampled_from([0, 2]))) + 1
    held = chance.random(len(changes) + 1) * chance.integers(0, 2, len(changes) + 1)
    return stepped(changes, held, np.round(chance.normal(1000, 20, len(changes) + 1), 1), closes)


@given(steps())
@settings(max_examples=300, deadline=None)
def test_drawdown_told_by_steps_is_that_of_every_candle_to_the_last_bit(made):
    cost = equity_steps.STEP_COST
    equity_steps.STEP_COST = 0
    try:
        told = made.drawdown(1000.0)
    finally:
        equity_steps.STEP_COST = cost
    assert told == drawdown_of(made.each(), 1000.0) == made.drawdown(1000.0)


@given(steps())
@settings(max_examples=100, deadline=None)
def test_equity_at_some_candles_is_that_of_the_whole_curve(made):
    whole = made.each()
    some = np.flatnonzero(np.arange(len(whole)) % 3 == 0)
    assert made.at(some).tolist() == whole[some].tolist()


def test_of_several_changes_on_one_candle_the_last_one_counts():
    made = stepped(np.array([1, 1, 2]), np.array([0.0, 1, 2, 0]), np.array([50.0, 40, 30, 99]), np.array([5.0, 6, 7]))
    assert made.each().tolist() == [50, 42, 99]
