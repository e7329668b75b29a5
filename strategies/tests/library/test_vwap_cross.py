import numpy as np

from exchanges.core.candles import Candles
from strategies.library.vwap_cross import VWAPCrossStrategy
from strategies.tests.places import synthetic


def test_market_without_volume_says_why_nothing_happens():
    walk = synthetic(50)
    candles = Candles(walk.opened_at, walk.open, walk.high, walk.low, walk.close, np.zeros(50))
    signals = VWAPCrossStrategy().signals(candles)
    assert not signals.ready.any()
    assert VWAPCrossStrategy().reason(signals, -1, False) == "No volume yet to weigh prices with."


def test_warmup_covers_the_day_before_on_every_timeframe():
    session, rolling = VWAPCrossStrategy(), VWAPCrossStrategy("rolling", 30)
    assert (session.warmup, session.warmup_on(3_600_000), session.warmup_on(1_000)) == (1_441, 25, 86_401)
    assert (session.warmup_on(7 * 86_400_000), session.minimum) == (2, 2)
    assert (rolling.warmup, rolling.warmup_on(1_000), rolling.minimum) == (31, 31, 31)
