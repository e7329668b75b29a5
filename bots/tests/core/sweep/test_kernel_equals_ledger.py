"""The sweep's kernel against the exact ledger over every recorded file, on markets with fine, real and coarse steps."""

from decimal import Decimal as D
from itertools import product

import numpy as np
import pytest

from bots.core.backtest import engine
from bots.core.backtest.terms import Terms, unknown_market
from bots.core.limits import Limits
from bots.core.performance import measure
from bots.core.sweep.kernel import Kernel
from bots.core.sweep.scores import scores
from exchanges.core.market import Market
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import RECORDED, recorded

#: In percent, of one trade; and of the whole return, relative to what is left of the capital.
PER_TRADE, WHOLE = 1e-6, 1e-7
FEE = D("0.001")
NAMES = ("rsi_cross", "mean_reversion", "breakout")
LIMITS = {
    "plain": Limits(),
    "stop and target": Limits(stop_loss_pct=D(2), take_profit_pct=D(4)),
    "trailing": Limits(trailing_stop_pct=D("1.5")),
}


def steps_of(share: float, prices: np.ndarray) -> Market:
    """A market whose amount step costs that share of 1,000 and whose tick is a thousandth of a price's median."""
    median = float(np.median(prices))
    step, tick = (D(10) ** int(np.floor(np.log10(size))) for size in (1000 * share / median, median / 1000))
    return Market("X/Y", "X", "Y", step, tick, min_notional=D(5), taker_fee=FEE, maker_fee=FEE)


def markets(prices: np.ndarray) -> dict[str, Market]:
    real = Market("X/Y", "X", "Y", D("0.00001"), D("0.01"), D("0.00001"), D(9000), D(5), FEE, FEE)
    found = {"unknown": unknown_market("X/Y", FEE), "coarse": steps_of(0.01, prices), "crude": steps_of(0.3, prices)}
    return found | ({"binance": real} if float(np.median(prices)) > 1000 else {})


@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.nightly) for turn in (1, 2))])
@pytest.mark.parametrize("file", RECORDED)
def test_kernel_makes_the_ledgers_trades_and_money(file, turn):
    """One of three strategies, by turns, on every market with every limits and slippage; all three by night."""
    load_shipped()
    made = recorded(file)
    opinions = [StrategyRegistry.get(name)().signals(made) for name in NAMES]
    compared = 0
    situations = product(enumerate(markets(made.close).values()), enumerate(LIMITS.values()), enumerate((D(0), D(5))))
    for (kind, market), (guard, limits), (worse, slippage) in situations:
        asked = Terms(D(1000), market, limits, slippage)
        compared += compare(made, opinions[(kind + guard + worse + turn) % len(NAMES)], asked)
    assert compared > 100


def compare(made, opinions, asked: Terms) -> int:
    outcome = engine.run(made, opinions, asked)
    stats = measure(outcome, made, asked).stats
    kernel = Kernel(made, asked)
    path = kernel.path_of(opinions)
    trades, fee = outcome.trades, float(asked.fee)
    count = len(trades)
    assert path.entry[:count].tolist() == [trade.entry for trade in trades]
    assert path.exit[:count].tolist() == [trade.exit for trade in trades]
    assert len(path.entry) == count + (outcome.open is not None)
    amounts = np.array([float(trade.amount) for trade in trades])
    assert np.abs(path.amount[:count] / amounts - 1).max(initial=0.0) <= 1e-7
    mine = path.exit_price[:count] / path.entry_price[:count]
    theirs = np.array([float(trade.exit_price / trade.entry_price) for trade in trades])
    returns = [100 * ((ratio - 1) - fee * (1 + ratio)) for ratio in (mine, theirs)]
    assert np.abs(returns[0] - returns[1]).max(initial=0.0) <= PER_TRADE
    left = 1 + stats.return_pct / 100
    assert abs(1 + scores(kernel, [path]).return_pct[0] / 100 - left) <= WHOLE * max(left, 1.0)
    return count
