"""Where the entries and exits of many parameter sets are, computing once what several sets share."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from bots.core.backtest.stays import Ints, fillable
from exchanges.core.candles import Candles
from strategies.core.crossing import rounded
from strategies.core.indicators import rsi_cutler, rsi_wilder
from strategies.core.parameters import Value
from strategies.core.signals import Floats
from strategies.core.strategy import BaseStrategy
from strategies.library.rsi_cross import RSICrossStrategy

Params = Mapping[str, Value]
#: Closed candles on which the entry rule holds, and those on which the exit rule does; never the last candle.
Events = tuple[Ints, Ints]


def events_of(kind: type[BaseStrategy], candles: Candles, sets: Iterable[Params]) -> Iterator[Events]:
    """In the order of the sets, which should vary what is dearest to compute most slowly."""
    shared = SHARED.get(kind)
    if shared is not None and len(candles) > 1:
        return shared(candles, sets)
    return (_asked(kind(**params), candles) for params in sets)


def _asked(strategy: BaseStrategy, candles: Candles) -> Events:
    signals = strategy.signals(candles)
    return fillable(signals.entry, signals.ready), fillable(signals.exit, signals.ready)


def _rsi_events(candles: Candles, sets: Iterable[Params]) -> Iterator[Events]:
    """One RSI per period and method, one search per level: `RSICrossStrategy.signals` without its columns."""
    computed: tuple[Any, Any] | None = None
    ups: dict[float, Ints] = {}
    downs: dict[float, Ints] = {}
    before = after = np.zeros(0)
    for params in sets:
        wanted = (params["rsi_method"], params["rsi_period"])
        if wanted != computed:
            computed, ups, downs = wanted, {}, {}
            before, after = _neighbors(candles.close, *wanted)
        low, high = float(params["oversold"]), float(params["overbought"])
        if low not in ups:
            ups[low] = np.flatnonzero((before < low) & (after >= low)) + 1
        if high not in downs:
            downs[high] = np.flatnonzero((before > high) & (after <= high)) + 1
        yield ups[low], downs[high]


def _neighbors(closes: Floats, method: Any, period: Any) -> tuple[Floats, Floats]:
    """Each RSI and the next one, up to the last but one candle; what is undefined crosses nothing."""
    compute = rsi_cutler if method == "cutler" else rsi_wilder
    rsi = rounded(compute(closes, int(period)))[:-1]
    return rsi[:-1], rsi[1:]


SHARED: dict[type[BaseStrategy], Callable[[Candles, Iterable[Params]], Iterator[Events]]] = {
    RSICrossStrategy: _rsi_events,
}
