"""A position in several stakes: decided, walked by both engines, and reported as one trade."""

from dataclasses import replace
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.core.backtest import engine
from bots.core.backtest.account import opinion_on
from bots.core.backtest.replay import replay
from bots.core.backtest.report import DataFacts, report
from bots.core.backtest.terms import Terms
from bots.core.codes import Code
from bots.core.decision import decide
from bots.core.performance import account_returns_pct, measure
from bots.core.position import Position
from bots.tests.core.candles_cast import FREE, PLAIN, STRICT, flat_candles, limits, signals, terms, walks
from bots.tests.core.cast import holding
from exchanges.core.candles import from_ms
from exchanges.core.market import Market
from strategies.core.plan import Scaling

plans = st.builds(Scaling, st.integers(1, 6), st.sampled_from([D(0), D("0.5"), D(3)]))


@given(
    walks(), plans, st.sampled_from([D(1000), D("57.31")]), st.sampled_from([FREE, PLAIN, STRICT]), limits,
    st.sampled_from([D(0), D(10)]),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_engine_equals_candle_by_candle_to_the_last_digit(walk, plan, capital, market, limits, slippage):
    made, opinions = walk
    opinions = replace(opinions, plan=plan)
    asked = Terms(capital, market, limits, slippage)
    outcome = engine.run(made, opinions, asked)
    assert outcome == replay(made, opinions, asked)
    measured = measure(outcome, made, asked)
    assert measured.equity[-1] == pytest.approx(float(measured.stats.final_equity), rel=1e-9)
    assert_money_and_stakes(outcome, plan, asked)


def assert_money_and_stakes(outcome, plan, asked):
    """No more stakes than agreed, each cheaper by the drop; what was earned is what the trades say."""
    held, last = 0, None
    for fill in outcome.fills:
        if fill.side == "sell":
            held, last = 0, None
            continue
        held += 1
        assert fill.leg == f"dca:{held}"
        assert held <= plan.stakes
        assert last is None or fill.price <= plan.highest(last)
        # No stake is larger than its share of the capital, but for the rounding of the fee.
        assert fill.amount * fill.price <= asked.capital / plan.stakes
        last = fill.price
    flow = sum((t.pnl for t in outcome.trades), D(0))
    if outcome.open is None:
        assert outcome.position.cash == pytest.approx(flow, abs=D("1e-9"))


def test_three_stakes_are_one_trade_at_the_average_price():
    made = flat_candles([100, 100, 90, 80, 100, 100])
    asked = terms(900, FREE)
    opinions = replace(signals(6, entry=[0, 1, 2], exit_=[3]), plan=Scaling(3, D(1)))
    outcome = engine.run(made, opinions, asked)
    (trade,) = outcome.trades
    amounts = [D(3), D("3.33333333"), D("3.75")]
    assert [fill.amount for fill in outcome.fills] == [*amounts, sum(amounts)]
    assert (trade.entry, trade.exit, trade.amount, trade.reason) == (1, 4, sum(amounts), Code.SIGNAL_SELL)
    spent = D(300) + amounts[1] * 90 + D(300)
    assert trade.entry_price == pytest.approx(spent / sum(amounts), abs=D("1e-17"))
    assert trade.pnl == pytest.approx(sum(amounts) * 100 - spent, abs=D("1e-12"))
    assert account_returns_pct(outcome, measure(outcome, made, asked), asked) == pytest.approx([float(trade.pnl) / 9])
    first = from_ms(int(made.opened_at[0]))
    made_report = report(outcome, made, asked, DataFacts("", 6, 0, 0, 0, first, first))
    (row,) = made_report.trades
    assert row.return_pct == pytest.approx(100 * (100 / float(trade.entry_price) - 1))
    # Held at the closes of candles 1, 2 and 3; worth 1000 / 900 of the capital at the end.
    assert made_report.stats.exposure_pct == pytest.approx(50)
    # At the third close the first stake is down by 20 a coin, the second by 10.
    fallen = 3 * 20 + float(amounts[1]) * 10
    assert made_report.stats.max_drawdown_pct == pytest.approx(fallen / 9)


def test_equity_between_stakes_is_cash_and_what_is_held():
    made = flat_candles([100, 100, 90, 80])
    opinions = replace(signals(4, entry=[0, 1]), plan=Scaling(2, D(1)))
    equity = measure(engine.run(made, opinions, terms(200, FREE)), made, terms(200, FREE)).equity
    # One coin at 100; then 1.11111111 more at 90; then everything at 80.
    np.testing.assert_allclose(equity, [200, 200, 190, 80 * 2.11111111 + 200 - 100 - 1.11111111 * 90])


@pytest.mark.parametrize(
    ("stakes", "price", "said"),
    [
        ((D(100),), "98.9", "Stake 2 of 3."),
        ((D(100),), "99.01", "Stake 2 of 3 waits for 99 or less; the price is 99.01."),
        ((D(100), D(90), D(80)), "10", "All 3 stakes are held."),
        ((), "100", "What is held is being sold."),
    ],
)
def test_a_stake_is_bought_only_in_its_turn(stakes, price, said):
    position = Position(D(1), D(100), cash=D(-100))
    now = holding(stakes=stakes, ask=D(price), price=D(price), position=position, cash=D(900))
    opinion = replace(
        opinion_on(signals(2, [0]), flat_candles([100, 100]), 0), plan=Scaling(3, D(1)), reason_flat="Time."
    )
    decided = decide(opinion, now)
    assert decided.reason == f"Time. {said}"
    assert (decided.intent is not None) == (said == "Stake 2 of 3.")


def test_an_exit_comes_before_another_stake():
    now = holding(stakes=(D(100_000),))
    opinion = replace(opinion_on(signals(2, [0], [0]), flat_candles([100, 100]), 0), plan=Scaling(3, D(1)))
    assert decide(opinion, now).code is Code.SIGNAL_SELL


def test_stakes_together_are_never_more_than_one_order_may_sell():
    market = Market("BTC/USDT", "BTC", "USDT", D("0.01"), D("0.01"), max_amount=D(4), taker_fee=D(0))
    made = flat_candles([100, 100, 90, 80, 70])
    opinions = replace(signals(5, entry=[0, 1, 2], exit_=[3]), plan=Scaling(3, D(1)))
    outcome = engine.run(made, opinions, Terms(D(900), market))
    assert [fill.amount for fill in outcome.fills] == [D(3), D(1), D(4)]
    assert [denied.code for denied in outcome.denied] == [Code.PRECISION]
