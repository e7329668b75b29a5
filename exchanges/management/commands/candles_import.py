"""Store the candles of a file: CSV, Binance's public CSV and zip, or freqtrade's feather and JSON."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from accounts.management.base import Exit, Failure
from exchanges import candle_store
from exchanges.adapters.candle_files import read_candle_file
from exchanges.core.candle_freqtrade import named
from exchanges.management.candles import CandleCommand, count_line, gap_documents, gap_lines, market_of, moment, title


class Command(CandleCommand):
    help = "Store the candles of a file. All or nothing; gaps are reported, never filled."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="CSV, zip, feather or JSON.")
        self.add_market(parser, named=True)
        parser.add_argument(
            "--time", choices=("open", "close"), default="open", help="What a row's time says; default: its opening."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at, path = self.at(options), Path(options["file"])
        market = _market(options, path)
        candles, report = read_candle_file(path, market[2], at, options["time"])
        saved = candle_store.save(*market, candles, f"imported from {path.name}", at)
        document = {
            "exchange": market[0], "symbol": market[1], "timeframe": market[2],
            "candles": report.candles, "first": report.first, "last": report.last,
            "added": saved.added, "replaced": saved.replaced, "unchanged": saved.unchanged,
            "gaps": gap_documents(report.gaps), "missing": report.missing,
            "zero_volume": report.zero_volume, "sha256": report.sha256,
        }  # fmt: skip
        lines = [
            f"{title(market)}: {report.candles:,} candles from {moment(report.first)} to {moment(report.last)} UTC",
            f"  {saved.added:,} added, {saved.replaced:,} replaced, {saved.unchanged:,} known",
            count_line(report.gaps, report.missing, report.zero_volume),
            *gap_lines(report.gaps),
        ]
        self.emit(document, lines)


def _market(options: Mapping[str, Any], path: Path) -> tuple[str, str, str]:
    """As asked for, and where nothing was said as the file's name says."""
    told = named(path.name)
    found = {**options, "symbol": options["symbol"] or told.symbol, "timeframe": options["timeframe"] or told.timeframe}
    for name in ("symbol", "timeframe"):
        if not found[name]:
            raise Failure(f"Expected --{name}: the name {path.name} does not tell it.", Exit.USAGE)
    return market_of(found)
