from dataclasses import replace

import numpy as np
import pytest

from exchanges.core.candles import Candles
from strategies.core.preview import preview
from strategies.core.preview_grid import worked
from strategies.core.rules import RuleStrategy
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import synthetic

load_shipped()


def market(*rows):
    """Candles of (open, high, low, close)."""
    opens, highs, lows, closes = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    return Candles(np.arange(len(rows), dtype=np.int64) * 60_000, opens, highs, lows, closes, np.ones(len(rows)))


def flat(*closes):
    return [(close, close, close, close) for close in closes]


def rule(exit_=None, **guards):
    over = {"left": {"indicator": "close"}, "operator": "crosses_above", "right": 100}
    under = {"left": {"indicator": "close"}, "operator": "below", "right": 90}
    return RuleStrategy({"entry": {"all": [over]}, "exit": {"any": [under]} if exit_ is None else exit_, **guards})


def marks(strategy, candles, shown=100):
    return [(mark.index, mark.entry, mark.price) for mark in preview(strategy, candles, shown).marks]


def test_trades_fill_at_the_next_open_and_none_on_the_last_candle():
    candles = market(*flat(99, 101, 105, 89, 88, 101))
    assert marks(rule(), candles) == [(2, True, 105.0), (4, False, 88.0)]


def test_reasons_are_the_strategys():
    seen = preview(rule(), market(*flat(99, 101, 105, 89, 88)), 100)
    assert [mark.reason.split(".")[0] for mark in seen.marks] == ["The entry rule holds", "The exit rule holds"]
    assert (seen.bought, seen.sold, seen.entries, seen.exits, seen.warming_up) == (1, 1, 1, 2, 1)


@pytest.mark.parametrize(
    ("guards", "candle", "price", "why"),
    [
        ({"stop_loss_pct": 5}, (100, 101, 94, 96), 95.0, "stop-loss"),
        ({"stop_loss_pct": 5}, (93, 94, 92, 92), 93.0, "stop-loss"),
        ({"take_profit_pct": 5}, (100, 106, 100, 103), 105.0, "target"),
        ({"take_profit_pct": 5}, (110, 111, 109, 110), 110.0, "target"),
        ({"trailing_stop_pct": 5}, (100, 100, 94, 96), 95.0, "trailing stop"),
        ({"stop_loss_pct": 5, "take_profit_pct": 5}, (100, 106, 94, 100), 95.0, "stop-loss"),
    ],
)
def test_protection_sells_at_its_level_or_at_a_worse_open(guards, candle, price, why):
    candles = market(*flat(99, 101, 100), candle, *flat(99))
    seen = preview(rule(**guards), candles, 100)
    assert [(mark.index, mark.entry) for mark in seen.marks] == [(2, True), (3, False)]
    assert seen.marks[1].price == pytest.approx(price)
    assert seen.marks[1].reason == f"The price reached the {why}."


def test_trailing_stop_follows_the_highest_price():
    candles = market(*flat(99, 101, 100), (100, 120, 100, 119), (119, 119, 113, 114), *flat(114))
    seen = preview(rule(trailing_stop_pct=5), candles, 100)
    assert [(mark.index, round(mark.price, 6)) for mark in seen.marks] == [(2, 100.0), (4, 114.0)]


def test_what_was_decided_before_the_window_is_not_shown():
    candles = market(*flat(99, 101, 105, 89, 88, 101, 102))
    assert marks(rule(), candles, shown=5) == [(4, True, 102.0)]
    assert len(preview(rule(), candles, 5).candles) == 5


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_candles_are_no_trade(count):
    seen = preview(StrategyRegistry.get("rsi_cross")(), synthetic(count), 10)
    assert (seen.marks, seen.warming_up) == ((), count)


def test_marks_alternate_and_start_with_a_buy():
    seen = preview(StrategyRegistry.get("mean_reversion")(), synthetic(1_000), 300)
    assert seen.bought >= 2
    assert [mark.entry for mark in seen.marks] == [index % 2 == 0 for index in range(len(seen.marks))]
    assert all(len(column) == 300 for column in seen.columns.values())


def of(name, **params):
    return StrategyRegistry.get(name)(**params)


LINES = {"lower": "90", "upper": "110", "levels": 3, "spacing": "arithmetic"}


def told(strategy, candles):
    return [(mark.index, mark.entry, mark.price, mark.parts) for mark in preview(strategy, candles, 100).marks]


def test_grid_buys_at_its_lines_and_sells_at_the_next_ones():
    candles = market(*flat(105, 105), (105, 105, 99, 99), (99, 111, 99, 111), *flat(111, 111))
    seen = preview(of("grid", **LINES), candles, 100)
    assert seen.levels == (90.0, 100.0, 110.0)
    assert told(of("grid", **LINES), candles) == [(2, True, 100.0, 1), (3, False, 110.0, 0)]
    assert seen.marks[0].reason == "The buy of line 2 of 3, the lowest being 1."


def test_grid_that_opens_beyond_its_lines_trades_at_the_open():
    candles = market(*flat(105, 105, 95, 112, 112))
    assert told(of("grid", **LINES), candles) == [(2, True, 95.0, 1), (3, False, 112.0, 0)]


def test_grid_places_a_sell_that_fills_at_once_where_its_line_is_passed():
    candles = market(*flat(105, 105), (105, 105, 99, 109), *flat(120, 120))
    assert told(of("grid", **LINES), candles)[-1] == (3, False, 120.0, 0)


def test_grids_stop_sells_everything():
    candles = market(*flat(105, 105), (105, 105, 80, 80), *flat(79, 79))
    assert told(of("grid", **LINES, stop_pct="5"), candles) == [
        (2, True, 90.0, 1), (2, True, 100.0, 2), (3, False, 79.0, 0),
    ]  # fmt: skip


def test_a_grid_places_nothing_while_it_warms_up():
    candles = market(*flat(105, 105, 95, 95))
    asked = of("grid", **LINES).signals(candles)
    warming = replace(asked, ready=np.array([False, False, True, True]))
    assert [(mark.index, mark.price) for mark in worked(asked, candles, 0)] == [(2, 95.0)]
    assert [(mark.index, mark.price) for mark in worked(warming, candles, 0)] == []


def test_only_a_grid_is_worked_line_by_line():
    candles = market(*flat(100, 101))
    with pytest.raises(TypeError, match="signals with a grid"):
        next(worked(of("rsi_cross").signals(candles), candles, 0))


def test_stakes_are_told_and_the_profit_is_over_their_average():
    hours = market(*flat(100, 100, 100, 100, 90, 90, 97))
    hourly = Candles(hours.opened_at * 30, hours.open, hours.high, hours.low, hours.close, hours.volume)
    strategy = of("dca", every="1h", drop_pct="5", take_profit_pct="2", stakes=2)
    seen = preview(strategy, hourly, 100)
    assert [(mark.entry, mark.price, mark.parts) for mark in seen.marks] == [
        (True, 100.0, 1), (True, 90.0, 2), (False, pytest.approx(97.0), None),
    ]  # fmt: skip
    assert [mark.holding for mark in seen.marks] == [True, True, False]
    assert seen.marks[1].reason.startswith("Stake 2 of 2. ")
