from dataclasses import replace
from decimal import Decimal as D

import numpy as np
import pytest

from bots.core.backtest.checks import check, delayed, fill_rows, lookahead, looks
from bots.tests.core.candles_cast import flat_candles, signals, terms
from exchanges.core.candles import Candles
from strategies.core.indicators import ema
from strategies.core.signals import Signals
from strategies.core.strategy import BaseStrategy, StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import synthetic


class Clairvoyant(BaseStrategy):
    """Buys before a rise: the flaw that truncation finds."""

    name = "clairvoyant"

    def signals(self, candles: Candles) -> Signals:
        rises = np.append(candles.close[1:] > candles.close[:-1], False)
        return Signals(rises, ~rises, np.ones(len(candles), np.bool_), np.zeros(len(candles)))


class Forgetful(BaseStrategy):
    """Says it needs 30 candles and remembers hundreds."""

    name = "forgetful"
    warmup = 30  # type: ignore[assignment]

    def signals(self, candles: Candles) -> Signals:
        mean = ema(candles.close, 20)
        above = candles.close > mean
        return Signals(above, ~above, ~np.isnan(mean), np.zeros(len(candles)), {"ema": np.round(mean, 8)})


@pytest.mark.parametrize("name", ["rsi_cross", "mean_reversion", "breakout", "vwap_cross", "ema_cross"])
def test_shipped_strategies_pass(name):
    load_shipped()
    checked = check(StrategyRegistry.get(name)(), synthetic(1500), "1h", terms(), runs=50)
    assert checked.passed
    assert checked.lookahead.candles > 100
    assert checked.monte_carlo is not None


def test_look_ahead_is_found_and_shown():
    made = synthetic(300)
    strategy = Clairvoyant()
    whole = strategy.signals(made)
    found = lookahead(strategy, made, whole, looks(whole))
    assert not found.passed
    assert found.differing > 30
    assert len(found.examples) == 5
    assert "entry is False on the candles up to this one and True" in found.examples[0].what
    assert not check(strategy, made, "1h", terms(), runs=10).passed


def test_short_warmup_is_found_though_nothing_looks_ahead():
    checked = check(Forgetful(), synthetic(600), "1h", terms(), runs=10)
    assert checked.lookahead.passed
    assert not checked.passed
    by_window = {row.window: row.largest_indicator_difference for row in checked.warmup}
    assert list(by_window) == [7, 15, 30, 60]
    assert by_window[30] > by_window[60] > 0


def test_worse_fills_earn_less():
    load_shipped()
    made = synthetic(2000)
    opinions = StrategyRegistry.get("rsi_cross")().signals(made)
    rows = list(fill_rows(made, opinions, terms()))
    assert [(row.name, row.slippage_bps, row.delay) for row in rows] == [
        ("as asked", D(0), 0), ("slippage × 1", D(5), 0), ("slippage × 2", D(10), 0), ("slippage × 4", D(20), 0),
        ("one candle later", D(0), 1),
    ]  # fmt: skip
    returns = [row.return_pct for row in rows[:4]]
    assert returns == sorted(returns, reverse=True)
    assert next(fill_rows(made, opinions, terms(slippage_bps=3))).slippage_bps == D(3)


def test_delay_moves_every_opinion():
    late = delayed(signals(4, entry=[0, 3], exit_=[2]), 1)
    assert np.flatnonzero(late.entry).tolist() == [1]
    assert np.flatnonzero(late.exit).tolist() == [3]
    assert late.ready.tolist() == [False, True, True, True]


def test_looks_prefer_candles_with_signals():
    spoken = signals(5000, entry=range(100, 160))
    picked = looks(spoken)
    assert len(picked) <= 200
    assert len(set(picked) & set(range(100, 160))) >= 60
    assert looks(replace(spoken, entry=np.zeros(5000, np.bool_))) == sorted(looks(signals(5000)))


def test_without_trades_there_is_no_order_to_shuffle():
    load_shipped()
    checked = check(StrategyRegistry.get("rsi_cross")(), flat_candles([100.0] * 50), "1h", terms())
    assert checked.monte_carlo is None
    assert checked.passed
