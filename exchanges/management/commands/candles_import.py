"""Store the candles of a file: CSV, freqtrade's JSON, or Binance's public CSV and zip."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from exchanges import candle_store
from exchanges.adapters.candle_files import read_candle_file
from exchanges.management.candles import CandleCommand, count_line, gap_documents, gap_lines, market_of, moment, title


class Command(CandleCommand):
    help = "Store the candles of a file. All or nothing; gaps are reported, never filled."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="CSV, JSON or zip.")
        self.add_market(parser)
        parser.add_argument(
            "--time", choices=("open", "close"), default="open", help="What a row's time says; default: its opening."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at, path, market = self.at(options), Path(options["file"]), market_of(options)
        candles, report = read_candle_file(path, options["timeframe"], at, options["time"])
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
