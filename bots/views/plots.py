"""Pictures of backtests as SVG drawn on the server: curves over one another, falls, coverage, tinted figures."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from bots.queries.coverage import Covered
from bots.queries.curves import Curves
from exchanges.core.candles import from_ms

WIDTH, HEIGHT, PAD = 800, 220, 8
FALL_HEIGHT = 90
BAR_WIDTH, BAR_HEIGHT = 1000, 14
ROWS, HOLES, SHADES = 40, 500, 5
#: Curves of a comparison differ by dash as well as by colour.
STYLES = ("c1", "c2", "c3", "c4", "c5", "c6")


@dataclass(frozen=True, slots=True)
class Line:
    """``path`` is SVG path data; ``style`` a class of the style sheet, ``last`` where it ends."""

    label: str
    style: str
    path: str
    last: float


@dataclass(frozen=True, slots=True)
class Plot:
    lines: Sequence[Line]
    width: int
    height: int
    low: float
    high: float
    base: float
    first: datetime
    last: datetime
    area: str


Series = tuple[str, str, Iterable[float], Iterable[float]]
TableRow = tuple[datetime, float, float, float]


def plot(series: Sequence[Series], base: float, height: int = HEIGHT) -> Plot | None:
    """All on the same axes, with ``base`` among the levels; None where time does not pass."""
    columns = [(label, style, list(times), list(values)) for label, style, times, values in series]
    times = [at for _, _, column, _ in columns for at in column]
    if not times or max(times) <= min(times):
        return None
    levels = [base, *(level for _, _, _, values in columns for level in values)]
    start, length = min(times), max(times) - min(times)
    low, high = min(levels), max(levels)
    reach = (high - low) or 1.0

    def down(level: float) -> float:
        return height - PAD - (level - low) / reach * (height - 2 * PAD)

    def path(at: Sequence[float], values: Sequence[float]) -> str:
        spots = zip(at, values, strict=True)
        return "M" + "L".join(f"{(t - start) / length * WIDTH:.1f},{down(level):.1f}" for t, level in spots)

    lines = [Line(label, style, path(at, values), values[-1]) for label, style, at, values in columns]
    area = f"{lines[0].path}V{down(base):.1f}H0Z"
    first, last = from_ms(int(start)), from_ms(int(start + length))
    return Plot(lines, WIDTH, height, low, high, down(base), first, last, area)


@dataclass(frozen=True, slots=True)
class ReportPlots:
    """Equity over buy and hold, and the fall from the peak on the same time axis; the same as a short table."""

    money: Plot | None
    fall: Plot | None
    rows: Sequence[TableRow]


def report_plots(curves: Curves) -> ReportPlots:
    times = curves.times.tolist()
    equity, hold, falls = curves.equity.tolist(), curves.hold.tolist(), curves.drawdown.tolist()
    money = plot([("Strategy", "own", times, equity), ("Buy and hold", "hold", times, hold)], curves.capital)
    fall = plot([("Drawdown", "fall", times, [-value for value in falls])], 0.0, FALL_HEIGHT)
    rows = list(zip(map(from_ms, map(int, times)), equity, hold, falls, strict=True))
    return ReportPlots(money, fall, rows[::-1][:: -(-len(rows) // ROWS)])


def compared_plot(named: Sequence[tuple[str, Curves]]) -> Plot | None:
    """Returns in percent, so that different capitals can be seen together."""
    series = [
        (label, style, curves.times.tolist(), (100 * (curves.equity / curves.capital - 1)).tolist())
        for (label, curves), style in zip(named, STYLES, strict=False)
    ]
    return plot(series, 0.0)


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar as long as a stored range; ``holes`` are its gaps as (x, width), each at least visible."""

    covered: Covered
    holes: Sequence[tuple[float, float]]
    width: int = BAR_WIDTH
    height: int = BAR_HEIGHT


def coverage_bar(covered: Covered) -> Bar:
    scale = BAR_WIDTH / (covered.end - covered.first).total_seconds()
    step = covered.step.total_seconds()
    holes = [
        (round((gap.start - covered.first).total_seconds() * scale, 1), round(max(gap.missing * step * scale, 2), 1))
        for gap in sorted(covered.gaps, key=lambda gap: -gap.missing)[:HOLES]
    ]
    return Bar(covered, holes)


def tint(value: float | None, reach: float) -> str:
    """The class of a figure's background: its sign, and how far it goes of the furthest."""
    if value is None or reach <= 0 or not value:
        return "none"
    return f"{'up' if value > 0 else 'down'}{min(SHADES, int(abs(value) / reach * SHADES) + 1)}"
