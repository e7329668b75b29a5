import json
import math
import sys
from subprocess import run

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strategies.core import indicators as ind
from strategies.tests.places import RECORDED, published, recorded, synthetic
from tradingbot.tests.places import DATA_DIR, NO_DATA

SPY = "spy_1d_skender_2017_2018.csv"
# 2018-11-01, the hour that closes at 06:00 UTC.
TIE = 10_524


def spy():
    return recorded(SPY)


def shifted(values):
    return np.concatenate([[np.nan], values[:-1]])


def between(closes, lower, _middle, upper):
    return (closes - lower) / (upper - lower)


def width(lower, middle, upper):
    return (upper - lower) / middle


def channel(c):
    high, low = ind.donchian_high(c.high, 20), ind.donchian_low(c.low, 20)
    return low, (low + high) / 2, high


PUBLISHED = {
    "rsi": (("rsi", "rsi"), 14, lambda c: ind.rsi_wilder(c.close, 14)),
    "sma": (("sma", "sma"), 19, lambda c: ind.sma(c.close, 20)),
    "ema": (("ema", "ema"), 19, lambda c: ind.ema(c.close, 20)),
    "bollinger lower": (("bb", "lowerBand"), 19, lambda c: ind.bollinger(c.close, 20, 2.0)[0]),
    "bollinger middle": (("bb", "sma"), 19, lambda c: ind.bollinger(c.close, 20, 2.0)[1]),
    "bollinger upper": (("bb", "upperBand"), 19, lambda c: ind.bollinger(c.close, 20, 2.0)[2]),
    "donchian high": (("donchian", "upperBand"), 20, lambda c: ind.donchian_high(c.high, 20)),
    "donchian low": (("donchian", "lowerBand"), 20, lambda c: ind.donchian_low(c.low, 20)),
    "donchian high with the current": (
        ("donchian", "upperBand"),
        20,
        lambda c: shifted(ind.donchian_high(c.high, 20, include_current=True)),
    ),
    "atr": (("atr", "atr"), 14, lambda c: ind.atr(c.high, c.low, c.close, 14)),
    "macd": (("macd", "macd"), 25, lambda c: ind.macd(c.close)[0]),
    "macd signal": (("macd", "signal"), 33, lambda c: ind.macd(c.close)[1]),
    "macd histogram": (("macd", "histogram"), 33, lambda c: ind.macd(c.close)[2]),
    "macd's fast mean": (("macd", "fastEma"), 11, lambda c: ind.ema(c.close, 12)),
    "macd's slow mean": (("macd", "slowEma"), 25, lambda c: ind.ema(c.close, 26)),
    "true range": (("atr", "tr"), 1, lambda c: ind.atr(c.high, c.low, c.close, 1)),
    "atr in percent": (("atr", "atrp"), 14, lambda c: 100 * ind.atr(c.high, c.low, c.close, 14) / c.close),
    "place between the bands": (("bb", "percentB"), 19, lambda c: between(c.close, *ind.bollinger(c.close, 20, 2.0))),
    "deviations from the mean": (
        ("bb", "zScore"),
        19,
        lambda c: 4 * between(c.close, *ind.bollinger(c.close, 20, 2.0)) - 2,
    ),
    "width of the bands": (("bb", "width"), 19, lambda c: width(*ind.bollinger(c.close, 20, 2.0))),
    "middle of donchian": (("donchian", "centerline"), 20, lambda c: channel(c)[1]),
    "width of donchian": (("donchian", "width"), 20, lambda c: width(*channel(c))),
    "vwap": (
        ("vwap", "vwap"),
        0,
        lambda c: ind.vwap_session_utc(np.zeros(len(c), np.int64), ind.typical_price(c.high, c.low, c.close), c.volume),
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_indicator_of_spy_equals_what_a_third_party_published(name):
    (file, field), first, compute = PUBLISHED[name]
    ours, theirs = compute(spy()), published(file, field)
    assert np.isnan(ours[:first]).all()
    np.testing.assert_allclose(ours[first:], theirs[first:], rtol=0, atol=1e-9)


def test_every_published_column_is_compared():
    if not DATA_DIR.is_dir():
        pytest.skip(NO_DATA)
    files = (DATA_DIR / "external" / "stock_indicators_spy").glob("*.standard.json")
    columns = {(f.name.split(".")[0], name) for f in files for name in json.loads(f.read_text())[-1]}
    assert {source for source, _, _ in PUBLISHED.values()} == {pair for pair in columns if pair[1] != "timestamp"}


def test_seed_rsi_without_enough_closes_is_neutral():
    assert ind.calculate_rsi([1.0] * 14, 14) == 50.0


def test_seed_rsi_without_losses_is_a_hundred():
    assert ind.calculate_rsi(list(range(15)), 14) == 100.0
    assert ind.calculate_rsi([5.0] * 15, 14) == 100.0


def test_seed_rsi_looks_at_the_last_period_only():
    assert ind.calculate_rsi([1, 900, 10, 12, 11], 2) == pytest.approx(100 * 2 / 3)


def test_seed_rsi_is_a_hair_under_thirty_where_the_exact_value_is_thirty():
    closes = recorded("btcusdt_1h_binance_2017-08_2019-12.csv").close
    assert ind.calculate_rsi(closes[: TIE + 1].tolist()) == 29.999999999999403
    assert ind.rsi_cutler(closes, 14)[TIE] == 30.0
    assert ind.rsi_cutler(closes[TIE - 14 : TIE + 1], 14)[-1] == 30.0


def test_cutler_of_single_ticks_at_a_high_price_is_exact():
    # 3 ticks up and 7 down; 60000.01 − 60000.00 is 0.010000000002 in floats.
    steps = [1, -1, -1, 1, -1, -1, 1, -1, -1, -1]
    closes = np.round(60_000 + np.concatenate([[0], np.cumsum(steps)]) * 0.01, 2)
    assert ind.rsi_cutler(closes, 10)[-1] == 30.0


def test_cutler_equals_the_seed_formula_on_recorded_closes():
    closes = recorded("btcusdt_1h_binance_2024-01_2024-04.csv").close
    ours = ind.rsi_cutler(closes, 14)
    naive = [ind.calculate_rsi(closes[: i + 1].tolist()) for i in range(14, len(closes))]
    assert np.isnan(ours[:14]).all()
    np.testing.assert_allclose(ours[14:], naive, rtol=0, atol=1e-8)


@pytest.mark.parametrize("rsi", [ind.rsi_cutler, ind.rsi_wilder])
def test_rsi_of_a_still_market_is_neutral(rsi):
    assert rsi(np.full(40, 123.45), 14)[14:].tolist() == [50.0] * 26


@pytest.mark.parametrize("rsi", [ind.rsi_cutler, ind.rsi_wilder])
def test_rsi_of_gains_alone_is_a_hundred_and_of_losses_alone_zero(rsi):
    rising = np.arange(1.0, 31.0)
    assert rsi(rising, 14)[14:].tolist() == [100.0] * 16
    assert rsi(rising[::-1].copy(), 14)[14:].tolist() == [0.0] * 16


@pytest.mark.parametrize("rsi", [ind.rsi_cutler, ind.rsi_wilder])
@pytest.mark.parametrize("count", [0, 1, 14])
def test_rsi_without_enough_closes_is_undefined(rsi, count):
    assert np.isnan(rsi(np.arange(count) + 1.0, 14)).tolist() == [True] * count


def test_wilder_is_neutral_until_the_first_move():
    closes = np.array([100.0] * 20 + [101.0, 100.5])
    values = ind.rsi_wilder(closes, 14)
    assert values[14:20].tolist() == [50.0] * 6
    assert values[20] == 100.0
    assert 0 < values[21] < 100


def test_wilder_forgets_after_ten_still_periods():
    moving = np.array([100.0, 101.0, 100.0, 99.0, 101.0])
    values = ind.rsi_wilder(np.concatenate([moving, np.full(40, 101.0)]), 3)
    assert values[4 + 29] == values[5] != 50.0
    assert values[4 + 30 :].tolist() == [50.0] * 11


def test_wilder_of_a_coin_worth_next_to_nothing_keeps_its_digits():
    closes = synthetic(600).close
    np.testing.assert_allclose(ind.rsi_wilder(closes * 1e-12, 14), ind.rsi_wilder(closes, 14), rtol=0, atol=1e-9)


@pytest.mark.parametrize("scale", [0.0, math.inf])
def test_cutler_of_worthless_or_endless_prices_does_not_fail(scale):
    with np.errstate(invalid="ignore"):
        assert len(ind.rsi_cutler(np.full(20, scale), 14)) == 20


WINDOWED = {
    "cutler": (15, lambda c: ind.rsi_cutler(c.close, 14)),
    "sma": (20, lambda c: ind.sma(c.close, 20)),
    "bollinger": (20, lambda c: ind.bollinger(c.close, 20, 2.0)[0]),
    "rolling vwap": (24, lambda c: ind.vwap_rolling(ind.typical_price(c.high, c.low, c.close), c.volume, 24)),
    "donchian": (21, lambda c: ind.donchian_high(c.high, 20)),
    "session vwap": (
        24,
        lambda c: ind.vwap_session_utc(c.opened_at, ind.typical_price(c.high, c.low, c.close), c.volume),
    ),
}


@pytest.mark.parametrize("name", WINDOWED)
def test_windowed_indicator_has_the_same_bits_on_any_stretch(name):
    width, compute = WINDOWED[name]
    candles = synthetic(3_000)
    whole = compute(candles)
    for end in range(width, 3_000, 41):
        assert compute(candles[end - width : end])[-1] == whole[end - 1]


REMEMBERING = {
    "wilder": (ind.wilder_warmup(14), lambda c: ind.rsi_wilder(c.close, 14)),
    "ema": (ind.ema_warmup(26), lambda c: ind.ema(c.close, 26)),
    "atr": (ind.wilder_warmup(14), lambda c: ind.atr(c.high, c.low, c.close, 14)),
}


@pytest.mark.parametrize("name", REMEMBERING)
def test_remembering_indicator_has_forgotten_its_start_after_the_warmup(name):
    warmup, compute = REMEMBERING[name]
    candles = synthetic(3_000)
    whole = compute(candles)
    for end in range(warmup, 3_000, 97):
        assert compute(candles[end - warmup : end])[-1] == pytest.approx(whole[end - 1], rel=1e-12)


def test_wilder_warmup_of_fourteen_is_about_five_hundred_and_twenty():
    assert ind.wilder_warmup(14) == 521
    assert ind.faded(1.0) == 1


def test_vwap_without_volume_is_undefined():
    times = np.arange(4, dtype=np.int64)
    prices, volumes = np.array([10.0, 20.0, 30.0, 40.0]), np.array([0.0, 0.0, 1.0, 3.0])
    session = ind.vwap_session_utc(times, prices, volumes)
    assert np.isnan(session[:2]).all()
    assert session[2:].tolist() == [30.0, 37.5]
    assert np.isnan(ind.vwap_rolling(prices, volumes, 2)[:2]).all()
    assert ind.vwap_rolling(prices, volumes, 2)[2:].tolist() == [30.0, 37.5]


def test_session_vwap_begins_anew_at_midnight_utc():
    times = np.array([ind.DAY_MS - 2, ind.DAY_MS - 1, ind.DAY_MS, ind.DAY_MS + 1], np.int64)
    prices = np.array([1.0, 3.0, 8.0, 10.0])
    assert ind.vwap_session_utc(times, prices, np.ones(4)).tolist() == [1.0, 2.0, 8.0, 9.0]
    assert len(ind.vwap_session_utc(times[:0], prices[:0], prices[:0])) == 0


def test_period_of_one_is_the_value_itself():
    values = np.array([3.0, 1.0, 2.0])
    assert ind.ema(values, 1).tolist() == ind.sma(values, 1).tolist() == [3.0, 1.0, 2.0]
    assert ind.donchian_high(values, 1, include_current=True).tolist() == [3.0, 1.0, 2.0]
    assert ind.donchian_low(values, 1)[1:].tolist() == [3.0, 1.0]


@pytest.mark.parametrize("compute", [ind.sma, ind.ema, ind.donchian_high, lambda v, p: ind.atr(v, v, v, p)])
def test_indicator_without_enough_candles_is_undefined(compute):
    values = compute(np.arange(5.0), 6)
    assert len(values) == 5
    assert np.isnan(values).all()


@given(st.lists(st.integers(1, 10**7), min_size=16, max_size=60), st.integers(2, 14))
def test_cutler_is_the_exact_fraction_for_any_ticks(ticks, period):
    closes = np.array(ticks) / 100
    changes = np.diff(ticks)[-period:].tolist()
    gained, moved = sum(c for c in changes if c > 0), sum(abs(c) for c in changes)
    assert ind.rsi_cutler(closes, period)[-1] == (100 * gained / moved if moved else 50.0)


def test_importing_the_indicators_pulls_neither_pandas_nor_django_in():
    code = (
        "import sys, strategies.core.indicators, strategies.library.registry as r; r.load();"
        "sys.exit(bool({'pandas', 'django', 'celery', 'ccxt', 'redis', 'ninja'} & set(sys.modules)))"
    )
    assert run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("file", RECORDED)
def test_supertrend_of_recorded_candles_turns_where_the_textbook_does(file):
    candles = recorded(file)
    _, rising, flipped = ind.supertrend(candles.opened_at, (candles.high, candles.low, candles.close), 10, 3.0)
    reach = 3.0 * ind.atr(candles.high, candles.low, candles.close, 10)
    middle = (candles.high + candles.low) / 2
    uppers, lowers, closes = (middle + reach).tolist(), (middle - reach).tolist(), candles.close.tolist()
    upper, lower, up, expected = uppers[10], lowers[10], False, [False] * 11
    for i in range(11, len(closes)):
        upper = uppers[i] if uppers[i] < upper or closes[i - 1] > upper else upper
        lower = lowers[i] if lowers[i] > lower or closes[i - 1] < lower else lower
        up = closes[i] >= lower if up else closes[i] > upper
        expected.append(up)
    assert rising.tolist() == expected
    assert flipped[11:].tolist() == (np.diff(np.array(expected[10:]).astype(int)) != 0).tolist()


def test_supertrend_of_one_candle_beyond_the_range_is_its_upper_stop():
    candles = synthetic(12)
    line, rising, flipped = ind.supertrend(candles.opened_at, (candles.high, candles.low, candles.close), 11, 3.0)
    assert np.isnan(line[:11]).all()
    assert line[11] > candles.close[11]
    assert not rising.any()
    assert not flipped.any()
