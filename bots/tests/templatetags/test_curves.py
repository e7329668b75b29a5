import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.templatetags.curves import HEIGHT, ROWS, WIDTH, curve, equity_curve, thinned

START = datetime(2026, 3, 1, tzinfo=UTC)


def series(*levels: int) -> list[tuple[datetime, D]]:
    return [(START + timedelta(minutes=i), D(level)) for i, level in enumerate(levels)]


@pytest.mark.parametrize("points", [[], series(100), [(START, D(1)), (START, D(2))]])
def test_a_curve_needs_two_instants(points):
    assert curve(points) is None


def test_a_curve_goes_by_steps_from_edge_to_edge():
    drawn = curve(series(100, 110, 90))
    assert drawn.line == f"M0.0,{(HEIGHT - 6) - 0.5 * (HEIGHT - 12):.1f}H300.0V6.0H600.0V{HEIGHT - 6:.1f}"
    assert drawn.area.endswith(f"V{HEIGHT}H0Z")
    assert (drawn.low, drawn.high, drawn.rises) == (D(90), D(110), False)


def test_a_flat_curve_can_be_drawn():
    assert curve(series(100, 100)).rises


@given(st.lists(st.integers(0, 10**9), min_size=2, max_size=200))
def test_a_curve_never_leaves_its_box(levels):
    drawn = curve(series(*levels))
    xs = [float(x) for x in re.findall(r"H([\d.]+)", drawn.line)]
    ys = [float(y) for y in re.findall(r"V([\d.]+)", drawn.line)]
    assert xs == sorted(xs)
    assert xs[-1] == WIDTH
    assert all(0 <= y <= HEIGHT for y in ys)


@given(st.integers(1, 500))
def test_the_table_is_short_and_starts_with_the_last_point(count):
    points = series(*range(count))
    rows = thinned(points)
    assert len(rows) <= ROWS
    assert rows[0] == points[-1]


def test_the_tag_hands_over_what_the_template_draws():
    assert equity_curve(series(1, 2), "USDT", "Equity")["curve"].rises
