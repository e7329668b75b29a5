"""Sweeps of strategies that work several orders: every set through the exact engine, as the float kernel knows none."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from bots.core.backtest import engine
from bots.core.backtest.terms import Terms
from bots.core.performance import Measured, day_ends, measure, returns_from
from bots.core.sweep.plan import ParameterSet
from bots.core.sweep.scores import COLUMNS, Scores
from exchanges.core.candles import Candles
from strategies.core.signals import Floats, Signals
from strategies.core.strategy import BaseStrategy

Bounds = tuple[int, int]


def evaluate(
    kind: type[BaseStrategy],
    sets: Sequence[ParameterSet],
    candles: Candles,
    terms: Terms,
    windows: Sequence[Bounds],
    told: Callable[[], None],
) -> list[Scores]:
    """As `bots.core.sweep.evaluation.evaluate`, at the price of a whole backtest per set and window."""
    rows: list[list[list[float]]] = [[] for _ in windows]
    for one in sets:
        told()
        signals = kind(**one.params).signals(candles)
        asked = replace(terms, limits=one.limits)
        for row, (start, stop) in zip(rows, windows, strict=True):
            row.append(_scored(candles[start:stop], _part(signals, start, stop), asked))
    return [Scores(*np.array(row, dtype=np.float64).reshape(-1, len(COLUMNS)).T) for row in rows]


def _part(signals: Signals, start: int, stop: int) -> Signals:
    inside = slice(start, stop)
    flags = {name: getattr(signals, name)[inside] for name in ("entry", "exit", "ready", "confidence")}
    return replace(signals, **flags, indicators={}, said={})


def _scored(candles: Candles, signals: Signals, terms: Terms) -> list[float]:
    made = measure(engine.run(candles, signals, terms), candles, terms)
    skew, kurtosis = _moments(made, candles, float(terms.capital))
    values = {name: getattr(made.stats, name, None) for name in COLUMNS} | {
        "skew_daily": skew,
        "kurtosis_daily": kurtosis,
    }
    return [np.nan if (value := values[name]) is None else float(value) for name in COLUMNS]


def _moments(made: Measured, candles: Candles, capital: float) -> tuple[float, float]:
    """(skew, kurtosis) of the daily returns; NaN where none differs."""
    daily: Floats = returns_from(made.steps.at(day_ends(candles.opened_at)), capital)
    off = daily - daily.mean()
    spread = float(np.sqrt(np.mean(off**2)))
    if spread <= 0:
        return np.nan, np.nan
    return float(np.mean(off**3)) / spread**3, float(np.mean(off**4)) / spread**4
