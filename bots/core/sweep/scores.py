"""The figures of the report for many paths at once, in float64 columns: one number per set, NaN where undefined."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from bots.core.backtest.stays import Ints
from bots.core.equity_steps import BLOCK
from bots.core.performance import DAYS_A_YEAR, NOISE
from bots.core.sweep.kernel import Kernel, Path
from strategies.core.signals import Floats

#: Sets scored together: enough to forget numpy's overhead, few enough to stay small.
TOGETHER: Final = 256


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Columns as long as there are sets, named as in the report; the last two are for the deflated Sharpe ratio."""

    return_pct: Floats
    closed_trades: Floats
    winning_trades: Floats
    win_rate_pct: Floats
    profit_factor: Floats
    avg_trade_return_pct: Floats
    exposure_pct: Floats
    sharpe_daily_365: Floats
    sortino_daily_365: Floats
    max_drawdown_pct: Floats
    skew_daily: Floats
    kurtosis_daily: Floats

    def __len__(self) -> int:
        return len(self.return_pct)

    def row(self, index: int) -> dict[str, float | None]:
        values = {name: float(getattr(self, name)[index]) for name in COLUMNS}
        return {name: value if np.isfinite(value) else None for name, value in values.items()}


COLUMNS: Final = tuple(field.name for field in fields(Scores))


def joined(parts: Sequence[Scores]) -> Scores:
    return Scores(*(np.concatenate([getattr(part, name) for part in parts]) for name in COLUMNS))


def scores(kernel: Kernel, paths: Sequence[Path], *, drawdown: bool = False) -> Scores:
    """``drawdown`` looks at every candle of every path, which costs more than all the rest."""
    batch = _Batch(kernel, paths)
    with np.errstate(divide="ignore", invalid="ignore"):
        return batch.scores(np.array([batch.drawdown(i) if drawdown else np.nan for i in range(len(paths))]))


def daily_returns(kernel: Kernel, path: Path) -> Floats:
    """Of the equity at the last candle of each UTC day, the first against the initial cash."""
    returns: Floats = _Batch(kernel, [path]).daily()[0]
    return returns


class _Batch:
    """The stays of all paths one after the other; ``starts`` is where each path's begin, one more for the end."""

    def __init__(self, kernel: Kernel, paths: Sequence[Path]) -> None:
        self.kernel = kernel
        self.starts = np.concatenate([[0], np.cumsum([len(path.entry) for path in paths], dtype=np.int64)])
        self.entry: Ints = np.concatenate([path.entry for path in paths])
        self.exit: Ints = np.concatenate([path.exit for path in paths])
        self.entry_price: Floats = np.concatenate([path.entry_price for path in paths])
        self.closed = self.exit < kernel.count
        self.ratio: Floats = np.concatenate([path.exit_price for path in paths]) / self.entry_price
        self.growth = self.ratio * ((1 - kernel.fee) / (1 + kernel.fee))
        self.growth[~self.closed] = 1.0
        # In shares of the capital: what was there before each stay, what it bought, what was left beside it.
        capital = kernel.purse.capital
        self.before: Floats = np.concatenate([path.cash for path in paths]) / capital
        self.amount: Floats = np.concatenate([path.amount for path in paths]) / capital
        paid = self.amount * self.entry_price * (1 + kernel.fee)
        self.left = self.before - paid
        self.pnl = np.where(self.closed, paid * (self.growth - 1.0), 0.0)
        self.after = np.where(self.closed, self.before + self.pnl, self.left)
        self.owner = np.repeat(np.arange(len(paths)), np.diff(self.starts))

    def scores(self, drawdowns: Floats) -> Scores:
        won, lost = self._sum(np.maximum(self.pnl, 0.0)), -self._sum(np.minimum(self.pnl, 0.0))
        trades, wins = self._sum(self.closed), self._sum(self.growth > 1.0)
        fee = self.kernel.fee
        returns = np.where(self.closed, (self.ratio - 1) - fee * (1 + self.ratio), 0.0)
        daily = self.daily()
        mean, deviation, off = _moments(daily)
        under = np.sqrt(np.mean(np.minimum(daily, 0.0) ** 2, axis=1))
        spread = np.sqrt(np.mean(off**2, axis=1))
        return Scores(
            return_pct=100 * (self._final() - 1),
            closed_trades=trades,
            winning_trades=wins,
            win_rate_pct=_ratio(100 * wins, trades),
            profit_factor=_ratio(won, lost),
            avg_trade_return_pct=_ratio(100 * self._sum(returns), trades),
            exposure_pct=100 * self._sum(self.exit - self.entry) / self.kernel.count,
            sharpe_daily_365=_ratio(mean * DAYS_A_YEAR**0.5, deviation, NOISE),
            sortino_daily_365=_ratio(mean * DAYS_A_YEAR**0.5, under, NOISE),
            max_drawdown_pct=drawdowns,
            skew_daily=_ratio(np.mean(off**3, axis=1), spread**3),
            kurtosis_daily=_ratio(np.mean(off**4, axis=1), spread**4),
        )

    def _sum(self, values: npt.NDArray[np.generic]) -> Floats:
        """Per path."""
        total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
        sums: Floats = total[self.starts[1:]] - total[self.starts[:-1]]
        return sums

    def _final(self) -> Floats:
        """Of each path what its last stay left, at the last close where that stay is open."""
        final = np.ones(len(self.starts) - 1)
        some = np.flatnonzero(np.diff(self.starts))
        last = self.starts[some + 1] - 1
        worth = np.where(self.closed[last], 0.0, self.amount[last] * self.kernel.candles.close[-1])
        final[some] = self.after[last] + worth
        return final

    def daily(self) -> Floats:
        """Paths × days: returns of the equity at each UTC day's last candle, the first against the initial cash."""
        paths, days = len(self.starts) - 1, self.kernel.days
        keys = self.owner * self.kernel.count + self.entry
        asked = (np.arange(paths)[:, None] * self.kernel.count + days).ravel()
        last = np.searchsorted(keys, asked, side="right") - 1
        equity = self._equity(np.repeat(np.arange(paths), len(days)), last, np.tile(days, paths)).reshape(paths, -1)
        changes: Floats = equity / np.concatenate([np.ones((paths, 1)), equity[:, :-1]], axis=1)
        changes -= 1.0
        return changes

    def _equity(self, owner: Ints, last: Ints, at: Ints) -> Floats:
        """Equity of a path at candles; ``last`` is its latest stay begun, one before its start for none."""
        if not len(self.entry):
            return np.ones(len(at))
        begun = last >= self.starts[owner]
        stay = np.maximum(last, 0)
        held = begun & (at < self.exit[stay])
        marked = self.left[stay] + self.amount[stay] * self.kernel.candles.close[at]
        return np.where(held, marked, np.where(begun, self.after[stay], 1.0))

    def drawdown(self, path: int) -> float:
        """Over every candle's close, in blocks that fit the processor's cache."""
        start, stop = self.starts[path], self.starts[path + 1]
        deepest, peak = 0.0, 1.0
        for first in range(0, self.kernel.count, BLOCK):
            at = np.arange(first, min(first + BLOCK, self.kernel.count))
            last = start + np.searchsorted(self.entry[start:stop], at, side="right") - 1
            equity = self._equity(np.full(len(at), path), last, at)
            peaks = np.maximum(np.maximum.accumulate(equity), peak)
            deepest = max(deepest, float((1 - equity / peaks).max()))
            peak = float(peaks[-1])
        return 100 * deepest


def _moments(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """(mean, standard deviation with ddof 1, distances from the mean) per row; NaN deviation of a single value."""
    count = rows.shape[1]
    mean = rows.mean(axis=1)
    off = rows - mean[:, None]
    squares = np.sum(off**2, axis=1)
    return mean, np.sqrt(squares / (count - 1)) if count > 1 else np.full(len(rows), np.nan), off


def _ratio(part: Floats, whole: Floats, nothing: float = 0.0) -> Floats:
    """NaN where there is no whole, or none but ``nothing``."""
    return np.where(whole > nothing, part / np.where(whole > nothing, whole, 1.0), np.nan)
