"""The demo market is a pure function, adds up exactly and keeps crossing."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exchanges.core import demo
from exchanges.core.candles import TIMEFRAMES, Candles, gaps
from exchanges.core.errors import UnknownSymbol, UnknownTimeframe

START = 1_767_225_600_000
SYMBOLS = st.sampled_from(sorted(demo.INSTRUMENTS))
MOMENTS = st.integers(1_500_000_000, 2_500_000_000)


def cutler_rsi(close: np.ndarray, period: int) -> np.ndarray:
    """Simple means, as the shipped strategy's default; the strategies app stands above this one."""
    change = np.diff(close)
    window = np.ones(period)
    gain = np.convolve(np.maximum(change, 0), window, "valid")
    loss = np.convolve(np.maximum(-change, 0), window, "valid")
    moved = gain + loss
    rsi = np.where(moved > 0, 100 * gain / np.where(moved > 0, moved, 1), 50)
    return np.concatenate([np.full(period, np.nan), rsi])


def crossings(close: np.ndarray, period: int) -> tuple[np.ndarray, np.ndarray]:
    rsi = cutler_rsi(close, period)
    before, now = rsi[:-1], rsi[1:]
    up = np.flatnonzero((before < 30) & (now >= 30)) + 1
    down = np.flatnonzero((before > 70) & (now <= 70)) + 1
    return up, down


def columns(candles: Candles) -> list[list[float]]:
    return candles.rows()


@given(SYMBOLS, MOMENTS, st.integers(1, 400), st.integers(0, 300))
@settings(max_examples=60, deadline=None)
def test_price_same_second_in_any_window_is_identical(symbol: str, first: int, count: int, before: int) -> None:
    wide = demo.prices(symbol, first - before, before + count + 7)
    narrow = demo.prices(symbol, first, count)
    assert np.array_equal(wide[before : before + count], narrow)
    at = datetime.fromtimestamp(first, UTC) + timedelta(milliseconds=999)
    assert float(demo.price_at(symbol, at)) == narrow[0]


def test_prices_at_known_seconds_are_pinned() -> None:
    assert demo.prices("BTC/USDT", START // 1000, 3).tolist() == [76211.63, 76268.17, 76308.75]


@given(SYMBOLS, MOMENTS, st.sampled_from(["5s", "15s", "30s", "1m", "3m", "5m", "15m"]), st.integers(1, 5))
@settings(max_examples=40, deadline=None)
def test_candles_of_a_timeframe_are_the_sum_of_their_seconds(
    symbol: str, first: int, timeframe: str, count: int
) -> None:
    step = TIMEFRAMES[timeframe] // 1000
    coarse = demo.candles(symbol, timeframe, first * 1000, count)
    fine = demo.candles(symbol, "1s", int(coarse.opened_at[0]), count * step)
    shape = (count, step)
    assert coarse.open.tolist() == fine.open[::step].tolist()
    assert coarse.close.tolist() == fine.close[step - 1 :: step].tolist()
    assert coarse.high.tolist() == fine.high.reshape(shape).max(axis=1).tolist()
    assert coarse.low.tolist() == fine.low.reshape(shape).min(axis=1).tolist()
    lots = np.rint(fine.volume * 100_000).astype(np.int64).reshape(shape).sum(axis=1)
    assert np.rint(coarse.volume * 100_000).astype(np.int64).tolist() == lots.tolist()


@pytest.mark.parametrize("timeframe", ["1h", "2h", "1d"])
def test_long_candles_open_and_close_at_the_market_price(timeframe: str) -> None:
    candles = demo.candles("ETH/USDT", timeframe, START, 50)
    assert len(candles) == 50
    assert gaps(candles, timeframe) == []
    opens = [demo.prices("ETH/USDT", int(ms) // 1000, 1)[0] for ms in candles.opened_at]
    assert candles.open.tolist() == opens
    assert candles.close[:-1].tolist() == opens[1:]


@pytest.mark.parametrize("timeframe", sorted(TIMEFRAMES, key=TIMEFRAMES.__getitem__))
def test_candles_of_every_timeframe_are_consistent_and_on_the_tick(timeframe: str) -> None:
    candles = demo.candles("SOL/USDT", timeframe, START, 120)
    assert (candles.low > 0).all()
    assert (candles.low <= np.minimum(candles.open, candles.close)).all()
    assert (candles.high >= np.maximum(candles.open, candles.close)).all()
    assert (candles.volume > 0).all()
    ticks = candles.high * 100
    assert np.abs(ticks - np.rint(ticks)).max() < 1e-6


def test_candles_across_a_block_boundary_have_no_seam() -> None:
    blocks = demo.BLOCK_SECONDS // 60
    whole = demo.candles("BTC/USDT", "1m", START, blocks + 5)
    tail = demo.candles("BTC/USDT", "1m", START + blocks * 60_000, 5)
    assert columns(whole[blocks:]) == columns(tail)


def test_candles_asked_for_none_are_empty() -> None:
    assert len(demo.candles("BTC/USDT", "1m", START, 0)) == 0
    assert len(demo.candles("BTC/USDT", "1d", START, 0)) == 0


@pytest.mark.parametrize(("timeframe", "late"), [("1s", 0), ("1m", 37), ("1h", 1_800), ("4h", 7_325), ("1d", 59)])
def test_forming_candle_ends_at_the_present_and_grows_into_the_whole_one(timeframe: str, late: int) -> None:
    step = TIMEFRAMES[timeframe]
    at = START + step + late * 1000 + 400
    seen = demo.candles_until("BTC/USDT", timeframe, START, 10, at)
    whole = demo.candles("BTC/USDT", timeframe, START, 2)
    assert seen.opened_at.tolist() == [START, START + step]
    assert columns(seen[:1]) == columns(whole[:1])
    assert seen.open[1] == whole.open[1]
    assert seen.high[1] <= whole.high[1]
    assert seen.low[1] >= whole.low[1]
    assert seen.volume[1] <= whole.volume[1]
    unit = 1 if step <= demo.EXACT_UP_TO else 60
    second = (START + step) // 1000 + late // unit * unit
    assert seen.close[1] == demo.prices("BTC/USDT", second, 1)[0]


def test_candles_until_stops_at_the_limit_and_shows_no_future() -> None:
    assert len(demo.candles_until("BTC/USDT", "1m", START, 3, START + 600_000)) == 3
    assert len(demo.candles_until("BTC/USDT", "1m", START + 1, 3, START)) == 0


def test_unknown_symbol_and_timeframe_are_named() -> None:
    with pytest.raises(UnknownSymbol, match="demo lists no 'FOO/BAR'"):
        demo.candles("FOO/BAR", "1m", START, 1)
    with pytest.raises(UnknownTimeframe, match="'7m'"):
        demo.candles("BTC/USDT", "7m", START, 1)


@pytest.mark.parametrize("symbol", sorted(demo.INSTRUMENTS))
def test_any_start_sees_a_round_trip_within_45_seconds(symbol: str) -> None:
    random = np.random.default_rng(2026)
    late = 0
    for first in random.integers(1_500_000_000, 2_500_000_000, 50):
        up, down = crossings(demo.candles(symbol, "1s", int(first) * 1000, 1_300).close, period=7)
        for start in random.integers(20, 1_200, 100):
            bought = up[up >= start][0]
            sold = down[down > bought][0]
            late += sold + 1 - start > 45
    assert late <= 5, f"{late} of 5000 starts had no round trip within 45 s"


def test_round_trips_win_and_lose() -> None:
    candles = demo.candles("BTC/USDT", "1s", START, 20_000)
    up, down = crossings(candles.close, period=7)
    returns = [
        candles.open[exit_ + 1] / candles.open[entry + 1] * (0.999 / 1.001) - 1
        for entry, exit_ in ((up[i], down[down > up[i]][0]) for i in range(len(up) - 2))
    ]
    winners = np.mean(np.array(returns) > 0)
    assert 0.3 < winners < 0.8
    assert abs(np.mean(returns)) < 0.0005


@pytest.mark.parametrize("timeframe", ["1m", "5m", "1h"])
def test_slow_candles_cross_both_ways_from_time_to_time(timeframe: str) -> None:
    up, down = crossings(demo.candles("BTC/USDT", timeframe, START, 500).close, period=14)
    assert len(up) >= 3
    assert len(down) >= 3
