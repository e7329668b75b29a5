import numpy as np
import pytest

from strategies.core.indicators import calculate_rsi
from strategies.core.parameters import ParameterError
from strategies.library.rsi_cross import RSICrossStrategy
from strategies.tests.places import recorded, synthetic

EARLY = "btcusdt_1h_binance_2017-08_2019-12.csv"
FOUR_YEARS = "btcusdt_1h_binance_2020-01_2023-12.csv"
# Nine ticks up and four down in fourteen changes: 100 · 9/13.
SEED_EXAMPLE = [100, 101, 102, 101, 102, 103, 102, 103, 104, 103, 104, 105, 106, 105, 105]


def trades(signals):
    """(entry, exit) candles, flat first; an open trade has no exit."""
    found, position = [], 0
    while True:
        entries = np.flatnonzero(signals.entry[position:])
        if not len(entries):
            return found
        entry = position + int(entries[0])
        exits = np.flatnonzero(signals.exit[entry + 1 :])
        if not len(exits):
            return [*found, (entry, None)]
        found.append((entry, entry + 1 + int(exits[0])))
        position = found[-1][1] + 1


def closed(signals):
    # A signal on the last candle fills nowhere.
    return [trade for trade in trades(signals) if trade[1] is not None and trade[1] < len(signals) - 1]


def test_seed_usage_example_is_a_hold():
    assert round(calculate_rsi(SEED_EXAMPLE), 2) == 69.23
    assert calculate_rsi(SEED_EXAMPLE[:-1]) == 50.0
    verdict = RSICrossStrategy(rsi_period=14, oversold=30, overbought=70).execute({"closes": SEED_EXAMPLE}, {})
    assert verdict == {
        "signal": "HOLD",
        "confidence": 0.0,
        "reason": "Warming up: 15 of the 16 closed candles that a first opinion needs.",
    }


def test_first_opinion_comes_with_the_second_value():
    verdict = RSICrossStrategy().execute({"closes": [*SEED_EXAMPLE, 105]}, {})
    assert verdict["signal"] == "HOLD"
    assert verdict["reason"] == (
        "RSI(14, Cutler) is 66.67. To buy it must be under 30 on one closed candle and at or over 30 on the next."
    )


def test_float_noise_makes_no_trade_on_the_recorded_early_years():
    candles = recorded(EARLY)
    assert len(closed(RSICrossStrategy().signals(candles))) == 193
    naive = np.array([calculate_rsi(candles.close[max(0, i - 14) : i + 1].tolist()) for i in range(len(candles))])
    naive[:14] = np.nan
    fooled = RSICrossStrategy().signals(candles)
    fooled.entry[1:] = (naive[:-1] < 30) & (naive[1:] >= 30)
    fooled.exit[1:] = (naive[:-1] > 70) & (naive[1:] <= 70)
    assert len(closed(fooled)) == 194


@pytest.mark.parametrize(("method", "count"), [("cutler", 378), ("wilder", 126)])
def test_recorded_four_years_have_as_many_trades_as_the_references(method, count):
    assert len(closed(RSICrossStrategy(rsi_method=method).signals(recorded(FOUR_YEARS)))) == count


def test_buy_and_sell_follow_the_rule_on_every_candle():
    strategy = RSICrossStrategy(rsi_period=9, oversold=35, overbought=65)
    signals = strategy.signals(synthetic(2_000))
    rsi = signals.indicators["rsi"]
    assert signals.entry.sum() > 20
    assert signals.exit.sum() > 20
    for i in range(1, 2_000):
        assert signals.entry[i] == (rsi[i - 1] < 35 <= rsi[i])
        assert signals.exit[i] == (rsi[i - 1] > 65 >= rsi[i])
        assert signals.ready[i] == (i >= 10)
        if not (signals.entry[i] or signals.exit[i]):
            assert signals.confidence[i] == 0.0


def test_confidence_is_the_share_of_the_way_to_the_other_threshold():
    signals = RSICrossStrategy().signals(synthetic(2_000))
    rsi = signals.indicators["rsi"]
    bought, sold = np.flatnonzero(signals.entry), np.flatnonzero(signals.exit)
    np.testing.assert_allclose(signals.confidence[bought], (rsi[bought] - 30) / 40, atol=1e-6)
    np.testing.assert_allclose(signals.confidence[sold], (70 - rsi[sold]) / 40, atol=1e-6)


def test_reasons_carry_the_numbers():
    strategy, signals = RSICrossStrategy(), RSICrossStrategy().signals(synthetic(2_000))
    rsi = signals.indicators["rsi"]
    bought, sold = int(np.flatnonzero(signals.entry)[0]), int(np.flatnonzero(signals.exit)[0])
    assert strategy.reason(signals, bought, False) == (
        f"RSI(14, Cutler) rose from {rsi[bought - 1]:.2f} to {rsi[bought]:.2f}, crossing 30 upwards."
    )
    assert strategy.reason(signals, sold, True) == (
        f"RSI(14, Cutler) fell from {rsi[sold - 1]:.2f} to {rsi[sold]:.2f}, crossing 70 downwards."
    )
    assert strategy.reason(signals, bought, True) == (
        f"RSI(14, Cutler) is {rsi[bought]:.2f}. To sell it must be over 70 on one closed candle"
        " and at or under 70 on the next."
    )
    assert strategy.reason(signals, 3, False) == "Warming up: 4 of the 16 closed candles that a first opinion needs."


def test_warmup_depends_on_the_method():
    assert RSICrossStrategy().warmup == RSICrossStrategy().minimum == 16
    assert RSICrossStrategy(rsi_method="wilder").warmup == 521


@pytest.mark.parametrize("oversold", [70, 80.5])
def test_oversold_that_is_not_under_overbought_is_refused(oversold):
    with pytest.raises(ParameterError) as refused:
        RSICrossStrategy(oversold=oversold)
    assert refused.value.errors == {"oversold": f"Expected less than overbought (70), was {oversold}."}
