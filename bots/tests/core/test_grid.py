"""A grid of resting orders: what should rest, what each line holds, and the backtest of it."""

from dataclasses import replace
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.core import grid
from bots.core.backtest import engine
from bots.core.backtest.grid import walk
from bots.core.backtest.grid_books import Lines, Resting
from bots.core.backtest.replay import replay
from bots.core.backtest.terms import Terms
from bots.core.codes import Code
from bots.core.intent import OrderIntent, Purpose
from bots.core.limits import Limits
from bots.core.performance import measure
from bots.core.position import FillFact, Position, fold
from bots.tests.core.candles_cast import FREE, PLAIN, STRICT, candles, flat_candles, signals, terms, walks
from bots.tests.core.cast import AT, flat
from exchanges.core.market import Market
from exchanges.core.orders import OrderType, Side
from exchanges.core.simulated import Execution
from strategies.core.plan import Grid
from strategies.library.grid import lines_between

NINES = Grid((D(90), D(95), D(100), D(105)))
limits = st.builds(
    Limits,
    max_position_notional=st.sampled_from([None, None, D(400)]),
    max_drawdown_pct=st.sampled_from([None, None, D(5)]),
    max_daily_loss=st.sampled_from([None, None, D(20)]),
    max_open_orders=st.sampled_from([None, None, 2]),
    max_orders_per_minute=st.sampled_from([None, None, 1]),
    max_loss_streak=st.sampled_from([None, None, 1]),
    cooldown_seconds=st.sampled_from([None, 7200]),
)


@st.composite
def grids(draw: st.DrawFn, around: float) -> Grid:
    lower = D(str(round(around * draw(st.floats(0.6, 0.99)), 2)))
    upper = D(str(round(around * draw(st.floats(1.0, 1.5)), 2))) + 1
    return Grid(
        lines_between(lower, upper, draw(st.integers(2, 8)), draw(st.sampled_from(["arithmetic", "geometric"])))
    )


@st.composite
def worked(draw: st.DrawFn):
    """Wild candles and a grid around their first price, with a stop now and then."""
    made, opinions = draw(walks())
    plan = draw(grids(float(made.open[0])))
    flags = opinions.exit & draw(st.booleans()) & (made.close <= float(plan.lines[0]))
    return made, replace(opinions, plan=plan, exit=flags)


@given(
    worked(), st.sampled_from([D(1000), D("57.31"), D(50)]), st.sampled_from([FREE, PLAIN, STRICT]), limits,
    st.sampled_from([D(0), D(10)]),
)  # fmt: skip
@settings(max_examples=400, deadline=None)
def test_engine_equals_candle_by_candle_to_the_last_digit(work, capital, market, limits, slippage):
    made, opinions = work
    asked = Terms(capital, market, limits, slippage)
    outcome = engine.run(made, opinions, asked)
    assert outcome == replay(made, opinions, asked)
    assert_sane(outcome, opinions.plan, asked)
    measured = measure(outcome, made, asked)
    assert measured.equity[-1] == pytest.approx(float(measured.stats.final_equity), rel=1e-9, abs=1e-9)


def test_all_lines_together_are_never_more_than_one_order_may_sell():
    market = Market("BTC/USDT", "BTC", "USDT", D("0.01"), D("0.01"), max_amount=D(4), taker_fee=D(0))
    made = flat_candles([106, 106, 94, 89, 80, 80, 70])
    opinions = replace(signals(7, exit_=[4]), plan=NINES)
    outcome = engine.run(made, opinions, Terms(D(9000), market))
    assert [fill.amount for fill in outcome.fills] == [D("1.33"), D("1.33"), D("1.33"), D("3.99")]
    assert outcome.position.amount == 0


def test_an_exit_that_the_market_is_too_coarse_for_is_told_and_tried_again():
    made = flat_candles([3.9, 3.9, 3.45, 3.45, 3.45, 4.2])
    opinions = replace(signals(6, exit_=[2, 3]), plan=Grid((D("3.5"), D(4), D("4.5"))))
    outcome = engine.run(made, opinions, Terms(D(1000), STRICT))
    assert [(denied.candle, denied.code) for denied in outcome.denied] == [
        (3, Code.MIN_NOTIONAL),
        (4, Code.MIN_NOTIONAL),
    ]
    assert [(fill.side, fill.amount) for fill in outcome.fills] == [(Side.BUY, D(6)), (Side.SELL, D(6))]


def assert_sane(outcome, plan, asked):
    """Never a lot on a line that has one, never more sold than held, money never below nothing; all adds up."""
    held: dict[str, D] = {}
    cash = asked.capital
    for fill in outcome.fills:
        sign = 1 if fill.side is Side.BUY else -1
        cash -= sign * fill.price * fill.amount + fill.fee
        assert cash >= 0
        if fill.leg == "exit":
            assert fill.amount == sum(held.values())
            held = {}
            continue
        if sign > 0:
            assert fill.leg not in held
            held[fill.leg] = fill.amount
        else:
            assert fill.amount == held.pop(fill.leg)
        assert len(held) <= plan.cells
    assert sum(held.values(), D(0)) == outcome.position.amount
    assert cash == asked.capital + outcome.position.cash
    gained = sum((trade.pnl for trade in outcome.trades), D(0))
    position = outcome.position
    open_now = position.amount * position.entry_price + position.open_fees
    assert float(position.cash + open_now) == pytest.approx(float(gained), abs=1e-9)


def test_round_trip_buys_at_a_line_and_sells_at_the_next():
    # Down through 95, up through 100: one trade between the two lines.
    made = candles([(99, 99, 99, 99), (99, 99, 94.5, 96), (96, 97, 96, 97), (97, 101, 97, 98), (98, 98, 98, 98)])
    outcome = engine.run(made, replace(signals(5), plan=NINES), terms(300, FREE))
    (trade,) = outcome.trades
    assert (trade.entry, trade.entry_price, trade.exit, trade.exit_price) == (1, D(95), 3, D(100))
    assert (trade.signal, trade.exit_signal) == (0, 1)
    assert trade.amount == D("1.05263157")
    assert trade.pnl == trade.amount * 5
    assert [(fill.candle, fill.side, fill.leg) for fill in outcome.fills] == [
        (1, "buy", "grid:1"),
        (3, "sell", "grid:1"),
    ]


def test_a_price_that_jumps_over_a_line_fills_at_the_open():
    made = candles([(99, 99, 99, 99), (99, 99, 98, 98), (93, 94, 92, 94), (110, 110, 109, 109)])
    outcome = engine.run(made, replace(signals(4), plan=NINES), terms(300, FREE))
    assert [(fill.candle, fill.price) for fill in outcome.fills] == [(2, D("93.0")), (3, D("110.0"))]


def test_a_sell_placed_where_its_line_is_passed_already_fills_at_once():
    made = candles([(99, 99, 99, 99), (99, 99, 94, 99), (120, 120, 120, 120), (120, 120, 120, 120)])
    outcome = engine.run(made, replace(signals(4), plan=NINES), terms(300, FREE))
    assert [(fill.candle, fill.price) for fill in outcome.fills] == [(1, D(95)), (2, D("120.0"))]


def test_stop_cancels_everything_and_sells_every_lot():
    rows = [(99, 99, 99, 99), (99, 99, 89, 89), (88, 88, 80, 80), (79, 79, 79, 79), (96, 96, 96, 96), (96, 96, 94, 96)]
    opinions = replace(signals(6, exit_=[2]), plan=NINES)
    outcome = engine.run(candles(rows), opinions, terms(300, FREE))
    assert [trade.exit for trade in outcome.trades] == [3, 3]
    assert {trade.entry_price for trade in outcome.trades} == {D(90), D(95)}
    assert sum(trade.pnl for trade in outcome.trades) == outcome.trades[0].amount * (79 - 90) + outcome.trades[
        1
    ].amount * (79 - 95)
    # The range is reached again: the grid goes on.
    assert outcome.open is not None
    assert outcome.open.entry == 5


def test_what_is_bought_and_sold_is_priced_by_its_own_line():
    def fact(side, price, cost=None):
        return FillFact(side, D(1), D(price), D(0), "USDT", AT, cost=None if cost is None else D(cost))

    position = fold([fact(Side.BUY, 100), fact(Side.BUY, 94), fact(Side.SELL, 96, cost=94)], "BTC", "USDT")
    assert (position.amount, position.entry_price, position.realized) == (D(1), D(100), D(2))


def test_wishes_are_sells_from_below_and_buys_from_above():
    now = flat(price=D(97), lots={2: D("0.5")}, busy_legs=frozenset({"grid:0"}), position=Position(D("0.5"), D(100)))
    found = [(wish.leg, wish.side, wish.limit_price, wish.purpose) for wish in grid.wanted(NINES.lines, now)]
    assert found == [
        ("grid:2", Side.SELL, D(105), Purpose.EXIT),
        ("grid:1", Side.BUY, D(95), Purpose.ENTRY),
    ]


def test_a_wish_says_which_line_holds_what_and_what_rests_where():
    now = flat(price=D(97), lots={2: D("0.5")}, position=Position(D("0.5"), D(100)))
    sell, buy, *_ = grid.wanted(NINES.lines, now)
    assert grid.described(sell, NINES.lines) == "Line 3 of 4 holds 0.5: a sell rests at 105."
    assert grid.described(buy, NINES.lines) == "Line 2 of 4 holds nothing: a buy rests at 95."


def test_one_refused_buy_ends_the_buys_of_the_candle():
    made = flat_candles([99] * 3)
    outcome = engine.run(made, replace(signals(3), plan=NINES), terms(300, FREE, max_position_notional=D(150)))
    assert [denied.code for denied in outcome.denied] == [Code.MAX_EXPOSURE_SYMBOL] * 2


def test_a_long_recording_is_visited_at_few_candles_only():
    random = np.random.default_rng(7)
    prices = np.round(100 * np.exp(np.cumsum(random.normal(0, 0.004, 6_000))), 2)
    made = flat_candles(prices)
    plan = Grid(lines_between(D(50), D(200), 60, "geometric"))
    asked = terms(1000, PLAIN)
    opinions = replace(signals(6_000), plan=plan)
    outcome = engine.run(made, opinions, asked)
    assert outcome == replay(made, opinions, asked)
    assert len(outcome.trades) > 50


@pytest.mark.parametrize(
    ("plan", "capital", "field"),
    [
        (Grid(lines_between(D(90), D(110), 50, "arithmetic")), 1000, None),
        (Grid(lines_between(D(90), D(91), 50, "geometric")), 1000, "params.levels"),
        (Grid(lines_between(D(90), D(110), 50, "arithmetic")), 100, "capital"),
        (Grid((D("0.001"), D("0.002"))), 1000, "params.levels"),
    ],
)
def test_an_impossible_grid_names_what_is_wrong(plan, capital, field):
    market = Market("BTC/USDT", "BTC", "USDT", D("0.0001"), D("0.01"), min_notional=D(5))
    assert list(grid.problems(plan, D(capital), market, Limits())) == ([field] if field else [])


def test_a_grid_takes_no_stop_beside_its_own():
    market = Market("BTC/USDT", "BTC", "USDT", D("0.0001"), D("0.01"))
    assert list(grid.problems(NINES, D(1000), market, Limits(stop_loss_pct=D(5)))) == ["limits.stop_loss_pct"]
    assert grid.problems(None, D(1), market, Limits(stop_loss_pct=D(5))) == {}


def test_a_refused_sell_ends_nothing():
    now = flat(price=D(97), lots={2: D("0.5")}, position=Position(D("0.5"), D(100)))
    wishes = grid.wanted(NINES.lines, now)
    granted = grid.until_refused(wishes, lambda wish: wish.side is Side.SELL)
    assert [wish.leg for wish in granted] == ["grid:1", "grid:0"]


def test_only_a_grid_is_worked_as_one():
    with pytest.raises(TypeError, match="signals with a grid"):
        walk(flat_candles([100] * 3), signals(3), terms(300, FREE))


def test_what_no_line_bought_is_in_no_lot():
    made = flat_candles([100] * 3)
    books = Lines(made, terms(300, FREE), NINES)
    wish = OrderIntent(Purpose.ENTRY, Side.BUY, OrderType.LIMIT, D(1), D(100), limit_price=D(100))
    books.filled(Resting(wish, 1), Execution(D(1), D(100), D(0), "USDT", AT), 1)
    assert (books.position.amount, books.lots, books.bought) == (D(1), {}, {})


def test_an_exit_that_is_worth_too_little_at_the_open_leaves_what_is_held_and_what_rests():
    # The coin that was bought at 70 is worth an order at that close, but none at the next open.
    made = flat_candles([99, 99, 70, 50, 101, 101])
    opinions = replace(signals(6, exit_=[2]), plan=Grid((D(95), D(100))))
    asked = terms(100, replace(FREE, min_notional=D(60)))
    outcome = engine.run(made, opinions, asked)
    assert outcome == replay(made, opinions, asked)
    assert [(fill.candle, fill.side, fill.price) for fill in outcome.fills] == [
        (2, Side.BUY, D(70)),
        (4, Side.SELL, D(101)),
    ]
    assert outcome.denied == []


def test_a_candle_before_the_strategy_is_ready_places_nothing():
    opinions = replace(signals(5, ready=[2, 3, 4]), plan=NINES)
    made = flat_candles([99, 99, 94, 99, 94])
    outcome = engine.run(made, opinions, terms(300, FREE))
    assert outcome == replay(made, opinions, terms(300, FREE))
    assert [(fill.candle, fill.price) for fill in outcome.fills] == [(4, D(94))]


def test_lines_met_inside_one_candle_and_at_the_next_open_are_each_filled_there():
    made = candles([(99, 99, 99, 99), (99, 99, 94, 94), (89, 89, 89, 89), (89, 89, 89, 89)])
    opinions = replace(signals(4), plan=NINES)
    outcome = engine.run(made, opinions, terms(300, FREE))
    assert outcome == replay(made, opinions, terms(300, FREE))
    assert [(fill.candle, fill.price) for fill in outcome.fills] == [(1, D(95)), (2, D(89))]


def test_after_a_refused_buy_no_other_is_asked_for():
    asked = []

    def refused(wish):
        asked.append(wish.leg)
        return True

    assert list(grid.until_refused(grid.wanted(NINES.lines, flat(price=D(97))), refused)) == []
    assert asked == ["grid:1"]
