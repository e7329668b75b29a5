"""Where a strategy would have bought and sold on past candles: for a look, not for a result (no fees, no limits)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from exchanges.core.candles import Candles
from exchanges.core.decimals import from_float
from strategies.core.plan import Grid, Plan, Scaling
from strategies.core.preview_grid import Mark, worked
from strategies.core.rolling import Floats
from strategies.core.signals import Signals
from strategies.core.strategy import BaseStrategy

CALLED = {"stop_loss_pct": "stop-loss", "take_profit_pct": "target", "trailing_stop_pct": "trailing stop"}


@dataclass(frozen=True, slots=True, eq=False)
class Preview:
    """``columns`` are the strategy's indicators; ``entries`` and ``exits`` count candles where a rule held.

    ``levels`` are the lines of a grid, the lowest first.
    """

    candles: Candles
    marks: tuple[Mark, ...]
    columns: Mapping[str, Floats]
    entries: int
    exits: int
    warming_up: int
    levels: tuple[float, ...] = ()

    @property
    def bought(self) -> int:
        return sum(mark.entry for mark in self.marks)

    @property
    def sold(self) -> int:
        return len(self.marks) - self.bought


def preview(strategy: BaseStrategy, candles: Candles, shown: int) -> Preview:
    """The last ``shown`` candles; those before them only warm up."""
    signals = strategy.signals(candles)
    begin = max(0, len(candles) - shown)
    ready, grid = signals.ready[begin:], isinstance(signals.plan, Grid)
    walked = worked(signals, candles, begin) if grid else _walked(strategy, signals, candles, begin)
    return Preview(
        candles=candles[begin:],
        marks=tuple(walked),
        columns={name: values[begin:] for name, values in signals.indicators.items()},
        entries=int(np.count_nonzero(signals.entry[begin:] & ready)),
        exits=int(np.count_nonzero(signals.exit[begin:] & ready)),
        warming_up=int(np.count_nonzero(~ready)),
        levels=tuple(map(float, signals.plan.lines)) if isinstance(signals.plan, Grid) else (),
    )


@dataclass(slots=True)
class _Held:
    """``paid`` are the prices of the parts; equal money in each makes the average a harmonic one."""

    paid: list[float]
    peak: float

    @property
    def entry(self) -> float:
        return len(self.paid) / sum(1 / price for price in self.paid)


def _walked(strategy: BaseStrategy, signals: Signals, candles: Candles, begin: int) -> Iterator[Mark]:
    """Flat: only the entry rule; holding: a protection first, then the exit rule. Fills at the next candle's open."""
    guards = {name: float(text) / 100 for name, text in strategy.protections.items()}
    held: _Held | None = None
    for index in range(max(begin, 1), len(candles)):
        before, opened = index - 1, float(candles.open[index])
        if held is None:
            # A decision at the last candle before the window belongs to a position that nobody saw opened.
            if before >= begin and signals.ready[before] and signals.entry[before]:
                held = _Held([opened], opened)
                yield _bought(strategy, signals, before, begin, held, opened)
            continue
        if signals.exit[before]:
            held = None
            yield Mark(index - begin, False, opened, strategy.reason(signals, before, holding=True))
            continue
        if signals.entry[before] and _adds(signals.plan, held, opened):
            held.paid.append(opened)
            yield _bought(strategy, signals, before, begin, held, opened)
        price, name = _touched(held, guards, candles, index)
        held.peak = max(held.peak, float(candles.high[index]))
        if name:
            held = None
            yield Mark(index - begin, False, price, f"The price reached the {CALLED[name]}.")


def _adds(plan: Plan | None, held: _Held, opened: float) -> bool:
    """Whether one more stake is bought at this price."""
    if not isinstance(plan, Scaling) or len(held.paid) >= plan.stakes:
        return False
    return opened <= float(plan.highest(from_float(held.paid[-1])))


def _bought(
    strategy: BaseStrategy, signals: Signals, before: int, begin: int, held: _Held, price: float
) -> Mark:  # fmt: skip
    reason, count = strategy.reason(signals, before, holding=len(held.paid) > 1), len(held.paid)
    if not isinstance(signals.plan, Scaling):
        return Mark(before + 1 - begin, True, price, reason)
    return Mark(before + 1 - begin, True, price, f"Stake {count} of {signals.plan.stakes}. {reason}", count)


def _touched(held: _Held, guards: Mapping[str, float], candles: Candles, index: int) -> tuple[float, str]:
    """The price and name of the protection that this candle sets off, a stop before a target; no name: none."""
    opened, high, low = (float(column[index]) for column in (candles.open, candles.high, candles.low))
    for name, reference in (("stop_loss_pct", held.entry), ("trailing_stop_pct", held.peak)):
        if name in guards and low <= (line := reference * (1 - guards[name])):
            return min(line, opened), name
    if "take_profit_pct" in guards and high >= (line := held.entry * (1 + guards["take_profit_pct"])):
        return max(line, opened), "take_profit_pct"
    return 0.0, ""
