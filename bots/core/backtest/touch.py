"""When a stop, target or trailing stop is first touched inside a candle: found in windows, decided exactly."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from bots.core.backtest.stays import Ints
from bots.core.backtest.terms import Terms
from bots.core.codes import Code
from bots.core.limits import Limits
from bots.core.protection import Levels, break_even_armed_at, break_even_level, levels, reached
from exchanges.core.candles import Candles
from exchanges.core.decimals import from_float
from exchanges.core.slippage import BASIS_POINT
from strategies.core.signals import Flags, Floats

FIRST_WINDOW: Final = 128
GROWTH: Final = 4
#: Candles of a stretch that are looked at together with those of all others.
ROW: Final = 64
#: Room for the rounding of a float product; the candidates it adds are decided in decimals.
ROOM: Final = 1 + 1e-12
#: How often all candles may be looked at to find the stays that need no closer look.
PATIENCE: Final = 16


class Touch(NamedTuple):
    """``price`` is before slippage."""

    candle: int
    price: Decimal
    code: Code


def protects(limits: Limits) -> bool:
    closing = (limits.stop_loss_pct, limits.break_even_pct, limits.take_profit_pct, limits.trailing_stop_pct)
    return any(pct is not None for pct in closing)


def touched(at: Levels, opened: Decimal, high: Decimal, low: Decimal) -> tuple[Code, Decimal] | None:
    """What one candle does to a position: the way down comes before the way up, a gap fills at the open.

    Of a stop, a break-even stop and a trailing stop the highest one is met first.
    """
    floor = at.floor
    if floor is not None and low <= floor:
        price = min(opened, floor)
        return reached(at, price) or Code.STOP_LOSS, price
    if at.target is not None and high >= at.target:
        return Code.TAKE_PROFIT, max(opened, at.target)
    return None


def moves(limits: Limits) -> bool:
    """Whether a level depends on what came since the entry."""
    return limits.break_even_pct is not None or limits.trailing_stop_pct is not None


def watched_from(first: Ints, last: Ints, candles: Candles, terms: Terms) -> Ints:
    """Per stay in [first, last) the first candle that may touch a level, rather one too early; ``last`` for none.

    Where levels move, a stay that may touch one is watched from its first candle. Told by the range of a stay's
    candles; that costs the sum of the lengths, so where stays are long (and hence few) every one is looked at.
    """
    floors, ceilings = _fixed_levels(first, candles, terms)
    if int((last - first).sum()) > PATIENCE * len(candles):
        suspected: Flags = np.ones(len(first), np.bool_)
    else:
        suspected = _suspects(first, last, (floors, ceilings), candles, terms)
    if moves(terms.limits):
        return np.where(suspected, first, last)
    found, at = last.copy(), np.flatnonzero(suspected)
    found[at] = _first_within(first[at], last[at], (floors[at], ceilings[at]), candles)
    return found


def _fixed_levels(first: Ints, candles: Candles, terms: Terms) -> tuple[Floats, Floats]:
    """(stop, target) of a position bought at those opens, by a float's rounding and a tick too near."""
    limits, tick, bought = terms.limits, float(terms.market.price_tick), candles.open[first]
    floors, ceilings = np.full(len(first), -np.inf), np.full(len(first), np.inf)
    if limits.stop_loss_pct is not None:
        floors = _dearest(bought, terms) * _under(limits.stop_loss_pct)
    if limits.take_profit_pct is not None:
        ceilings = (bought * (1.0 + float(limits.take_profit_pct) / 100.0) - tick) / ROOM
    return floors, ceilings


def _dearest(bought: Floats, terms: Terms) -> Floats:
    if not terms.slippage_bps:
        return bought * ROOM
    return bought * (ROOM + float(terms.slippage_bps * BASIS_POINT)) + float(terms.market.price_tick)


def _suspects(first: Ints, last: Ints, fixed: tuple[Floats, Floats], candles: Candles, terms: Terms) -> Flags:
    count, limits = len(candles), terms.limits
    if not len(first):
        return np.zeros(0, np.bool_)
    pairs = np.empty(2 * len(first), dtype=np.intp)
    pairs[0::2], pairs[1::2] = first, np.minimum(last, count - 1)
    lows = np.minimum.reduceat(candles.low, pairs)[0::2]
    highs = np.maximum.reduceat(candles.high, pairs)[0::2]
    bought, tick = candles.open[first], float(terms.market.price_tick)
    # What ends with the last candle was cut short by one.
    suspected: Flags = (lows <= fixed[0]) | (highs >= fixed[1]) | (last == count)
    if limits.break_even_pct is not None:
        risen = highs * ROOM + tick >= bought * (1.0 + float(limits.break_even_pct) / 100.0)
        suspected |= risen & (lows <= _dearest(bought, terms) * _both_fees(terms) + tick)
    if limits.trailing_stop_pct is not None:
        suspected |= lows <= np.maximum(highs, _dearest(bought, terms)) * (_under(limits.trailing_stop_pct) * ROOM)
    return suspected


def _first_within(first: Ints, last: Ints, levels: tuple[Floats, Floats], candles: Candles) -> Ints:
    """Per stretch the first candle with low <= floor or high >= ceiling, its end for none; many stretches at once."""
    found, at, left = last.copy(), first.copy(), np.flatnonzero(first < last)
    floors, ceilings = (level[:, None] for level in levels)
    while len(left):
        ends = last[left, None]
        look = at[left, None] + np.arange(ROW)
        inside = np.minimum(look, ends - 1)
        hit = (candles.low[inside] <= floors[left]) | (candles.high[inside] >= ceilings[left])
        hit &= look < ends
        column = hit.argmax(axis=1)
        met = hit[np.arange(len(left)), column]
        found[left[met]] = (at[left] + column)[met]
        at[left] += ROW
        left = left[~met & (at[left] < last[left])]
    return found


def _both_fees(terms: Terms) -> float:
    return (1.0 + float(terms.fee)) / (1.0 - float(terms.fee))


def _under(pct: Decimal) -> float:
    return 1.0 - float(pct) / 100.0


class Guard:
    """Watches one position from its entry candle on, each candle once.

    Moving stops follow the highest price that is certain to have come before a candle's low: the entry price, the
    highs of the candles before, and the candle's own open. One more stake, bought at ``paid``, moves the entry price
    and forgets nothing of that.
    """

    __slots__ = (
        "armed_at",
        "ceiling",
        "cursor",
        "entry_price",
        "even",
        "fixed",
        "floor",
        "highest",
        "paid",
        "terms",
        "trail",
    )

    def __init__(
        self, entry: int, entry_price: Decimal, terms: Terms, paid: Decimal, before: "Guard | None" = None
    ) -> None:
        self.cursor = entry
        self.entry_price = entry_price
        self.terms = terms
        self.highest: float = before.highest if before is not None else 0.0
        self.paid: Decimal = max(paid, before.paid) if before is not None else paid
        self.fixed = levels(entry_price, None, terms.limits, terms.market)
        self.floor = None if self.fixed.stop is None else float(self.fixed.stop)
        self.ceiling = None if self.fixed.target is None else float(self.fixed.target)
        trailing = terms.limits.trailing_stop_pct
        self.trail = None if trailing is None else _under(trailing)
        even = terms.limits.break_even_pct
        self.armed_at = None if even is None else float(break_even_armed_at(entry_price, even, terms.market))
        self.even = 0.0 if even is None else float(break_even_level(entry_price, terms.market))

    def begin_after(self, candle: int, candles: Candles) -> None:
        """Entered inside that candle: of its prices only the close is certain to have come since."""
        self.highest = max(self.highest, float(candles.close[candle]))
        self.cursor = candle + 1

    def until(self, before: int, candles: Candles) -> Touch | None:
        """The first touch in the candles not yet watched and before that index."""
        size = FIRST_WINDOW
        while self.cursor < before:
            window = slice(self.cursor, min(self.cursor + size, before))
            for index in self._candidates(window, candles):
                self._pass(index, candles)
                touch = self._decide(index, candles)
                if touch is not None:
                    self._pass(index + 1, candles)
                    return touch
            self._pass(window.stop, candles)
            size *= GROWTH
        return None

    def at(self, index: int, candles: Candles) -> Touch | None:
        """What that candle alone touches, where no level moves."""
        return self._decide(index, candles)

    def _candidates(self, window: slice, candles: Candles) -> Iterator[int]:
        """Every candle that may touch a level: floats only, and rather one too many."""
        low = candles.low[window]
        flags: Flags = np.zeros(len(low), np.bool_)
        if self.floor is not None:
            flags |= low <= self.floor
        if self.trail is not None or self.armed_at is not None:
            tops = self._tops(window, candles)
            if self.trail is not None:
                flags |= low <= tops * (self.trail * ROOM)
            if self.armed_at is not None:
                flags |= (low <= self.even * ROOM) & (tops * ROOM >= self.armed_at)
        if self.ceiling is not None:
            flags |= candles.high[window] >= self.ceiling
        return (window.start + int(offset) for offset in np.flatnonzero(flags))

    def _tops(self, window: slice, candles: Candles) -> Floats:
        tops = np.empty(window.stop - window.start)
        tops[0] = max(self.highest, float(self.paid))
        tops[1:] = candles.high[window.start : window.stop - 1]
        np.maximum.accumulate(tops, out=tops)
        return np.maximum(tops, candles.open[window], out=tops)

    def _pass(self, index: int, candles: Candles) -> None:
        """All candles before the index are over: their highs count."""
        if index > self.cursor and (self.trail is not None or self.armed_at is not None):
            self.highest = max(self.highest, float(candles.high[self.cursor : index].max()))
        self.cursor = index

    def _decide(self, index: int, candles: Candles) -> Touch | None:
        opened = from_float(candles.open[index])
        found = touched(self._levels(opened), opened, from_float(candles.high[index]), from_float(candles.low[index]))
        return None if found is None else Touch(index, found[1], found[0])

    def _levels(self, opened: Decimal) -> Levels:
        if self.trail is None and self.armed_at is None:
            return self.fixed
        peak = max(self.paid, opened, from_float(self.highest))
        return levels(self.entry_price, peak, self.terms.limits, self.terms.market)
