import math
from itertools import permutations, product

import numpy as np
import pytest

from bots.core.backtest.montecarlo import monte_carlo

RETURNS = np.array([5.0, -3.0, 2.0, -8.0, 10.0, 1.0, -2.0, 4.0])


def test_same_seed_gives_the_same_answer():
    assert monte_carlo(RETURNS, 200, 3) == monte_carlo(RETURNS, 200, 3)
    assert monte_carlo(RETURNS, 200, 3) != monte_carlo(RETURNS, 200, 4)


def test_percentiles_are_ordered_and_within_what_can_happen():
    made = monte_carlo(RETURNS, 500)
    assert made is not None
    for column in (made.shuffled_drawdown_pct, made.drawn_return_pct, made.drawn_drawdown_pct):
        assert list(column) == [5, 25, 50, 75, 95]
        assert sorted(column.values()) == list(column.values())
    # The deepest order has all three losses in a row, the mildest never fewer than the worst single loss.
    assert made.shuffled_drawdown_pct[5] >= 8.0 - 1e-9
    assert made.shuffled_drawdown_pct[95] <= 100 * (1 - 0.97 * 0.92 * 0.98) + 1e-9
    assert (made.runs, made.trades) == (500, 8)


def test_only_losses_lose_in_every_order():
    made = monte_carlo(np.array([-10.0, -10.0]), 50)
    assert made is not None
    assert made.probability_of_loss == 1.0
    assert made.shuffled_drawdown_pct[50] == pytest.approx(19.0)
    assert made.drawn_return_pct[50] == pytest.approx(-19.0)


def test_percentiles_are_those_of_every_order_and_every_draw_there_is():
    """Four trades have 24 orders and 256 draws; half a percentile point is what chance may do to 100,000 runs."""
    returns = np.array([20.0, -10.0, 4.0, -7.0])
    made = monte_carlo(returns, 100_000)
    assert made is not None
    orders, draws = list(permutations(returns)), list(product(returns, repeat=4))
    for column, values in (
        (made.shuffled_drawdown_pct, [deepest(order) for order in orders]),
        (made.drawn_return_pct, [100 * (math.prod(1 + r / 100 for r in draw) - 1) for draw in draws]),
        (made.drawn_drawdown_pct, [deepest(draw) for draw in draws]),
    ):
        for percentile, value in column.items():
            below, up_to = np.mean(np.array(values) < value - 1e-9), np.mean(np.array(values) <= value + 1e-9)
            assert 100 * below - 0.5 <= percentile <= 100 * up_to + 0.5
    losing = np.mean([math.prod(1 + r / 100 for r in draw) < 1 for draw in draws])
    assert made.probability_of_loss == pytest.approx(losing, abs=0.005)


def deepest(returns):
    equity = peak = 1.0
    fall = 0.0
    for change in returns:
        equity *= 1 + change / 100
        peak = max(peak, equity)
        fall = max(fall, 100 * (1 - equity / peak))
    return fall


def test_no_trades_no_answer():
    assert monte_carlo(np.array([])) is None


def test_runs_in_parts_are_all_counted(monkeypatch):
    monkeypatch.setattr("bots.core.backtest.montecarlo.TOGETHER", 20)
    made = monte_carlo(np.array([1.0, -1.0, 3.0]), 100)
    assert made is not None
    assert 0.0 < made.probability_of_loss < 1.0
