"""A preview as SVG drawn on the server: it needs no script and can be printed."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import numpy as np

from exchanges.core.candles import from_ms
from exchanges.core.decimals import from_float
from strategies.core.preview import Preview
from strategies.core.preview_grid import Mark
from strategies.core.rolling import Floats

WIDTH, HEIGHT, PAD = 720, 220, 18
PANE = 70
#: Half the width of a triangle, and how far it stays off the line.
SIZE, OFF = 6, 5
MOST_LINES = 4
MOST_ROWS = 60


@dataclass(frozen=True, slots=True)
class Line:
    """One indicator; ``number`` tells its stroke from the others'."""

    name: str
    path: str
    number: int


@dataclass(frozen=True, slots=True)
class Pane:
    """Indicators that are no prices, under the chart on a scale of their own."""

    lines: tuple[Line, ...]
    low: Decimal
    high: Decimal


@dataclass(frozen=True, slots=True)
class Level:
    """A price at which orders rest, across the whole chart at height ``y``; ``number`` counts from the lowest."""

    number: int
    price: Decimal
    y: float


@dataclass(frozen=True, slots=True)
class Spot:
    """A trade as a triangle: up under the line for a buy, down over it for a sale."""

    path: str
    at: datetime
    entry: bool
    price: Decimal
    reason: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Path data in a box of `WIDTH` × `HEIGHT`; ``table`` says the same in words, newest first."""

    closes: str
    overlays: tuple[Line, ...]
    pane: Pane | None
    spots: tuple[Spot, ...]
    held: tuple[str, ...]
    low: Decimal
    high: Decimal
    first: datetime
    last: datetime
    #: The highest first.
    levels: tuple[Level, ...] = ()

    @property
    def highest(self) -> Decimal:
        return self.levels[0].price

    @property
    def lowest(self) -> Decimal:
        return self.levels[-1].price

    @property
    def table(self) -> Sequence[Spot]:
        return self.spots[::-1][:MOST_ROWS]


def chart(seen: Preview) -> Chart | None:
    """None for fewer than two candles: a line needs two."""
    closes = seen.candles.close
    if len(closes) < 2:
        return None
    columns = {name: values for name, values in seen.columns.items() if name != "close"}
    overlays = {name: values for name, values in columns.items() if _is_price(values, closes)}
    others = {name: values for name, values in columns.items() if name not in overlays and _known(values)}
    drawn = list(overlays.items())[:MOST_LINES]
    low, high = _range([closes, *(values for _, values in drawn), *([np.array(seen.levels)] if seen.levels else [])])
    opened = seen.candles.opened_at
    spots = tuple(_spot(mark, from_ms(int(opened[mark.index])), len(closes), low, high) for mark in seen.marks)
    return Chart(
        closes=_path(closes, low, high, HEIGHT),
        overlays=tuple(Line(n, _path(v, low, high, HEIGHT), i) for i, (n, v) in enumerate(drawn, 1)),
        pane=_pane(others),
        spots=spots,
        held=tuple(_held(seen.marks, len(closes))),
        low=from_float(round(low, 8)),
        high=from_float(round(high, 8)),
        first=from_ms(int(opened[0])),
        last=from_ms(int(opened[-1])),
        levels=tuple(
            Level(number, from_float(round(price, 8)), round(_y(price, low, high, HEIGHT), 1))
            for number, price in enumerate(seen.levels, 1)
        )[::-1],
    )


def _known(values: Floats) -> bool:
    return bool(np.isfinite(values).any())


def _is_price(values: Floats, closes: Floats) -> bool:
    """Whether an indicator lives where the closes do: its middle is not far outside of them."""
    if not _known(values):
        return False
    middle, low, high = float(np.nanmedian(values)), float(closes.min()), float(closes.max())
    reach = max(high - low, high * 0.01)
    return low - reach <= middle <= high + reach


def _range(columns: Sequence[Floats]) -> tuple[float, float]:
    low = min(float(np.nanmin(values)) for values in columns)
    high = max(float(np.nanmax(values)) for values in columns)
    return (low, high) if high > low else (low - 1, high + 1)


def _pane(others: Mapping[str, Floats]) -> Pane | None:
    if not others:
        return None
    drawn = list(others.items())[:MOST_LINES]
    low, high = _range([values for _, values in drawn])
    lines = tuple(Line(n, _path(v, low, high, PANE, pad=4), i) for i, (n, v) in enumerate(drawn, 1))
    return Pane(lines, from_float(round(low, 8)), from_float(round(high, 8)))


def _path(values: Floats, low: float, high: float, height: int, *, pad: int = PAD) -> str:
    """Path data; where there is no value the line is interrupted."""
    parts, drawing = [], False
    for index, value in enumerate(values.tolist()):
        if value != value:
            drawing = False
            continue
        parts.append(f"{'L' if drawing else 'M'}{_x(index, len(values)):.1f},{_y(value, low, high, height, pad):.1f}")
        drawing = True
    return "".join(parts)


def _x(index: int, count: int) -> float:
    return index / (count - 1) * WIDTH


def _y(value: float, low: float, high: float, height: int, pad: int = PAD) -> float:
    return height - pad - (value - low) / (high - low) * (height - 2 * pad)


def _spot(mark: Mark, at: datetime, count: int, low: float, high: float) -> Spot:
    x = min(max(_x(mark.index, count), SIZE), WIDTH - SIZE)
    price = min(max(mark.price, low), high)
    way = 1 if mark.entry else -1
    tip = _y(price, low, high, HEIGHT) + way * OFF
    path = f"M{x:.1f},{tip:.1f}l{SIZE},{way * 1.6 * SIZE:.1f}h{-2 * SIZE}z"
    return Spot(path, at, mark.entry, from_float(round(mark.price, 8)), mark.reason)


def _held(marks: Sequence[Mark], count: int) -> Iterator[str]:
    """The stretches in which a position is held, each as a box from the first buy to the last sale or the end."""
    bought: int | None = None
    for mark in (*marks, Mark(count - 1, False, 0.0, "")):
        if mark.holding:
            bought = mark.index if bought is None else bought
        elif bought is not None:
            left, right = _x(bought, count), _x(mark.index, count)
            yield f"M{left:.1f},0H{right:.1f}V{HEIGHT}H{left:.1f}z"
            bought = None
