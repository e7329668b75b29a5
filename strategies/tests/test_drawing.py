import re

import numpy as np
import pytest

from strategies.core.preview import Preview, preview
from strategies.core.preview_grid import Mark
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped
from strategies.tests.places import synthetic
from strategies.views.drawing import HEIGHT, MOST_LINES, WIDTH, chart

load_shipped()


def seen(count=50, marks=(), **columns):
    candles = synthetic(count)
    return Preview(candles, tuple(marks), columns, 0, 0, 0)


def points(path):
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+),([\d.]+)", path)]


def test_closes_fill_the_box_from_side_to_side():
    drawn = chart(seen())
    found = points(drawn.closes)
    assert len(found) == 50
    assert (found[0][0], found[-1][0]) == (0.0, WIDTH)
    assert all(0 < y < HEIGHT for _, y in found)
    candles = synthetic(50)
    highest = int(np.argmax(candles.close))
    assert min(found, key=lambda point: point[1])[0] == pytest.approx(highest / 49 * WIDTH, abs=0.1)
    assert float(drawn.high) == candles.close.max()
    assert int(drawn.first.timestamp() * 1000) == candles.opened_at[0]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_candles_are_no_line(count):
    assert chart(seen(count)) is None


def test_still_market_is_a_line_in_the_middle():
    still = synthetic(10, volatility=0.0)
    (_, y), *rest = points(chart(Preview(still, (), {}, 0, 0, 0)).closes)
    assert {height for _, height in rest} == {y} == {HEIGHT / 2}


def test_indicator_stands_where_its_values_are():
    close = synthetic(50).close
    columns = {f"mean {i}": close * (1 + i / 1000) for i in range(6)}
    drawn = chart(seen(**columns, rsi=np.linspace(10, 90, 50), never=np.full(50, np.nan)))
    assert [line.name for line in drawn.overlays] == [f"mean {i}" for i in range(MOST_LINES)]
    assert [line.name for line in drawn.pane.lines] == ["rsi"]
    assert (float(drawn.pane.low), float(drawn.pane.high)) == (10.0, 90.0)
    assert chart(seen(mean=close)).pane is None


def test_missing_values_interrupt_a_line():
    values = synthetic(6).close.copy()
    values[[0, 3]] = np.nan
    assert chart(seen(6, mean=values)).overlays[0].path.count("M") == 2


def test_trades_are_triangles_with_the_time_held_between_them():
    marks = (Mark(0, True, 30_000.0, "in"), Mark(20, False, 10.0, "out"), Mark(40, True, 1e9, "again"))
    drawn = chart(seen(50, marks))
    assert [spot.entry for spot in drawn.spots] == [True, False, True]
    assert [spot.reason for spot in drawn.table] == ["again", "out", "in"]
    assert len(drawn.held) == 2
    assert drawn.held[1].split("H")[1].startswith(f"{WIDTH}.0V")
    for spot in drawn.spots:
        ((x, y),) = points(spot.path)
        assert 0 < x < WIDTH
        assert 0 < y < HEIGHT
    assert float(drawn.spots[1].price) == 10.0


def parameters_required(name):
    return any(parameter.default is None for parameter in StrategyRegistry.get(name).parameters)


@pytest.mark.parametrize("name", [name for name in StrategyRegistry.list_all() if not parameters_required(name)])
def test_every_strategy_can_be_drawn(name):
    drawn = chart(preview(StrategyRegistry.get(name)(), synthetic(1_500), 240))
    assert drawn.spots
    text = "".join([drawn.closes, *(line.path for line in drawn.overlays), *(spot.path for spot in drawn.spots)])
    assert "nan" not in text
    assert "e" not in text


def test_lines_of_a_grid_lie_across_and_stretch_the_scale():
    candles = synthetic(50)
    low, high = float(candles.close.min()) * 0.9, float(candles.close.max()) * 1.1
    drawn = chart(Preview(candles, (), {"close": candles.close}, 0, 0, 0, (low, (low + high) / 2, high)))
    assert [level.number for level in drawn.levels] == [3, 2, 1]
    assert [level.y for level in drawn.levels] == sorted(level.y for level in drawn.levels)
    assert (float(drawn.lowest), float(drawn.highest)) == (pytest.approx(low), pytest.approx(high))
    # The close itself is drawn once.
    assert drawn.overlays == ()


def test_several_parts_are_held_from_the_first_buy_to_the_last_sale():
    marks = (Mark(5, True, 10.0, "", 1), Mark(9, True, 10.0, "", 2), Mark(20, False, 10.0, "", 1))
    assert len(chart(seen(50, marks)).held) == 1
