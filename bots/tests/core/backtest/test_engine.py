from datetime import UTC, datetime
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.core.backtest import engine, judged, plain
from bots.core.backtest.replay import replay
from bots.core.backtest.terms import Denied, OpenTrade, Outcome, Terms
from bots.core.codes import Code
from bots.core.limits import Limits
from bots.tests.core.candles_cast import (
    FREE,
    HOUR,
    PLAIN,
    STRICT,
    candles,
    flat_candles,
    limits,
    protections,
    signals,
    terms,
    walks,
)  # fmt: skip
from exchanges.core.market import Market
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import recorded, synthetic

MARKETS = st.sampled_from([FREE, PLAIN, STRICT])
CAPITAL = st.sampled_from([D(1000), D("57.31"), D(1)])
SLIPPAGE = st.sampled_from([D(0), D(0), D(10)])
FOUR_YEARS = "btcusdt_1h_binance_2020-01_2023-12.csv"


@given(walks(), CAPITAL, MARKETS, limits, SLIPPAGE)
@settings(max_examples=400, deadline=None)
def test_engine_with_limits_equals_candle_by_candle_to_the_last_digit(walk, capital, market, limits, slippage):
    made, opinions = walk
    asked = Terms(capital, market, limits, slippage)
    assert engine.run(made, opinions, asked) == replay(made, opinions, asked)


@given(walks(), CAPITAL, MARKETS, protections, SLIPPAGE)
@settings(max_examples=300, deadline=None)
def test_short_way_equals_the_long_one_to_the_last_digit(walk, capital, market, limits, slippage):
    made, opinions = walk
    asked = Terms(capital, market, limits, slippage)
    expected = replay(made, opinions, asked)
    assert judged.walk(made, opinions, asked) == expected
    try:
        assert plain.walk(made, opinions, asked) == expected
    except plain.Refusable:
        assert market is STRICT or expected.denied


@pytest.mark.parametrize("limits", [Limits(stop_loss_pct=D(3)), Limits(trailing_stop_pct=D(3))])
def test_stays_without_an_end_are_all_watched(limits):
    made = synthetic(120, 5)
    opinions = signals(120, entry=list(range(119)))
    asked = Terms(D(1000), PLAIN, limits)
    outcome = plain.walk(made, opinions, asked)
    assert len(outcome.trades) > 1
    assert outcome == replay(made, opinions, asked)


@pytest.mark.parametrize("step", ["0.01", "0.25", "1"])
@pytest.mark.parametrize("most", [None, D("3.3")])
def test_amounts_of_any_step_are_those_of_the_long_way_to_the_letter(step, most):
    # 9.009 times 1.001 makes amounts that need no rounding.
    made = flat_candles([9.009, 10, 9, 9.5, 8, 9.009, 11, 12, 7])
    opinions = signals(9, entry=[0, 2, 4, 6], exit_=[1, 3, 5])
    market = Market("BTC/USDT", "BTC", "USDT", D(step), D("0.001"), D(step), most, D(1))
    asked = Terms(D("901.8009"), market, Limits())
    assert str(plain.walk(made, opinions, asked)) == str(judged.walk(made, opinions, asked))


def test_signal_fills_at_the_next_recorded_open_across_a_gap():
    made = flat_candles([100, 110, 120, 130])
    made.opened_at[2:] += 5 * HOUR
    outcome = engine.run(made, signals(4, entry=[1], exit_=[2]), terms(market=FREE))
    (trade,) = outcome.trades
    assert (trade.signal, trade.entry, trade.exit_signal, trade.exit) == (1, 2, 2, 3)
    assert (trade.entry_price, trade.exit_price, trade.reason) == (D("120.0"), D("130.0"), Code.SIGNAL_SELL)


def test_signal_on_the_last_candle_fills_nowhere():
    outcome = engine.run(flat_candles([100, 110, 120]), signals(3, entry=[2]), terms())
    assert outcome.trades == []
    assert outcome.open is None


def test_flat_looks_only_at_the_entry_and_a_position_only_at_the_exit():
    # Both hold on every candle: it buys, sells and buys again, never twice on one candle.
    outcome = engine.run(flat_candles([100] * 6), signals(6, range(6), range(6)), terms(market=FREE))
    assert [(trade.entry, trade.exit) for trade in outcome.trades] == [(1, 2), (3, 4)]
    assert outcome.open is not None
    assert outcome.open.entry == 5


def test_entry_that_is_still_warming_up_is_no_entry():
    outcome = engine.run(flat_candles([100] * 4), signals(4, entry=[0, 2], ready=[1, 2, 3]), terms())
    assert outcome.open is not None
    assert outcome.open.signal == 2


def test_amount_is_all_in_floored_to_the_step_and_fees_are_on_both_legs():
    outcome = engine.run(flat_candles([3, 3, 3.5]), signals(3, entry=[0], exit_=[1]), terms(1000))
    (trade,) = outcome.trades
    # 1000 / (3 × 1.001) = 333.000333000333…
    assert trade.amount == D("333.00033300")
    assert trade.entry_fee == D("0.999000999000")
    assert trade.fee == D("0.999000999000") + D("1.165501165500")
    assert trade.pnl == D("333.00033300") * D("0.5") - trade.fee
    assert outcome.position.cash == trade.pnl


def test_open_position_stays_open_at_the_end():
    outcome = engine.run(flat_candles([100, 100, 80]), signals(3, entry=[0]), terms(market=FREE))
    assert outcome.open == OpenTrade(0, 1, D("100.0"), D(10), D(0))
    assert outcome.position.profit(D(80)) == D(-200)


@pytest.mark.parametrize(
    ("candle", "limits", "price", "code"),
    [
        ((100, 104, 94, 100), {"stop_loss_pct": D(5)}, "95.00", Code.STOP_LOSS),
        ((100, 104, 95, 100), {"stop_loss_pct": D(5)}, "95.00", Code.STOP_LOSS),
        ((90, 91, 80, 90), {"stop_loss_pct": D(5)}, "90.0", Code.STOP_LOSS),
        ((100, 111, 99, 100), {"take_profit_pct": D(10)}, "110.0", Code.TAKE_PROFIT),
        ((115, 120, 99, 100), {"take_profit_pct": D(10)}, "115.0", Code.TAKE_PROFIT),
        ((100, 120, 90, 100), {"stop_loss_pct": D(5), "take_profit_pct": D(10)}, "95.00", Code.STOP_LOSS),
        ((103, 104, 97, 100), {"trailing_stop_pct": D(5)}, "97.85", Code.TRAILING_STOP),
        ((104, 120, 94, 110), {"trailing_stop_pct": D(5), "stop_loss_pct": D(2)}, "98.80", Code.TRAILING_STOP),
        ((102, 104, 99, 100), {"break_even_pct": D(2)}, "100.0", Code.BREAK_EVEN),
        ((99, 103, 98, 100), {"break_even_pct": D(1), "stop_loss_pct": D(5)}, "99.0", Code.BREAK_EVEN),
        ((97, 98, 90, 91), {"trailing_stop_pct": D(1), "stop_loss_pct": D(2)}, "97.0", Code.STOP_LOSS),
    ],
)
def test_protection_fills_inside_the_candle(candle, limits, price, code):
    made = candles([(100, 100, 100, 100), (100, 101, 99.5, 100), candle, (100, 100, 100, 100)])
    (trade,) = engine.run(made, signals(4, entry=[0]), terms(market=FREE, **limits)).trades
    assert (trade.exit, trade.exit_price, trade.reason, trade.exit_signal) == (2, D(price), code, None)


def test_protection_is_watched_from_the_entry_candle_on():
    made = candles([(100, 100, 100, 100), (100, 101, 90, 100)])
    (trade,) = engine.run(made, signals(2, entry=[0]), terms(market=FREE, stop_loss_pct=D(5))).trades
    assert (trade.entry, trade.exit, trade.exit_price) == (1, 1, D("95.00"))


def test_exit_signal_comes_before_the_levels_of_its_own_candle():
    made = candles([(100, 100, 100, 100), (100, 100, 100, 100), (99, 99, 80, 90)])
    asked = terms(market=FREE, stop_loss_pct=D(5))
    (trade,) = engine.run(made, signals(3, entry=[0], exit_=[1]), asked).trades
    assert (trade.exit_price, trade.reason) == (D("99.0"), Code.SIGNAL_SELL)


def test_level_that_only_float_noise_would_touch_is_not_touched():
    # 0.95 × 1.1 is 1.045 in decimals and 1.0449999999999999 or 1.0450000000000002 in floats.
    made = candles([(1.1, 1.1, 1.1, 1.1), (1.1, 1.1, 1.0450000001, 1.1), (1.1, 1.1, 1.045, 1.1)])
    (trade,) = engine.run(made, signals(3, entry=[0]), terms(market=FREE, stop_loss_pct=D(5))).trades
    assert (trade.exit, trade.exit_price) == (2, D("1.045"))


def test_slippage_moves_every_fill_against_us_and_pays_for_itself():
    outcome = engine.run(flat_candles([100] * 3), signals(3, [0], [1]), terms(1001, FREE, slippage_bps=10))
    (trade,) = outcome.trades
    assert (trade.entry_price, trade.exit_price, trade.amount) == (D("100.1"), D("99.9"), D(10))


def test_denied_entries_are_counted_with_the_code_of_live():
    made = flat_candles([100, 100, 90, 100, 100, 100])
    opinions = signals(6, entry=[0, 2, 4], exit_=[1])
    outcome = engine.run(made, opinions, terms(market=FREE, cooldown_seconds=7200))
    assert outcome.denied == [Denied(3, Code.COOLDOWN)]
    assert outcome.open is not None
    assert outcome.open.entry == 5


def test_daily_loss_is_measured_from_midnight():
    # 24 hourly candles a day; a loss at 02:00 keeps the day closed and the next one open.
    prices = [100, 100, 90] + [90] * 40
    opinions = signals(43, entry=[0, 5, 10, 24], exit_=[1])
    outcome = engine.run(flat_candles(prices), opinions, terms(market=FREE, max_daily_loss=D(50)))
    assert [denied.code for denied in outcome.denied] == [Code.DAILY_LOSS] * 2
    assert outcome.open is not None
    assert outcome.open.entry == 25


def test_position_too_small_to_sell_is_kept():
    market = Market("BTC/USDT", "BTC", "USDT", D("0.01"), D("0.01"), min_notional=D(100), taker_fee=D(0))
    made = flat_candles([100, 100, 5, 5, 50, 50])
    asked = Terms(D(1000), market, Limits(stop_loss_pct=D(50)))
    (trade,) = engine.run(made, signals(6, [0, 2], [2, 4]), asked).trades
    assert trade.exit == 4
    assert trade.exit_price == D(50)


def test_fewer_than_two_candles_trade_nothing():
    empty = Outcome([], None, engine.Position(), [])
    assert engine.run(flat_candles([100]), signals(1, [0]), terms()) == empty


@pytest.mark.parametrize(
    ("file", "name", "params", "trades", "return_pct"),
    [
        (FOUR_YEARS, "rsi_cross", {}, 378, -72.1675),
        (FOUR_YEARS, "rsi_cross", {"rsi_method": "wilder"}, 126, -37.9201),
        (FOUR_YEARS, "mean_reversion", {}, 665, -77.6309),
        (FOUR_YEARS, "vwap_cross", {}, 3687, -99.5825),
        (FOUR_YEARS, "vwap_cross", {"anchor": "rolling"}, 2036, -93.9711),
        (FOUR_YEARS, "breakout", {}, 467, 12.2049),
        ("btcusdt_1h_binance_2017-08_2019-12.csv", "rsi_cross", {}, 193, -80.2024),
    ],
)
def test_recorded_years_give_the_published_results(file, name, params, trades, return_pct):
    load_shipped()
    made = recorded(file)
    asked = terms()
    outcome = engine.run(made, StrategyRegistry.get(name)(**params).signals(made), asked)
    equity = asked.capital + outcome.position.profit(D(repr(float(made.close[-1]))))
    assert len(outcome.trades) == trades
    assert float(equity / asked.capital - 1) * 100 == pytest.approx(return_pct, abs=1e-4)


@pytest.mark.parametrize("limits", [Limits(), Limits(stop_loss_pct=D(2), take_profit_pct=D(4), max_loss_streak=3)])
@pytest.mark.parametrize("name", ["rsi_cross", "mean_reversion", "breakout"])
def test_thousands_of_candles_equal_the_replay(name, limits):
    load_shipped()
    made = synthetic(4000)
    opinions = StrategyRegistry.get(name)().signals(made)
    asked = Terms(D(1000), PLAIN, limits)
    assert engine.run(made, opinions, asked) == replay(made, opinions, asked)


def at_hour(hours: int) -> datetime:
    return datetime.fromtimestamp(1_704_067_200 + 3600 * hours, UTC)


def test_range_is_traded_warm_and_without_its_end():
    load_shipped()
    made = synthetic(300)
    strategy = StrategyRegistry.get("rsi_cross")()
    found = engine.window(made, strategy, "1h", at_hour(100), at_hour(200))
    whole = strategy.signals(made)
    assert found.candles.opened_at.tolist() == made.opened_at[100:200].tolist()
    assert found.signals.ready[0]
    assert np.array_equal(found.signals.entry, whole.entry[100:200])
    assert np.array_equal(found.signals.indicators["rsi"], whole.indicators["rsi"][100:200])
    assert len(found.read) == 100 + strategy.warmup


@pytest.mark.parametrize(("since", "until"), [(at_hour(300), None), (None, at_hour(0)), (at_hour(5), at_hour(5))])
def test_range_without_candles_says_what_there_is(since, until):
    load_shipped()
    strategy = StrategyRegistry.get("rsi_cross")()
    with pytest.raises(engine.NoCandles, match=r"2024-01-01 00:00 to 2024-01-13 11:00 UTC"):
        engine.window(synthetic(300), strategy, "1h", since, until)
    with pytest.raises(engine.NoCandles, match="none at all"):
        engine.window(synthetic(300)[:0], strategy, "1h", since, until)


def test_amount_below_the_smallest_step_is_denied_and_no_trade():
    outcome = engine.run(flat_candles([100] * 4), signals(4, [0], [2]), terms("0.0000001"))
    assert (outcome.trades, outcome.denied) == ([], [Denied(1, Code.PRECISION)])


def test_win_ends_the_streak_of_losses():
    # Loss, win, loss: two losses in a row never come together.
    made = flat_candles([100, 100, 90, 90, 100, 100, 90, 90, 90])
    opinions = signals(9, entry=[0, 2, 4, 7], exit_=[1, 3, 5])
    outcome = engine.run(made, opinions, terms(market=FREE, max_loss_streak=2))
    assert [trade.pnl > 0 for trade in outcome.trades] == [False, True, False]
    assert outcome.denied == []
    assert outcome.open is not None


@pytest.mark.parametrize("limit", ["max_orders_per_minute", "max_account_orders_per_minute"])
def test_order_rate_counts_the_last_sixty_seconds(limit):
    # Candles of 20 seconds: entry at 20 s, exit at 40 s; the next entry may come when the first order is a minute old.
    made = flat_candles([100] * 8, step=20_000)
    outcome = engine.run(made, signals(8, [0, 2, 3, 4], [1]), terms(market=FREE, **{limit: 2}))
    assert outcome.denied == [Denied(3, Code.ORDER_RATE)]
    assert outcome.open is not None
    assert outcome.open.entry == 4
