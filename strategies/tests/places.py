"""The recorded candles and the published indicators, as arrays."""

import json
from functools import cache

import numpy as np
import pytest

from exchanges.core.candles import Candles
from tradingbot.tests.places import DATA_DIR, NO_DATA

RECORDED = (
    "btcusdt_1h_binance_2017-08_2019-12.csv",
    "btcusdt_1h_binance_2020-01_2023-12.csv",
    "btcusdt_1h_binance_2024-01_2024-04.csv",
    "btcperp_1m_2022-01.csv",
    "ethbtc_5m_freqtrade_2018-01.csv",
    "unittestbtc_1m_freqtrade_2017-11.csv",
    "xrpeth_1m_freqtrade_2019-10.csv",
)


@cache
def recorded(name: str) -> Candles:
    """The candles of a file; skips the test when the folder is absent."""
    if not DATA_DIR.is_dir():
        pytest.skip(NO_DATA)
    table = np.loadtxt(DATA_DIR / name, delimiter=",", skiprows=1)
    columns = [np.ascontiguousarray(column) for column in table.T]
    return Candles(columns[0].astype(np.int64), *columns[1:])


def published(name: str, field: str) -> np.ndarray:
    """A third party's indicator of the SPY file, NaN where it has none."""
    if not DATA_DIR.is_dir():
        pytest.skip(NO_DATA)
    path = DATA_DIR / "external" / "stock_indicators_spy" / f"{name}.standard.json"
    return np.array([row[field] if row[field] is not None else np.nan for row in json.loads(path.read_text())])


def synthetic(
    count: int, seed: int = 7, *, start: float = 30_000.0, volatility: float = 0.01, digits: int = 2
) -> Candles:
    """A seeded walk of hourly candles with consistent highs and lows, prices in ticks."""
    walk = np.random.default_rng(seed)
    closes = np.round(start * np.exp(np.cumsum(walk.normal(0, volatility, count))), digits)
    opens = np.concatenate([[start], closes[:-1]])
    reach = np.abs(walk.normal(0, volatility / 2, (2, count)))
    highs = np.round(np.maximum(opens, closes) * (1 + reach[0]), digits)
    lows = np.round(np.minimum(opens, closes) * (1 - reach[1]), digits)
    volumes = np.round(walk.gamma(2.0, 50.0, count), 4)
    return Candles(
        1_704_067_200_000 + np.arange(count, dtype=np.int64) * 3_600_000, opens, highs, lows, closes, volumes
    )
