"""Packed candles come back bit for bit, whatever the floats."""

import contextlib
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.core import demo
from exchanges.core.candle_csv import read_candle_csv
from exchanges.core.candle_pack import MAGIC, data_sha256, pack, places_of, unpack
from exchanges.core.candles import Candles, from_ms
from tradingbot.tests.places import DATA_DIR, NO_DATA

START = 1_767_225_600_000
FLOATS = (
    st.floats(allow_nan=False, width=64)
    | st.integers(-(10**9), 10**9).map(lambda n: n / 100)
    | st.integers(0, 10**6).map(lambda n: n / 1e8 * 1.0000000000000002)
)


def same(first: Candles, second: Candles) -> bool:
    return all(
        np.array_equal(getattr(first, name).view(np.int64), getattr(second, name).view(np.int64))
        for name in Candles.__slots__
    )


@given(st.lists(st.tuples(FLOATS, FLOATS, FLOATS, FLOATS, FLOATS), max_size=30), st.integers(1, 10**9))
@settings(max_examples=300)
def test_any_floats_come_back_bit_for_bit(rows: list[tuple[float, ...]], step: int) -> None:
    table = np.array(rows, dtype=np.float64).reshape(-1, 5)
    candles = Candles(START + step * np.arange(len(rows), dtype=np.int64), *(table[:, i].copy() for i in range(5)))
    assert same(unpack(pack(candles)), candles)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0, 5e-324, 1.7e308])
def test_strange_floats_come_back_bit_for_bit(value: float) -> None:
    column = np.array([value, 1.0, 2.5])
    candles = Candles(START + np.arange(3, dtype=np.int64), column, column, column, column, column)
    assert same(unpack(pack(candles)), candles)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_candles_come_back(count: int) -> None:
    candles = demo.candles("BTC/USDT", "1m", START, count)
    assert same(unpack(pack(candles)), candles)


def test_demo_minutes_need_a_third_of_their_raw_size() -> None:
    candles = demo.candles("BTC/USDT", "1m", START, 44_640)
    assert len(pack(candles)) < 48 * len(candles) / 3


def test_memoryview_is_unpacked_as_well() -> None:
    candles = demo.candles("BTC/USDT", "1m", START, 5)
    assert same(unpack(memoryview(pack(candles))), candles)


@pytest.mark.parametrize("cut", [1, 40])
def test_bytes_cut_short_are_refused(cut: int) -> None:
    with pytest.raises(ValueError, match="Expected"):
        unpack(pack(demo.candles("BTC/USDT", "1m", START, 100))[:-cut])


@given(st.integers(0, 199), st.integers(0, 255))
def test_damaged_head_is_refused_or_read(place: int, byte: int) -> None:
    packed = bytearray(pack(demo.candles("BTC/USDT", "1m", START, 5)))
    packed[place] = byte
    for blob in (bytes(packed), bytes(packed[:place])):
        with contextlib.suppress(ValueError):
            unpack(blob)


@pytest.mark.parametrize("blob", [MAGIC + b"\1", MAGIC + b"\2\0\0\0{}", MAGIC + b"\2\0\0\0[]"])
def test_head_without_its_words_is_refused(blob: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack(blob)


def test_foreign_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="Expected packed candles"):
        unpack(b"PK\x03\x04")


def test_hash_is_that_of_the_plain_columns() -> None:
    candles = demo.candles("BTC/USDT", "1m", START, 10)
    plain = b"".join(getattr(candles, name).tobytes() for name in Candles.__slots__)
    assert data_sha256(candles) == hashlib.sha256(plain).hexdigest()
    assert data_sha256(candles[1:]) != data_sha256(candles)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, 2.0], 0),
        ([0.25], 2),
        ([0.09946999000000001], 8),
        ([], 0),
        ([float("nan")], None),
        ([1 / 3], None),
        ([1e17], None),
    ],
)
def test_places_are_the_fewest_that_write_the_value(values: list[float], expected: int | None) -> None:
    assert places_of(np.array(values)) == expected


@pytest.mark.skipif(not DATA_DIR.is_dir(), reason=NO_DATA)
@pytest.mark.parametrize(
    ("name", "timeframe", "bytes_each"),
    [
        ("btcusdt_1h_binance_2020-01_2023-12.csv", "1h", 27),
        ("unittestbtc_1m_freqtrade_2017-11.csv", "1m", 26),
        ("ethbtc_5m_freqtrade_2018-01.csv", "5m", 30),
    ],
)
def test_recorded_candles_come_back_in_less_space(name: str, timeframe: str, bytes_each: float) -> None:
    candles, _ = read_candle_csv(DATA_DIR / name, timeframe, from_ms(2_000_000_000_000))
    packed = pack(candles)
    assert same(unpack(packed), candles)
    assert len(packed) < bytes_each * len(candles)
