"""Coarser candles are exactly what the finer ones say."""

import numpy as np
import pytest

from exchanges.core import demo
from exchanges.core.aggregate import aggregate, from_trades
from exchanges.core.candle_csv import read_candle_csv
from exchanges.core.candles import Candles, from_ms
from tradingbot.tests.places import DATA_DIR, NO_DATA

START = 1_767_225_600_000
MINUTE = 60_000
FAR = from_ms(2_000_000_000_000)
needs_data = pytest.mark.skipif(not DATA_DIR.is_dir(), reason=NO_DATA)


def test_demo_minutes_make_the_demo_hours() -> None:
    minutes = demo.candles("BTC/USDT", "1m", START, 600)
    assert aggregate(minutes, "1m", "1h").rows() == demo.candles("BTC/USDT", "1h", START, 10).rows()


def test_gap_makes_no_candle_and_a_partial_stretch_does() -> None:
    rows = [[START + i * MINUTE, 10 + i, 20 + i, 5 - i, 11 + i, 0.1] for i in (0, 1, 3, 10)]
    assert aggregate(Candles.from_rows(rows), "1m", "5m").rows() == [
        [START, 10, 23, 2, 14, 0.3],
        [START + 10 * MINUTE, 20, 30, -5, 21, 0.1],
    ]


def test_volumes_that_are_no_decimals_are_added_without_loss() -> None:
    thirds = Candles.from_rows([[START + i * MINUTE, 1, 1, 1, 1, 1 / 3] for i in range(3)])
    assert aggregate(thirds, "1m", "5m").volume.tolist() == [1.0]


def test_same_timeframe_and_no_candles_are_left_alone() -> None:
    minutes = demo.candles("BTC/USDT", "1m", START, 7)
    assert aggregate(minutes, "1m", "1m").rows() == minutes.rows()
    assert len(aggregate(minutes[:0], "1m", "5m")) == 0


@pytest.mark.parametrize(("fine", "coarse"), [("5m", "1m"), ("3m", "5m")])
def test_timeframe_that_is_no_multiple_is_refused(fine: str, coarse: str) -> None:
    with pytest.raises(ValueError, match="Expected a multiple"):
        aggregate(demo.candles("BTC/USDT", fine, START, 3), fine, coarse)


def test_trades_make_the_candles_of_their_minutes() -> None:
    times, prices = np.array([START + 500, START + 500, START + 59_999, START + 180_000]), np.array([10.0, 12, 9, 11])
    assert from_trades(times, prices, np.array([1.0, 2, 4, 8]), "1m").rows() == [
        [START, 10, 12, 9, 9, 7],
        [START + 180_000, 11, 11, 11, 11, 8],
    ]


def test_trades_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="in the order"):
        from_trades(np.array([2, 1]), np.ones(2), np.ones(2), "1m")


@needs_data
@pytest.mark.parametrize(
    "name", ["btcperp_1m_2022-01.csv", "unittestbtc_1m_freqtrade_2017-11.csv", "xrpeth_1m_freqtrade_2019-10.csv"]
)
def test_recorded_minutes_give_the_same_hours_directly_and_through_five_minutes(name: str) -> None:
    minutes, _ = read_candle_csv(DATA_DIR / name, "1m", FAR)
    through = aggregate(aggregate(minutes, "1m", "5m"), "5m", "1h")
    direct = aggregate(minutes, "1m", "1h")
    assert through.rows() == direct.rows()
    assert direct.high.max() == minutes.high.max()


@needs_data
def test_recorded_trades_give_exactly_the_recorded_candles() -> None:
    trades = np.loadtxt(DATA_DIR / "xrpeth_trades_freqtrade_2019-10.csv", delimiter=",", skiprows=1, usecols=(0, 3, 4))
    candles, _ = read_candle_csv(DATA_DIR / "xrpeth_1m_freqtrade_2019-10.csv", "1m", FAR)
    made = from_trades(trades[:, 0].astype(np.int64), trades[:, 1], trades[:, 2], "1m")
    assert len(made) == 2_469
    assert made.rows() == candles.rows()
