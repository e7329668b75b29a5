"""A report's trades, its equity and a sweep's ranking as tables of text: the same on page, API and command."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from bots.core.backtest.report import TradeRow
from bots.core.result_pack import unpack_equity
from bots.core.sweep.scores import COLUMNS
from exchanges.core.candles import from_ms
from exchanges.core.decimals import from_float, plain

EQUITY: Final = ("at", "equity", "drawdown_pct", "buy_and_hold")
#: A sweep's figures; the moments are for the deflated Sharpe ratio alone.
FIGURES: Final = tuple(name for name in COLUMNS if not name.endswith("_daily"))


class Table(NamedTuple):
    columns: Sequence[str]
    rows: Iterator[Sequence[str]]


def trade_table(document: Mapping[str, Any]) -> Table:
    """The closed trades of a report as it is kept."""
    names = TradeRow._fields
    return Table(names, ([_text(trade[name]) for name in names] for trade in document["trades"]))


def equity_table(packed: bytes | memoryview, capital: str) -> Table:
    """Every kept point of a report's equity."""
    points = equity_points(packed, capital)
    return Table(EQUITY, ([_text(point[name]) for name in EQUITY] for point in points))


def equity_points(packed: bytes | memoryview, capital: str) -> Iterator[dict[str, Any]]:
    """Oldest first: equity at a candle's close, the fall from its peak, and what buying and holding would be worth."""
    rows = unpack_equity(packed).tolist()
    money = peak = float(capital)
    for ms, equity, close in rows:
        peak = max(peak, equity)
        yield {
            "at": from_ms(int(ms)).isoformat().replace("+00:00", "Z"),
            "equity": plain(from_float(round(equity, 8))),
            "drawdown_pct": 100 * (peak - equity) / peak,
            "buy_and_hold": plain(from_float(round(money * close / rows[0][2], 8))),
        }


def sweep_table(result: Mapping[str, Any]) -> Table:
    """The ranking as it is shown: a row's figures are the exact ledger's where it was run through it."""
    ranked = result["rows"]
    names = list(dict.fromkeys(name for row in ranked for name in row["params"]))
    return Table(("rank", *names, *FIGURES, "exact"), (_ranked(row, names) for row in ranked))


def _ranked(row: Mapping[str, Any], names: Sequence[str]) -> list[str]:
    shown = row.get("exact") or row["stats"]
    figures = [_text(shown.get(name)) for name in FIGURES]
    params = [_text(row["params"].get(name)) for name in names]
    return [str(row["rank"]), *params, *figures, "true" if row.get("exact") else "false"]


def _text(value: object) -> str:
    return "" if value is None else str(value)
