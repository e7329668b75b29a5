import math
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D
from itertools import groupby

import numpy as np
import pytest
from hypothesis import given, settings

from bots.core.backtest import engine
from bots.core.backtest.terms import Outcome, Terms
from bots.core.equity_steps import drawdown_of
from bots.core.limits import EntryType, parse_limits
from bots.core.performance import day_ends, measure, monthly_returns_pct, sharpe, sortino
from bots.core.position import FillFact, Position, book
from bots.tests.core.candles_cast import FREE, HOUR, PLAIN, START, candles, flat_candles, signals, terms, walks
from exchanges.core.candles import Candles
from exchanges.core.orders import Side
from strategies.core.plan import Scaling
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import recorded

DAY = 86_400_000


def by_hand(outcome: Outcome, candles: Candles, asked: Terms) -> dict[str, object]:
    """The stated definitions, candle by candle in plain Python."""
    equity = []
    for index, close in enumerate(candles.close.tolist()):
        position = Position()
        for trade in outcome.trades:
            for at, side, price, fee in (
                (trade.entry, Side.BUY, trade.entry_price, trade.entry_fee),
                (trade.exit, Side.SELL, trade.exit_price, trade.fee - trade.entry_fee),
            ):
                if at <= index:
                    position = folded(position, side, trade.amount, price, fee)
        if outcome.open is not None and outcome.open.entry <= index:
            kept = outcome.open
            position = folded(position, Side.BUY, kept.amount, kept.entry_price, kept.fee)
        equity.append(float(asked.capital + position.profit(D(repr(close)))))
    peak, deepest, below, longest = float(asked.capital), 0.0, 0, 0
    for value in equity:
        peak = max(peak, value)
        deepest = max(deepest, (peak - value) / peak * 100)
        below = below + 1 if value < peak - 1e-9 * peak else 0
        longest = max(longest, below)
    days = [
        list(rows)[-1][1] for _, rows in groupby(zip(candles.opened_at // DAY, equity, strict=True), lambda x: x[0])
    ]
    returns = [after / before - 1 for before, after in zip([float(asked.capital), *days], days, strict=False)]
    return {"equity": equity, "drawdown": deepest, "longest": longest, "returns": returns}


def folded(position: Position, side: Side, amount: D, price: D, fee: D) -> Position:
    fact = FillFact(side, amount, price, fee, "USDT", datetime(2024, 1, 1, tzinfo=UTC))
    return book(position, fact, "BTC", "USDT").position


@given(walks())
@settings(max_examples=150, deadline=None)
def test_figures_equal_their_definitions_by_hand(walk):
    made, opinions = walk
    asked = terms(stop_loss_pct=D(5))
    outcome = engine.run(made, opinions, asked)
    measured = measure(outcome, made, asked)
    expected = by_hand(outcome, made, asked)
    stats, returns = measured.stats, expected["returns"]
    assert measured.equity.tolist() == pytest.approx(expected["equity"], rel=1e-12)
    assert float(stats.final_equity) == pytest.approx(expected["equity"][-1], rel=1e-12)
    assert stats.max_drawdown_pct == pytest.approx(expected["drawdown"], abs=1e-9)
    assert stats.exposure_pct == pytest.approx(100 * np.count_nonzero(held(outcome, len(made))) / len(made))
    assert stats.net_pnl_closed == sum((trade.pnl for trade in outcome.trades), D(0))
    assert stats.fees_closed == sum((trade.fee for trade in outcome.trades), D(0))
    mean = math.fsum(returns) / len(returns)
    spread = math.sqrt(math.fsum((r - mean) ** 2 for r in returns) / max(len(returns) - 1, 1))
    if len(returns) > 1 and spread > 1e-9:
        assert stats.sharpe_daily_365 == pytest.approx(mean / spread * math.sqrt(365), rel=1e-6, abs=1e-6)
    under = math.sqrt(math.fsum(min(r, 0) ** 2 for r in returns) / len(returns))
    if under > 1e-9:
        assert stats.sortino_daily_365 == pytest.approx(mean / under * math.sqrt(365), rel=1e-6, abs=1e-6)


def held(outcome: Outcome, count: int) -> np.ndarray:
    flags = np.zeros(count, np.bool_)
    for trade in outcome.trades:
        flags[trade.entry : trade.exit] = True
    if outcome.open is not None:
        flags[outcome.open.entry :] = True
    return flags


def test_equity_identity_holds_to_the_last_digit():
    made = flat_candles([100.37, 101.11, 99.83, 98.21, 103.77, 102.13])
    outcome = engine.run(made, signals(6, [0, 3], [1]), terms())
    position = outcome.position
    price = D("102.13")
    gained = position.realized + position.amount * (price - position.entry_price) - position.fees
    assert position.profit(price) == gained


def test_days_without_candles_do_not_count():
    opened_at = np.array([0, DAY - 1, DAY, 5 * DAY + 3, 5 * DAY + 4], dtype=np.int64)
    assert day_ends(opened_at).tolist() == [1, 2, 4]


def test_months_are_chained_from_the_initial_cash():
    opened_at = START + np.array([0, 30, 31, 59, 60]) * DAY
    equity = np.array([1100.0, 1200.0, 600.0, 900.0, 990.0])
    assert monthly_returns_pct(equity, opened_at, 1000.0) == {
        "2024-01": pytest.approx(20.0),
        "2024-02": pytest.approx(-25.0),
        "2024-03": pytest.approx(10.0),
    }


def test_undefined_ratios_are_none():
    nothing = measure(engine.run(flat_candles([1, 2]), signals(2), terms()), flat_candles([1, 2]), terms()).stats
    undefined = (nothing.win_rate_pct, nothing.profit_factor, nothing.avg_trade_return_pct, nothing.best_trade_pct)
    assert undefined == (None,) * 4
    assert (nothing.sharpe_daily_365, nothing.sortino_daily_365) == (None, None)
    assert sharpe(np.array([0.1])) is None
    assert sharpe(np.array([0.1, 0.1])) is None
    assert sortino(np.array([0.1, 0.0])) is None
    assert sortino(np.array([])) is None


def test_rounding_of_floats_is_no_risk_and_no_drawdown():
    made, asked = flat_candles([100.0] * 60), Terms(D(1000), FREE, parse_limits({"take_profit_pct": "3"}))
    opinions = replace(signals(60, [0, 1, 2]), plan=Scaling(3, D(0)))
    measured = measure(engine.run(made, opinions, asked), made, asked)
    assert measured.equity.min() < measured.equity.max()
    assert (measured.stats.sharpe_daily_365, measured.stats.sortino_daily_365) == (None, None)
    assert drawdown_of(np.array([1000.0, 999.9999999999999, 999.9999999999999]), 1000.0)[1] == 0
    assert sharpe(np.array([1e-16, 0.0, 0.0])) is None
    assert sortino(np.array([-1e-16, 1e-3])) is None


def test_only_winners_have_no_profit_factor():
    made = flat_candles([100, 100, 110, 100, 100])
    stats = measure(
        outcome := engine.run(made, signals(5, [0], [1]), terms(market=FREE)), made, terms(market=FREE)
    ).stats
    assert outcome.trades[0].pnl == D(100)
    assert (stats.win_rate_pct, stats.profit_factor, stats.best_trade_pct) == (100.0, None, pytest.approx(10.0))


def test_break_even_is_no_win():
    made = flat_candles([100, 100, 100])
    stats = measure(engine.run(made, signals(3, [0], [1]), terms(market=FREE)), made, terms(market=FREE)).stats
    assert (stats.winning_trades, stats.win_rate_pct, stats.profit_factor) == (0, 0.0, None)


def test_trade_return_does_not_depend_on_rounding():
    made = flat_candles([100, 100, 110])
    asked = terms("0.00000150")
    measured = measure(engine.run(made, signals(3, [0], [1]), asked), made, asked)
    assert measured.trade_returns_pct.tolist() == [pytest.approx(100 * (0.1 - 0.001 * 2.1))]


def test_an_entry_that_rested_counts_at_its_limit():
    made = candles([(100, 100, 100, 100), (100, 101, 98, 100), (110, 110, 110, 110)])
    asked = terms(market=FREE, entry_type=EntryType.LIMIT, limit_offset_pct=D(2), limit_timeout_seconds=HOUR // 1000)
    outcome = engine.run(made, signals(3, [0], [1]), asked)
    measured = measure(outcome, made, asked)
    assert outcome.trades[0].entry_price == D(98)
    assert measured.trade_returns_pct.tolist() == [pytest.approx(100 * (110 / 98 - 1))]
    assert measured.equity.tolist() == pytest.approx([1000, 1000 * 100 / 98, 1000 * 110 / 98])


def test_nothing_can_be_said_of_no_candles():
    with pytest.raises(ValueError, match="at least one"):
        measure(Outcome([], None, Position(), []), flat_candles([1])[:0], terms())


def test_recorded_years_have_the_published_figures():
    load_shipped()
    made = recorded("btcusdt_1h_binance_2020-01_2023-12.csv")
    asked = terms(market=PLAIN)
    stats = measure(engine.run(made, StrategyRegistry.get("rsi_cross")().signals(made), asked), made, asked).stats
    assert stats.buy_and_hold_close_to_close_pct == pytest.approx(489.15, abs=0.01)
    assert stats.return_pct == pytest.approx(-72.17, abs=0.01)
    assert (stats.closed_trades, len(made)) == (378, 35_032)


def test_equity_on_an_entry_candle_is_held_and_on_an_exit_candle_no_longer():
    made = flat_candles([100, 100, 100, 100])
    made.close[:] = [100, 150, 200, 300]
    outcome = engine.run(made, signals(4, [0], [1]), terms(market=FREE))
    assert measure(outcome, made, terms(market=FREE)).equity.tolist() == [1000, 1500, 1000, 1000]
    assert made.opened_at[1] - made.opened_at[0] == HOUR
