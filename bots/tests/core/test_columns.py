"""Indicators named in text become columns, and what names none is refused with a sentence."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.core.columns import INDICATORS, LONGEST, ColumnError, parse_columns
from exchanges.core.candles import Candles

COUNT = 900


@pytest.fixture(scope="module")
def candles() -> Candles:
    rng = np.random.default_rng(7)
    close = 100 + np.cumsum(rng.normal(0, 1, COUNT)).round(2)
    times = np.arange(COUNT, dtype=np.int64) * 60_000
    return Candles(times, close, close + 1, close - 1, close, np.ones(COUNT))


def test_names_are_spelled_out():
    columns = parse_columns(" rsi , bollinger(10) ,macd( 5,8 , 3 ),bollinger(20,2.5)")
    assert [column.name for column in columns] == ["rsi(14)", "bollinger(10,2)", "macd(5,8,3)", "bollinger(20,2.5)"]


@pytest.mark.parametrize("text", ["", "  "])
def test_no_text_is_no_column(text):
    assert parse_columns(text) == []


@pytest.mark.parametrize("name", sorted(INDICATORS))
def test_every_indicator_is_the_same_on_a_window_of_its_warmup(candles, name):
    (column,) = parse_columns(name)
    whole = column.over(candles)
    window = column.over(candles[COUNT - column.warmup - 5 :])
    assert window.keys() == whole.keys()
    for part, values in whole.items():
        assert part.startswith(column.name)
        assert len(values) == COUNT
        assert np.array_equal(values[-5:], window[part][-5:])
        assert not np.isnan(values[-1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("magic(3)", "Expected some of rsi,"),
        ("rsi(14", "Expected some of"),
        ("rsi(14))", "Expected some of"),
        ("rsi((14))", "Expected some of"),
        ("RSI(14)", "Expected some of"),
        (",", "Expected some of"),
        ("rsi(1,2)", "rsi: Expected at most 1 numbers, was 2."),
        ("rsi(x)", "rsi: Expected a whole number, was 'x'."),
        ("rsi(1.5)", "rsi: Expected a whole number"),
        ("rsi(-3)", "rsi: Expected a whole number"),
        ("rsi(1)", f"rsi: Expected a number from 2 to {LONGEST}, was 1."),
        ("rsi(501)", f"rsi: Expected a number from 2 to {LONGEST}, was 501."),
        ("bollinger(20,x)", "bollinger: Expected a number, was 'x'."),
        ("bollinger(20,0)", "bollinger: Expected a number"),
        (",".join(["rsi"] * 9), "Expected at most 8 indicators, was 9."),
    ],
)
def test_what_names_no_indicator_is_refused(text, said):
    with pytest.raises(ColumnError) as caught:
        parse_columns(text)
    assert str(caught.value).startswith(said)


@given(st.text(alphabet="rsimacd(),. 0123456789_é\x00", max_size=30))
def test_any_text_is_parsed_or_refused(text):
    with contextlib.suppress(ColumnError):
        assert len(parse_columns(text)) <= 8
