"""The figures of a report as a page shows them: each with its definition, its form, and which way is better."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from bots.templatetags.figures import UNKNOWN, money, percent, signed, signed_percent
from bots.views.plots import tint

MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True, slots=True)
class Figure:
    """``better`` is +1 where more is better, −1 where less is, 0 where neither."""

    name: str
    label: str
    form: str
    better: int
    definition: str


FIGURES: Final = (
    Figure("initial_cash", "Capital", "money", 0, "What it began with."),
    Figure("final_equity", "Final equity", "money", 1, "Cash and what is held at the last close, after fees."),
    Figure("return_pct", "Return", "signed_pct", 1, "Final equity against the capital."),
    Figure(
        "buy_and_hold_close_to_close_pct", "Buy and hold", "signed_pct", 0,
        "The price itself, from the first candle’s close to the last one’s, without fees.",
    ),
    Figure(
        "max_drawdown_pct", "Max drawdown", "pct", -1,
        "Largest fall from the highest equity so far, at candle closes; the capital is the first peak.",
    ),
    Figure("longest_drawdown_candles", "Longest drawdown", "candles", -1, "Most candles in a row below the peak."),
    Figure("closed_trades", "Closed trades", "count", 0, "Bought and sold again; what is still open is not counted."),
    Figure("winning_trades", "Winning trades", "count", 0, "Closed trades with a profit after both fees."),
    Figure("win_rate_pct", "Win rate", "pct", 1, "Winning trades of all closed ones."),
    Figure(
        "profit_factor", "Profit factor", "ratio", 1, "What winning trades made over what losing ones lost, after fees."
    ),
    Figure("avg_trade_return_pct", "Average trade", "signed_pct", 1, "Mean return of the closed trades, after fees."),
    Figure("best_trade_pct", "Best trade", "signed_pct", 1, "After fees."),
    Figure("worst_trade_pct", "Worst trade", "signed_pct", 1, "After fees."),
    Figure("net_pnl_closed", "Profit of closed trades", "signed_money", 1, "After fees, without what is still open."),
    Figure("fees_closed", "Fees of closed trades", "money", -1, "Of both legs; already taken off every figure here."),
    Figure("exposure_pct", "Exposure", "pct", 0, "Candles at whose close something was held, of all candles."),
    Figure(
        "sharpe_daily_365", "Sharpe ratio", "ratio", 1,
        "Mean of the daily returns over their standard deviation (ddof 1), times √365; no interest rate taken off.",
    ),
    Figure(
        "sortino_daily_365", "Sortino ratio", "ratio", 1,
        "As Sharpe, over the root mean square of the negative daily returns alone.",
    ),
)  # fmt: skip
BY_NAME: Final = {figure.name: figure for figure in FIGURES}


def shown(figure: Figure, value: object, quote: str) -> str:
    """The figure's text; what is undefined is a dash."""
    if value is None:
        return UNKNOWN
    number = Decimal(str(value))
    match figure.form:
        case "money":
            return f"{money(number, quote)} {quote}"
        case "signed_money":
            return signed(number, quote)
        case "pct":
            return percent(number / 100)
        case "signed_pct":
            return signed_percent(number / 100)
        case "ratio":
            return f"{number:,.2f}".replace("-", "\u2212")
    return f"{number:,.0f}{' candles' if figure.form == 'candles' else ''}"


def rows_of(stats: Mapping[str, Any], quote: str) -> list[tuple[Figure, str]]:
    return [(figure, shown(figure, stats.get(figure.name), quote)) for figure in FIGURES]


def best_of(figure: Figure, values: Sequence[float | None]) -> set[int]:
    """Positions of the best value; none where it has no better, or all are the same."""
    known = [value for value in values if value is not None]
    if not figure.better or len(set(known)) < 2:
        return set()
    best = max(known) if figure.better > 0 else min(known)
    return {index for index, value in enumerate(values) if value == best}


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    tint: str


@dataclass(frozen=True, slots=True)
class Year:
    name: str
    months: Sequence[Cell]
    whole: Cell


def years_of(monthly: Mapping[str, float]) -> list[Year]:
    """The months' returns as one row per year, its own return at the end."""
    reach = max((abs(value) for value in monthly.values()), default=0.0)
    years = []
    for name in sorted({month[:4] for month in monthly}):
        values = [monthly.get(f"{name}-{number:02}") for number in range(1, 13)]
        growth = 1.0
        for value in values:
            growth *= 1 + (value or 0.0) / 100
        cells = [Cell(_short(value), tint(value, reach)) for value in values]
        years.append(Year(name, cells, Cell(_short(100 * (growth - 1)), "none")))
    return years


def _short(value: float | None) -> str:
    """``+3.2``: the sign says it without the colour; nothing where the month is outside the range."""
    if value is None:
        return ""
    text = f"{value:+.1f}"
    return "0.0" if text in {"+0.0", "-0.0"} else text.replace("-", "\u2212")
