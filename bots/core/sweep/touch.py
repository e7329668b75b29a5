"""The first touch of a stop, target or trailing stop after every entry candle, found once for all parameter sets."""

from typing import Final

import numpy as np

from bots.core.backtest.stays import Ints
from bots.core.limits import Limits
from bots.core.sweep.rounding import Ticks
from exchanges.core.candles import Candles
from strategies.core.signals import Flags, Floats

WIDTH: Final = 64
ROWS: Final = 2_048
#: By which a break-even level is over the price that pays for both fees, where no tick rounds it up.
ROOM: Final = 1 + 1e-12
UNKNOWN: Final = -1


class TouchTable:
    """Levels are `bots.core.backtest.touch`'s, in float."""

    def __init__(self, candles: Candles, bought: Floats, limits: Limits, ticks: Ticks, fee: float = 0.0) -> None:
        self.candles, self.bought, self.ticks = candles, bought, ticks
        self.count = len(candles)
        self.under = _factor(limits.stop_loss_pct, -1)
        self.over = _factor(limits.take_profit_pct, 1)
        self.trail = _factor(limits.trailing_stop_pct, -1)
        self.even = (1.0 + fee) / (1.0 - fee)
        self.rise = _factor(limits.break_even_pct, 1)
        self.active = (self.under, self.over, self.trail, self.rise) != (None, None, None, None)
        if self.active:
            self.known: Ints = np.full(self.count, UNKNOWN, dtype=np.int64)
            self.blocks = _Blocks(candles)

    def first(self, entries: Ints) -> Ints:
        """Per entry candle the first candle that touches a level, the candles' count for none; only when active."""
        fresh = entries[self.known[entries] == UNKNOWN]
        if len(fresh):
            self.known[fresh] = self._fixed(fresh)
            if self.rise is not None:
                self.known[fresh] = np.minimum(self.known[fresh], self._after_arming(fresh))
            if self.trail is not None:
                self.known[fresh] = np.minimum(self.known[fresh], self._trailing(fresh, self.known[fresh]))
        return self.known[entries]

    def _fixed(self, entries: Ints) -> Ints:
        if self.under is None and self.over is None:
            return np.full(len(entries), self.count, dtype=np.int64)
        bought = self.bought[entries]
        return self._search(entries, self._stops(bought), self._targets(bought))

    def _stops(self, bought: Floats) -> Floats:
        return np.full(len(bought), -np.inf) if self.under is None else self.ticks.down(bought * self.under)

    def _targets(self, bought: Floats) -> Floats:
        return np.full(len(bought), np.inf) if self.over is None else self.ticks.down(bought * self.over)

    def _evens(self, bought: Floats) -> Floats:
        """Rounded up, as the exact level is: a break-even stop that pays for its fees is no loss."""
        return self.ticks.up(bought * self.even) * (ROOM if self.ticks.plain and self.even > 1 else 1.0)

    def _search(self, starts: Ints, floors: Floats, ceilings: Floats) -> Ints:
        parts = [
            self.blocks.first(starts[at : at + ROWS], floors[at : at + ROWS], ceilings[at : at + ROWS])
            for at in range(0, len(starts), ROWS)
        ]
        return np.concatenate(parts) if parts else starts

    def _armed_from(self, entries: Ints) -> Ints:
        """The first candle whose low meets the break-even stop: the one that opens high enough, or follows a high."""
        bought = self.bought[entries]
        asked = np.maximum(self.ticks.nearest(bought * (self.rise or 1.0)), self._evens(bought))
        risen = self._search(entries, np.full(len(entries), -np.inf), asked)
        known = np.minimum(risen, self.count - 1)
        return np.where((risen < self.count) & (self.candles.open[known] < asked), risen + 1, risen)

    def _after_arming(self, entries: Ints) -> Ints:
        armed = self._armed_from(entries)
        found: Ints = np.full(len(entries), self.count, dtype=np.int64)
        inside = armed < self.count
        if inside.any():
            floors = self._evens(self.bought[entries[inside]])
            found[inside] = self._search(armed[inside], floors, np.full(len(floors), np.inf))
        return found

    def _trailing(self, entries: Ints, before: Ints) -> Ints:
        found = [self._trailing_one(entry, end) for entry, end in zip(entries.tolist(), before.tolist(), strict=True)]
        return np.array(found, dtype=np.int64)

    def _trailing_one(self, entry: int, end: int) -> int:
        size, at, highest = WIDTH, entry, float(self.bought[entry])
        while at < end:
            stop = min(at + size, end)
            tops = self._tops(at, stop, highest)
            hits = np.flatnonzero(self.candles.low[at:stop] <= self.ticks.down(tops * (self.trail or 1.0)))
            if len(hits):
                return at + int(hits[0])
            highest = max(highest, float(self.candles.high[at:stop].max()))
            at, size = stop, size * 4
        return self.count

    def _tops(self, start: int, stop: int, highest: float) -> Floats:
        """What is certain to have come before each candle's low: the highs before it and its own open."""
        tops = np.empty(stop - start)
        tops[0] = highest
        tops[1:] = self.candles.high[start : stop - 1]
        np.maximum.accumulate(tops, out=tops)
        return np.maximum(tops, self.candles.open[start:stop], out=tops)

    def prices(self, entries: Ints, exits: Ints) -> Floats:
        """What was paid where a level was touched: the way down comes first, a gap fills at the open."""
        opened, low = self.candles.open[exits], self.candles.low[exits]
        bought = self.bought[entries]
        floors = self._stops(bought)
        if self.rise is not None:
            armed = self._armed_from(entries) <= exits
            floors = np.where(armed, np.maximum(floors, self._evens(bought)), floors)
        if self.trail is not None:
            tops = np.array(
                [
                    max(
                        float(price),
                        float(self.candles.high[entry:end].max(initial=0.0)),
                        float(self.candles.open[end]),
                    )
                    for price, entry, end in zip(bought, entries.tolist(), exits.tolist(), strict=True)
                ]
            )
            floors = np.maximum(floors, self.ticks.down(tops * self.trail))
        fallen: Flags = low <= floors
        risen = np.maximum(opened, bought if self.over is None else self._targets(bought))
        return np.where(fallen, np.minimum(opened, floors), risen)


class _Blocks:
    """Lowest low and highest high of every stretch of 64 · 2ᵏ candles, so that long quiet stretches cost nothing."""

    def __init__(self, candles: Candles) -> None:
        self.count = len(candles)
        rows = -(-self.count // WIDTH)
        self.lows = np.full((rows, WIDTH), np.inf)
        self.highs = np.full((rows, WIDTH), -np.inf)
        self.lows.ravel()[: self.count] = candles.low
        self.highs.ravel()[: self.count] = candles.high
        self.least, self.most = [self.lows.min(axis=1)], [self.highs.max(axis=1)]
        size = 1
        while size * 2 <= rows:
            self.least.append(np.minimum(self.least[-1][:-size], self.least[-1][size:]))
            self.most.append(np.maximum(self.most[-1][:-size], self.most[-1][size:]))
            size *= 2

    def first(self, starts: Ints, floors: Floats, ceilings: Floats) -> Ints:
        """Per start the first candle at or after it with low <= floor or high >= ceiling, else the count."""
        row = starts // WIDTH
        found = self._in_row(row, starts % WIDTH, floors, ceilings)
        open_ = np.flatnonzero(found < 0)
        if len(open_):
            later = self._next_row(row[open_] + 1, floors[open_], ceilings[open_])
            inside = later < len(self.lows)
            found[open_] = self.count
            hit = open_[inside]
            found[hit] = self._in_row(later[inside], np.zeros(len(hit), dtype=np.int64), floors[hit], ceilings[hit])
        return found

    def _in_row(self, row: Ints, offset: Ints, floors: Floats, ceilings: Floats) -> Ints:
        flags = (self.lows[row] <= floors[:, None]) | (self.highs[row] >= ceilings[:, None])
        flags &= np.arange(WIDTH) >= offset[:, None]
        column = flags.argmax(axis=1)
        return np.where(flags[np.arange(len(row)), column], row * WIDTH + column, UNKNOWN)

    def _next_row(self, row: Ints, floors: Floats, ceilings: Floats) -> Ints:
        """The first row at or after that one in which something touches, by strides that halve."""
        row = row.copy()
        for level in range(len(self.least) - 1, -1, -1):
            least, most, stride = self.least[level], self.most[level], 1 << level
            # A stride that fits several times is taken as often as it is quiet.
            while True:
                fits = row + stride <= len(self.lows)
                at = np.minimum(row, len(least) - 1)
                quiet = fits & (least[at] > floors) & (most[at] < ceilings)
                if not quiet.any():
                    break
                row[quiet] += stride
        return row


def _factor(pct: object, sign: int) -> float | None:
    return None if pct is None else 1.0 + sign * float(str(pct)) / 100.0
