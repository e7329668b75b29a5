"""When a stop, target or trailing stop is first touched inside a candle: found in windows, decided exactly."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from bots.core.backtest_terms import Terms
from bots.core.codes import Code
from bots.core.kernel_stays import Ints
from bots.core.limits import Limits
from bots.core.protection import Levels, break_even_armed_at, break_even_level, levels, reached
from exchanges.core.candles import Candles
from exchanges.core.decimals import from_float
from exchanges.core.slippage import BASIS_POINT
from strategies.core.signals import Flags, Floats

FIRST_WINDOW: Final = 128
GROWTH: Final = 4
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


def suspects(first: Ints, last: Ints, candles: Candles, terms: Terms) -> list[bool]:
    """Whether a level may be touched in [first, last): by the range of those candles, rather one too many.

    Costs the sum of the lengths, so where stays are long (and hence few) every one is suspected.
    """
    count = len(candles)
    if not len(first) or int((last - first).sum()) > PATIENCE * count:
        return [True] * len(first)
    pairs = np.empty(2 * len(first), dtype=np.intp)
    pairs[0::2], pairs[1::2] = first, np.minimum(last, count - 1)
    lows = np.minimum.reduceat(candles.low, pairs)[0::2]
    highs = np.maximum.reduceat(candles.high, pairs)[0::2]
    bought = candles.open[first]
    tick, limits = float(terms.market.price_tick), terms.limits
    bought = candles.open[first]
    dearest = bought * (ROOM + float(terms.slippage_bps * BASIS_POINT)) + tick
    # What ends with the last candle was cut short by one.
    suspected: Flags = last == count
    if limits.stop_loss_pct is not None:
        suspected |= lows <= dearest * _under(limits.stop_loss_pct)
    if limits.take_profit_pct is not None:
        suspected |= highs * ROOM + tick >= bought * (1.0 + float(limits.take_profit_pct) / 100.0)
    if limits.break_even_pct is not None:
        risen = highs * ROOM + tick >= bought * (1.0 + float(limits.break_even_pct) / 100.0)
        suspected |= risen & (lows <= dearest * _both_fees(terms) + tick)
    if limits.trailing_stop_pct is not None:
        suspected |= lows <= np.maximum(highs, dearest) * (_under(limits.trailing_stop_pct) * ROOM)
    return list(suspected.tolist())


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

    __slots__ = ("armed_at", "ceiling", "cursor", "entry_price", "even", "floor", "highest", "paid", "terms", "trail")

    def __init__(
        self, entry: int, entry_price: Decimal, terms: Terms, paid: Decimal, before: "Guard | None" = None
    ) -> None:
        self.cursor = entry
        self.entry_price = entry_price
        self.terms = terms
        self.highest: float = before.highest if before is not None else 0.0
        self.paid: Decimal = max(paid, before.paid) if before is not None else paid
        fixed = levels(entry_price, None, terms.limits, terms.market)
        self.floor = None if fixed.stop is None else float(fixed.stop)
        self.ceiling = None if fixed.target is None else float(fixed.target)
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
        peak = max(self.paid, opened, from_float(self.highest))
        at = levels(self.entry_price, peak, self.terms.limits, self.terms.market)
        found = touched(at, opened, from_float(candles.high[index]), from_float(candles.low[index]))
        return None if found is None else Touch(index, found[1], found[0])
