"""Float noise never decides a trade: every signal on the recorded candles equals the exact rule."""

import numpy as np
import pytest

from strategies.core.indicators import typical_price, vwap_session_utc
from strategies.library.breakout import BreakoutStrategy
from strategies.library.mean_reversion import MeanReversionStrategy
from strategies.library.rsi_cross import RSICrossStrategy
from strategies.library.vwap_cross import VWAPCrossStrategy
from strategies.tests.library import exact
from strategies.tests.places import RECORDED, recorded

THIN = "unittestbtc_1m_freqtrade_2017-11.csv"


def where(flags):
    return np.flatnonzero(flags).tolist()


@pytest.mark.parametrize("file", RECORDED)
@pytest.mark.parametrize(("period", "oversold", "overbought"), [(14, 30, 70), (5, 20, 80)])
def test_rsi_cross_equals_exact_arithmetic(file, period, oversold, overbought):
    candles = recorded(file)
    signals = RSICrossStrategy(period, oversold, overbought).signals(candles)
    assert where(signals.entry) == exact.crossings(exact.rsi_sides(candles.close, period, oversold), upwards=True)
    assert where(signals.exit) == exact.crossings(exact.rsi_sides(candles.close, period, overbought), upwards=False)


@pytest.mark.parametrize("file", RECORDED)
@pytest.mark.parametrize(("period", "stddev"), [(20, 2.0), (10, 1.5)])
def test_mean_reversion_equals_exact_arithmetic(file, period, stddev):
    candles = recorded(file)
    signals = MeanReversionStrategy(period, stddev).signals(candles)
    sides = exact.bollinger_sides(candles.close, period, stddev)
    lower, middle = ([side and side[part] for side in sides] for part in (0, 1))
    assert where(signals.entry) == exact.crossings(lower, upwards=True)
    assert where(signals.exit) == exact.crossings(middle, upwards=True)


@pytest.mark.parametrize("file", RECORDED)
@pytest.mark.parametrize(("anchor", "period"), [("session_utc", None), ("rolling", 24), ("rolling", 1)])
def test_vwap_cross_equals_exact_arithmetic(file, anchor, period):
    candles = recorded(file)
    signals = VWAPCrossStrategy(anchor, period or 24).signals(candles)
    sides = exact.vwap_sides(candles, period)
    assert where(signals.entry) == exact.crossings(sides, upwards=True)
    assert where(signals.exit) == exact.crossings(sides, upwards=False)


def test_vwap_of_the_thin_market_would_be_flipped_by_noise():
    candles = recorded(THIN)
    vwap = vwap_session_utc(candles.opened_at, typical_price(candles.high, candles.low, candles.close), candles.volume)
    noisy = np.sign(candles.close - vwap)
    flipped = [i for i, side in enumerate(exact.vwap_sides(candles)) if side is not None and side != noisy[i]]
    assert set(flipped) >= {39, 40, 1235}


@pytest.mark.parametrize("file", RECORDED)
def test_breakout_equals_the_rule_candle_by_candle(file):
    candles = recorded(file)[:6_000]
    signals = BreakoutStrategy().signals(candles)
    close, high, low = candles.close.tolist(), candles.high.tolist(), candles.low.tolist()
    span = range(20, len(close))
    assert where(signals.entry) == [i for i in span if close[i] > max(high[i - 20 : i])]
    assert where(signals.exit) == [i for i in span if close[i] < min(low[i - 10 : i])]
