"""What the research commands share: the options of a backtest, their failures, and the tables they print."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from accounts.management.base import ConsoleCommand, Exit, Failure, instant
from bots.core.backtest.engine import NoCandles
from bots.core.backtest.report import Report
from bots.core.backtest.report_csv import Table
from bots.core.backtest.request import Asked, RequestError
from bots.core.sweep.plan import SweepError
from bots.management.arguments import json_object, money
from exchanges.adapters.candle_files import read_candle_file
from exchanges.core.candle_table import CandleFileError
from exchanges.core.candles import Candles, timeframe_ms
from exchanges.core.decimals import plain
from exchanges.core.errors import ExchangeFault, UnknownExchange, UnknownSymbol
from exchanges.core.market import Market
from strategies.core.errors import UnknownStrategy

FIELDS = (
    "strategy", "exchange", "symbol", "timeframe", "since", "until", "capital", "fee", "slippage", "params", "limits",
)  # fmt: skip


class ResearchCommand(ConsoleCommand):
    takes_at = True
    # Neither checks nor migrations matter to a computation; a file needs not even a database.
    requires_system_checks: list[str] = []
    failures: ClassVar[Mapping[type[Exception], int]] = {
        **ConsoleCommand.failures,
        RequestError: Exit.INVALID,
        SweepError: Exit.INVALID,
        CandleFileError: Exit.INVALID,
        NoCandles: Exit.INVALID,
        UnknownStrategy: Exit.NOT_FOUND,
        UnknownExchange: Exit.NOT_FOUND,
        UnknownSymbol: Exit.NOT_FOUND,
        FileExistsError: Exit.INVALID,
        FileNotFoundError: Exit.NOT_FOUND,
        IsADirectoryError: Exit.INVALID,
        PermissionError: Exit.REFUSED,
        ExchangeFault: Exit.UNAVAILABLE,
    }

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--strategy", required=True)
        parser.add_argument("--exchange", required=True)
        parser.add_argument("--symbol", required=True)
        parser.add_argument("--timeframe", required=True)
        parser.add_argument("--since", type=instant, metavar="ISO", help="First open time that counts; default: all.")
        parser.add_argument("--until", type=instant, metavar="ISO", help="First open time that no longer counts.")
        parser.add_argument("--capital", type=money, required=True, help="In the symbol's quote.")
        parser.add_argument("--fee", type=money, required=True, help="Fraction of each leg: 0.001 is 0.1 %%.")
        parser.add_argument("--slippage", type=money, help="Fraction that each fill is worse than the price.")
        parser.add_argument("--params", type=json_object, default={}, metavar="JSON")
        parser.add_argument("--limits", type=json_object, default={}, metavar="JSON")
        parser.add_argument(
            "--csv", type=Path, metavar="FILE", help="These candles instead of stored ones: CSV, zip, JSON or feather."
        )

    def given(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The request under the API's field names."""
        return {name: options[name] for name in FIELDS if options.get(name) is not None}

    def data(self, asked: Asked, options: Mapping[str, Any], warmup: int = 0) -> tuple[Asked, Candles, Market | None]:
        """The file's candles under no known rules, touching nothing else; or stored ones under the market's.

        The request comes back with its range spelled out where the candles are stored.
        """
        at = self.at(options)
        if options["csv"] is not None:
            return asked, read_candle_file(options["csv"], asked.request.timeframe, at)[0], None
        # Only here: what reads stored candles takes longer to import than a file to be tried.
        from bots.queries import research

        request = research.frozen(asked.request, at)
        warmup = max(warmup, asked.strategy.warmup_on(timeframe_ms(request.timeframe)))
        market = research.market_for(request.exchange, request.symbol, at)
        return replace(asked, request=request), research.candles_for(request, warmup), market


def require_new(options: Mapping[str, Any], *names: str) -> None:
    """Before any work is done: what these options name can be written, each to a file of its own."""
    taken: set[Path] = set()
    for name in names:
        path, option = options[name], f"--{name.replace('_', '-')}"
        if path is None:
            continue
        if path.exists() or path.absolute() in taken:
            raise Failure(f"{option}: Expected a new file, was {path}.", Exit.INVALID)
        if not path.parent.is_dir():
            raise Failure(f"{option}: Expected a folder that is there, was {path.parent}.", Exit.INVALID)
        taken.add(path.absolute())


def write_table(path: Path, table: Table) -> None:
    """As CSV into a new file; what is there already is never written over. Raises FileExistsError."""
    with path.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        writer.writerows(table.rows)


def report_lines(report: Report, title: str, quote: str) -> Iterator[str]:
    """A compact table: the result beside buy and hold, fees on their own line."""
    stats, data = report.stats, report.data
    yield title
    yield f"{data.candles:,} candles, {data.first:%Y-%m-%d %H:%M} to {data.last:%Y-%m-%d %H:%M} UTC, {data.gaps} gaps"
    yield ""
    rows = (
        ("Return", signed(stats.return_pct), "Buy and hold", signed(stats.buy_and_hold_close_to_close_pct)),
        ("Final equity", f"{stats.final_equity:,.2f} {quote}", "Fees paid", f"{stats.fees_closed:,.2f} {quote}"),
        ("Closed trades", f"{stats.closed_trades:,}", "Win rate", percent(stats.win_rate_pct)),
        ("Profit factor", ratio(stats.profit_factor), "Average trade", signed(stats.avg_trade_return_pct)),
        ("Best trade", signed(stats.best_trade_pct), "Worst trade", signed(stats.worst_trade_pct)),
        ("Max drawdown", percent(stats.max_drawdown_pct), "Longest", f"{stats.longest_drawdown_candles:,} candles"),
        ("Sharpe (daily, √365)", ratio(stats.sharpe_daily_365), "Sortino", ratio(stats.sortino_daily_365)),
        ("Exposure", percent(stats.exposure_pct), "Net profit, closed", f"{stats.net_pnl_closed:,.2f} {quote}"),
    )
    for left, value, right, other in rows:
        yield f"{left:<21}{value:>18}   {right:<19}{other:>18}"
    if report.open_position is not None:
        held = report.open_position
        yield f"Still open: {plain(held.amount)} bought at {plain(held.entry_price)}, now {signed(held.return_pct)}."
    for code, count in report.denied.items():
        yield f"Denied by a limit: {count:,} × {code}"


def signed(value: float | None) -> str:
    return "—" if value is None else f"{value:+,.2f} %"


def percent(value: float | None) -> str:
    return "—" if value is None else f"{value:,.2f} %"


def ratio(value: float | None) -> str:
    return "—" if value is None else f"{value:,.3f}"
