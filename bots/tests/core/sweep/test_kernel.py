from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.core.backtest import engine
from bots.core.backtest.terms import Terms
from bots.core.codes import Code
from bots.core.limits import Limits
from bots.core.performance import measure
from bots.core.sweep.kernel import Kernel, Path
from bots.core.sweep.scores import COLUMNS, daily_returns, joined, scores
from bots.tests.core.candles_cast import FREE, PLAIN, STRICT, flat_candles, protections, signals, terms, walks
from exchanges.core.market import Market
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import recorded, synthetic

RICH = D(10**9)
#: Steps and ticks that are a good part of a price: every rounding shows.
COARSE = Market("BTC/USDT", "BTC", "USDT", D("0.5"), D(1), taker_fee=D("0.001"), maker_fee=D("0.001"))
capitals = st.sampled_from([D(10**9), D(100_000), D("1234.56"), D(150)])
OF_NOTHING = (
    *("winning_trades", "losing_trades", "win_rate_pct", "profit_factor"),
    *("sharpe_daily_365", "sortino_daily_365"),
)
REPORTED = [name for name in COLUMNS if not name.endswith("_daily")]


def assert_same(made, opinions, asked: Terms) -> None:
    outcome = engine.run(made, opinions, asked)
    kernel = Kernel(made, asked)
    path = kernel.path_of(opinions)
    exact = [(trade.entry, trade.exit) for trade in outcome.trades]
    if outcome.open is not None:
        exact.append((outcome.open.entry, len(made)))
    assert list(zip(path.entry.tolist(), path.exit.tolist(), strict=True)) == exact
    closed = len(outcome.trades)
    assert path.exit_price[:closed].tolist() == pytest.approx([float(trade.exit_price) for trade in outcome.trades])
    amounts = [float(trade.amount) for trade in (*outcome.trades, *([outcome.open] if outcome.open else []))]
    assert path.amount.tolist() == pytest.approx(amounts, rel=1e-7)
    stats, score = measure(outcome, made, asked).stats, scores(kernel, [path], drawdown=True).row(0)
    # A break-even stop may earn exactly nothing, but for the fees' last decimal: no figure
    # that divides by it, or counts it, means anything.
    even = any(abs(trade.pnl) < D("1e-9") and trade.reason is Code.BREAK_EVEN for trade in outcome.trades)
    for name in REPORTED if not even else [name for name in REPORTED if name not in OF_NOTHING]:
        mine, theirs = score[name], getattr(stats, name)
        if mine is None or theirs is None:
            assert mine == theirs or abs(mine or theirs) > 1e6, name
        elif min(abs(mine), abs(theirs)) < 1e9:  # else a ratio to nothing but noise
            assert mine == pytest.approx(theirs, rel=1e-5, abs=1e-6), name


@given(walks(), st.sampled_from([FREE, PLAIN, STRICT, COARSE]), protections, capitals, st.sampled_from([D(0), D(7)]))
@settings(max_examples=600, deadline=None)
def test_kernel_trades_and_scores_as_the_exact_engine(walk, market, limits, capital, slippage):
    made, opinions = walk
    assert_same(made, opinions, Terms(capital, market, limits, slippage))


@pytest.mark.parametrize("name", ["rsi_cross", "breakout"])
@pytest.mark.parametrize(
    "limits",
    [
        Limits(),
        Limits(stop_loss_pct=D(5), take_profit_pct=D(10)),
        Limits(take_profit_pct=D(1)),
        Limits(break_even_pct=D(1), stop_loss_pct=D(4)),
        Limits(trailing_stop_pct=D(3), stop_loss_pct=D(2), take_profit_pct=D(4)),
    ],
)
def test_kernel_equals_the_exact_engine_over_recorded_years(name, limits):
    load_shipped()
    made = recorded("btcusdt_1h_binance_2020-01_2023-12.csv")
    assert_same(made, StrategyRegistry.get(name)().signals(made), Terms(RICH, PLAIN, limits))


def test_slippage_is_in_every_price():
    load_shipped()
    made = synthetic(3000)
    opinions = StrategyRegistry.get("rsi_cross")().signals(made)
    asked = Terms(RICH, PLAIN, Limits(stop_loss_pct=D(3)), D(20))
    assert_same(made, opinions, asked)
    plain = Kernel(made, Terms(RICH, PLAIN, Limits(stop_loss_pct=D(3))))
    worse = Kernel(made, asked)
    dear, cheap = (scores(kernel, [kernel.path_of(opinions)]).return_pct[0] for kernel in (worse, plain))
    assert dear < cheap


def test_touch_is_found_beyond_many_quiet_blocks():
    made = flat_candles([100.0] * 20_000)
    made.low[19_990] = 90
    kernel = Kernel(made, terms(stop_loss_pct=D(5)))
    path = kernel.path_of(signals(20_000, [3]))
    assert (path.entry.tolist(), path.exit.tolist(), path.exit_price.tolist()) == ([4], [19_990], [95.0])


def test_set_without_entries_scores_nothing():
    kernel = Kernel(flat_candles([1.0, 2.0, 3.0]), terms())
    score = scores(kernel, [kernel.path_of(signals(3))], drawdown=True).row(0)
    assert (score["return_pct"], score["closed_trades"], score["max_drawdown_pct"]) == (0.0, 0.0, 0.0)
    assert (score["sharpe_daily_365"], score["win_rate_pct"], score["profit_factor"]) == (None, None, None)


@given(st.lists(walks(), min_size=1, max_size=1), st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=5))
@settings(max_examples=60, deadline=None)
def test_scores_of_many_are_those_of_each(walk, seeds):
    ((made, _),) = walk
    kernel = Kernel(made, terms(stop_loss_pct=D(10)))
    paths = []
    for seed in seeds:
        flags = np.random.default_rng(seed).random((2, len(made))) < seed % 3 / 10
        opinions = signals(len(made), np.flatnonzero(flags[0]), np.flatnonzero(flags[1]))
        paths.append(kernel.path_of(opinions))
    together = scores(kernel, paths, drawdown=True)
    apart = joined([scores(kernel, [path], drawdown=True) for path in paths])
    for name in COLUMNS:
        both = [np.nan_to_num(getattr(part, name), nan=-1.0) for part in (together, apart)]
        assert both[0] == pytest.approx(both[1], rel=1e-6, abs=1e-7), name


def test_both_rules_on_one_candle_are_decided_by_what_is_held():
    kernel = Kernel(flat_candles([1.0] * 8), terms())
    path = kernel.path(np.array([0, 3, 5]), np.array([3, 4, 5]))
    assert list(zip(path.entry.tolist(), path.exit.tolist(), strict=True)) == [(1, 4), (6, 8)]


def test_returns_that_are_rounding_have_no_ratio():
    kernel = Kernel(flat_candles([100.0] * 72), terms(market=FREE))
    prices = [(100.0, 100.00000000000003), (100.00000000000003, 100.0)]
    paths = [
        Path(np.array([1]), np.array([30]), np.array([paid]), np.array([got]), np.array([1000.0]), np.array([10.0]))
        for paid, got in prices
    ]
    assert all(daily_returns(kernel, path).any() for path in paths)
    scored = scores(kernel, paths)
    assert np.isnan([scored.sharpe_daily_365, scored.sortino_daily_365]).all()


def test_daily_returns_chain_to_the_return():
    load_shipped()
    made = synthetic(2000)
    kernel = Kernel(made, terms())
    path = kernel.path_of(StrategyRegistry.get("mean_reversion")().signals(made))
    total = 100 * (np.prod(1 + daily_returns(kernel, path)) - 1)
    assert scores(kernel, [path]).return_pct[0] == pytest.approx(total)
