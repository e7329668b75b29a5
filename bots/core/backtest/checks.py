"""Whether a result can be believed: look-ahead, warm-up, fills that are worse than hoped, and the luck of the order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

import numpy as np

from bots.core.backtest import engine
from bots.core.backtest.montecarlo import MonteCarlo, monte_carlo
from bots.core.backtest.terms import Terms
from bots.core.performance import account_returns_pct, measure
from exchanges.core.candles import Candles, from_ms, timeframe_ms
from strategies.core.crossing import DECIMALS
from strategies.core.signals import Flags, Signals
from strategies.core.strategy import BaseStrategy

#: Candles that are looked at again; those with a signal first, since these make trades.
LOOKS: Final = 200
#: Assumed where the request names no slippage: five hundredths of a percent.
USUAL_SLIPPAGE_BPS: Final = Decimal(5)
SLIPPAGE_FACTORS: Final = (1, 2, 4)


@dataclass(frozen=True, slots=True)
class Difference:
    """A candle on which a window of history says something else than all of it."""

    candle_opened_at: str
    what: str


@dataclass(frozen=True, slots=True)
class LookCheck:
    """``candles`` were looked at again; every difference is a flaw of the strategy."""

    candles: int
    differing: int
    examples: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        return not self.differing


@dataclass(frozen=True, slots=True)
class WarmupRow:
    """Opinions from only the last ``window`` candles against those from all of history."""

    window: int
    differing: int
    largest_indicator_difference: float


@dataclass(frozen=True, slots=True)
class FillRow:
    """The result when fills are worse: ``slippage_bps`` against every fill, ``delay`` candles later."""

    name: str
    slippage_bps: Decimal
    delay: int
    return_pct: float
    closed_trades: int
    max_drawdown_pct: float


@dataclass(frozen=True, slots=True)
class Checked:
    lookahead: LookCheck
    warmup: tuple[WarmupRow, ...]
    warmup_candles: int
    fills: tuple[FillRow, ...]
    monte_carlo: MonteCarlo | None

    @property
    def passed(self) -> bool:
        """No look-ahead, and the strategy's own warm-up is long enough."""
        stated = [row for row in self.warmup if row.window == self.warmup_candles]
        return self.lookahead.passed and not any(row.differing for row in stated)


def check(
    strategy: BaseStrategy, candles: Candles, timeframe: str, terms: Terms, *, runs: int = 1000, seed: int = 1
) -> Checked:
    signals = strategy.signals(candles)
    looked = looks(signals, seed)
    warmup = strategy.warmup_on(timeframe_ms(timeframe))
    outcome = engine.run(candles, signals, terms)
    returns = account_returns_pct(outcome, measure(outcome, candles, terms), terms)
    return Checked(
        lookahead(strategy, candles, signals, looked),
        tuple(warmup_rows(strategy, candles, signals, looked, warmup)),
        warmup,
        tuple(fill_rows(candles, signals, terms)),
        monte_carlo(returns, runs, seed),
    )


def looks(signals: Signals, seed: int = 1, most: int = LOOKS) -> list[int]:
    """Half of them candles with a signal, the rest any others; by the seed."""
    random = np.random.default_rng(seed)
    speaking = np.flatnonzero(signals.entry | signals.exit)
    picked = random.choice(speaking, min(len(speaking), most // 2), replace=False) if len(speaking) else speaking
    others = random.choice(len(signals), min(len(signals), most - len(picked)), replace=False)
    return sorted({*picked.tolist(), *others.tolist()})


def lookahead(strategy: BaseStrategy, candles: Candles, signals: Signals, looked: Sequence[int]) -> LookCheck:
    """Truncation: what the strategy said on a candle must not change when later candles are known."""
    found = []
    for index in looked:
        what = difference(strategy.signals(candles[: index + 1]), signals, index)
        if what:
            found.append(Difference(from_ms(int(candles.opened_at[index])).isoformat(), what))
    return LookCheck(len(looked), len(found), tuple(found[:5]))


def difference(part: Signals, whole: Signals, index: int) -> str:
    """How the last opinion of a part differs from the whole's at that candle; empty when it does not."""
    for name in ("entry", "exit", "ready"):
        alone, among = bool(getattr(part, name)[-1]), bool(getattr(whole, name)[index])
        if alone != among:
            return f"{name} is {alone} on the candles up to this one and {among} with the later ones"
    for name, column in whole.indicators.items():
        alone_, among_ = float(part.indicators[name][-1]), float(column[index])
        if not same(alone_, among_):
            return f"{name} is {alone_} on the candles up to this one and {among_} with the later ones"
    return ""


def same(one: float, other: float) -> bool:
    return one == other or (one != one and other != other) or round(one - other, DECIMALS) == 0


def warmup_rows(
    strategy: BaseStrategy, candles: Candles, signals: Signals, looked: Sequence[int], warmup: int
) -> Iterator[WarmupRow]:
    """Recursive analysis: opinions from ever longer windows; from the stated warm-up on none may differ."""
    for window in sorted({max(1, warmup // 4), max(1, warmup // 2), warmup, warmup * 2}):
        differing, largest = 0, 0.0
        for index in (index for index in looked if index + 1 >= window):
            part = strategy.signals(candles[index + 1 - window : index + 1])
            differing += bool(difference(part, signals, index))
            largest = max(largest, _largest_difference(part, signals, index))
        yield WarmupRow(window, differing, largest)


def _largest_difference(part: Signals, whole: Signals, index: int) -> float:
    gaps = [abs(float(part.indicators[name][-1]) - float(whole.indicators[name][index])) for name in whole.indicators]
    return max((gap for gap in gaps if gap == gap), default=0.0)


def fill_rows(candles: Candles, signals: Signals, terms: Terms) -> Iterator[FillRow]:
    base = terms.slippage_bps or USUAL_SLIPPAGE_BPS
    cases: list[tuple[str, Decimal, int]] = [("as asked", terms.slippage_bps, 0)]
    cases += [(f"slippage × {factor}", base * factor, 0) for factor in SLIPPAGE_FACTORS]
    cases.append(("one candle later", terms.slippage_bps, 1))
    for name, slippage, delay in cases:
        asked = replace(terms, slippage_bps=slippage)
        outcome = engine.run(candles, delayed(signals, delay), asked)
        stats = measure(outcome, candles, asked).stats
        yield FillRow(name, slippage, delay, stats.return_pct, stats.closed_trades, stats.max_drawdown_pct)


def delayed(signals: Signals, candles: int) -> Signals:
    """The same opinions, heard that many candles late."""
    if not candles:
        return signals
    shifted = {name: _shifted(getattr(signals, name), candles) for name in ("entry", "exit", "ready")}
    return replace(signals, **shifted)


def _shifted(flags: Flags, by: int) -> Any:
    return np.concatenate([np.zeros(min(by, len(flags)), np.bool_), flags[:-by]])
