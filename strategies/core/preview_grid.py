"""Where a grid's lines would have bought and sold on past candles: for a look, not for a result."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from exchanges.core.candles import Candles
from strategies.core.plan import Grid
from strategies.core.signals import Signals


@dataclass(frozen=True, slots=True)
class Mark:
    """A trade at ``price`` on candle ``index``, decided at the close before or by a protection during the candle."""

    index: int
    entry: bool
    price: float
    reason: str
    #: Parts that are held after it, where there are several.
    parts: int | None = None

    @property
    def holding(self) -> bool:
        return self.entry if self.parts is None else self.parts > 0


@dataclass(slots=True)
class _Lines:
    """What each line holds, and which of them has an order waiting: a sell where it holds, else a buy."""

    lines: tuple[float, ...]
    holding: set[int] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)

    def limit(self, line: int) -> float:
        return self.lines[line + 1] if line in self.holding else self.lines[line]

    def met(self, index: int, low: float, high: float, opened: float) -> Iterator[Mark]:
        """What waits and is reached, at its line or at an open that is better."""
        for line in sorted(self.waiting):
            limit, sells = self.limit(line), line in self.holding
            if (high >= limit) if sells else (low <= limit):
                yield self._filled(index, line, max(limit, opened) if sells else min(limit, opened))

    def placed(self, index: int, opened: float) -> Iterator[Mark]:
        for line in range(len(self.lines) - 1):
            if line in self.waiting or (line not in self.holding and self.lines[line] >= opened):
                continue
            self.waiting.add(line)
            if line in self.holding and opened >= self.limit(line):
                yield self._filled(index, line, opened)

    def left(self, index: int, opened: float) -> Mark:
        self.holding.clear()
        self.waiting.clear()
        return Mark(index, False, opened, "The stop under the lowest line: everything is sold.", 0)

    def _filled(self, index: int, line: int, price: float) -> Mark:
        self.waiting.discard(line)
        where = f"of line {line + 1} of {len(self.lines)}, the lowest being 1."
        if line in self.holding:
            self.holding.discard(line)
            return Mark(index, False, price, f"The sell {where}", len(self.holding))
        self.holding.add(line)
        return Mark(index, True, price, f"The buy {where}", len(self.holding))


def worked(signals: Signals, candles: Candles, begin: int) -> Iterator[Mark]:
    """Per candle: what rests meets its open, then what should rest is placed, then what rests meets its range."""
    plan = signals.plan
    if not isinstance(plan, Grid):
        raise TypeError(f"Expected signals with a grid, was {plan!r}.")
    lines = _Lines(tuple(map(float, plan.lines)))
    for index in range(begin + 1, len(candles)):
        opened, low, high = (float(column[index]) for column in (candles.open, candles.low, candles.high))
        at = index - begin
        yield from lines.met(at, opened, opened, opened)
        if lines.holding and signals.exit[index - 1]:
            yield lines.left(at, opened)
        elif signals.ready[index - 1]:
            yield from lines.placed(at, opened)
        yield from lines.met(at, low, high, opened)
