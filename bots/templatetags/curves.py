"""Equity curves as SVG drawn on the server: they need no script and can be printed."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django import template

register = template.Library()

WIDTH, HEIGHT, PAD = 600, 150, 6
ROWS = 40
Point = tuple[datetime, Decimal]


@dataclass(frozen=True, slots=True)
class Curve:
    """``line`` and ``area`` are SVG path data; ``first``, ``last``, ``low`` and ``high`` label the axes."""

    line: str
    area: str
    base: float
    first: datetime
    last: datetime
    low: Decimal
    high: Decimal
    rises: bool
    table: Sequence[Point]


def curve(series: Sequence[Point]) -> Curve | None:
    """None for fewer than two points in time: a line needs two."""
    if len(series) < 2 or series[-1][0] <= series[0][0]:
        return None
    levels = [level for _, level in series]
    low, high = min(levels), max(levels)
    start, length = series[0][0], (series[-1][0] - series[0][0]).total_seconds()
    reach = float(high - low) or 1.0

    def spot(point: Point) -> tuple[float, float]:
        x = min((point[0] - start).total_seconds() / length, 1.0) * WIDTH
        return x, HEIGHT - PAD - float(point[1] - low) / reach * (HEIGHT - 2 * PAD)

    # A closed trade changes equity at once, so the line goes by steps.
    path = [f"M{_text(*spot(series[0]))}"]
    for point in series[1:]:
        x, y = spot(point)
        path.append(f"H{x:.1f}V{y:.1f}")
    line = "".join(path)
    return Curve(
        line=line,
        area=f"{line}V{HEIGHT}H0Z",
        base=spot(series[0])[1],
        first=start,
        last=series[-1][0],
        low=low,
        high=high,
        rises=levels[-1] >= levels[0],
        table=thinned(series),
    )


def thinned(series: Sequence[Point]) -> list[Point]:
    """At most `ROWS` points, the last one among them, newest first."""
    step = -(-len(series) // ROWS)
    return list(series)[::-1][::step]


def _text(x: float, y: float) -> str:
    return f"{x:.1f},{y:.1f}"


@register.inclusion_tag("bots/_curve.html")
def equity_curve(series: Sequence[Point], quote: str, label: str) -> dict[str, Any]:
    return {"curve": curve(series), "quote": quote, "label": label, "width": WIDTH, "height": HEIGHT}
