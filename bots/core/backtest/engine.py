"""The backtest: signals of past candles turned into trades by the execution model of docs/backtesting.md."""

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from bots.core.backtest import grid, judged, limit, plain
from bots.core.backtest.terms import Outcome, Terms
from bots.core.position import Position
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from strategies.core.plan import Grid
from strategies.core.signals import Signals
from strategies.core.strategy import BaseStrategy


class NoCandles(ValueError):
    """The range holds no candle; the message says what there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """The candles that count, and what the strategy says on them; ``read`` are those and their warm-up."""

    candles: Candles
    signals: Signals
    read: Candles


def window(
    candles: Candles,
    strategy: BaseStrategy,
    timeframe: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Window:
    """Signals are computed from a warm-up before ``since`` on, so that the first opinion in the range is a warm one."""
    end = len(candles) if until is None else int(np.searchsorted(candles.opened_at, to_ms(until)))
    start = 0 if since is None else int(np.searchsorted(candles.opened_at, to_ms(since)))
    if start >= end:
        raise NoCandles(_nothing(candles))
    cold = max(0, start - strategy.warmup_on(timeframe_ms(timeframe)))
    read = candles[cold:end]
    return Window(candles[start:end], signals_from(strategy.signals(read), start - cold), read)


def signals_from(signals: Signals, start: int) -> Signals:
    """The columns from that candle on."""
    if not start:
        return signals
    return replace(
        signals,
        entry=signals.entry[start:],
        exit=signals.exit[start:],
        ready=signals.ready[start:],
        confidence=signals.confidence[start:],
        indicators={name: column[start:] for name, column in signals.indicators.items()},
        said={(index - start, holding): text for (index, holding), text in signals.said.items() if index >= start},
    )


def run(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """A signal on a closed candle fills at the open of the next recorded one; protections inside candles; exact money.

    Equal to `bots.core.backtest.replay.replay` to the last digit.
    """
    if len(candles) < 2:
        return Outcome([], None, Position(), [])
    if isinstance(signals.plan, Grid):
        return grid.walk(candles, signals, terms)
    if terms.limits.entries_rest:
        return limit.walk(candles, signals, terms)
    if signals.plan is None and plain.is_plain(terms):
        try:
            return plain.walk(candles, signals, terms)
        except plain.Refusable:
            pass
    return judged.walk(candles, signals, terms)


def _nothing(candles: Candles) -> str:
    if not len(candles):
        return "Expected candles in the range, was none at all."
    first, last = (from_ms(int(ms)) for ms in (candles.opened_at[0], candles.opened_at[-1]))
    return f"Expected candles in the range; there are some from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC."
