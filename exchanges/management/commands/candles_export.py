"""Write stored candles as CSV, or as the JSON that freqtrade reads."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from accounts.management.base import Exit, Failure, instant
from exchanges import candle_store
from exchanges.core.candle_csv import csv_lines
from exchanges.core.candle_freqtrade import json_lines
from exchanges.core.candle_pack import data_sha256
from exchanges.management.candles import CandleCommand, market_of, title

# What each format is written by.
LINES = {"csv": csv_lines, "json": json_lines}


class Command(CandleCommand):
    help = "Write stored candles as CSV or as freqtrade's JSON, to stdout or a new file."

    def add_arguments(self, parser: CommandParser) -> None:
        self.add_market(parser)
        parser.add_argument("--since", type=instant, metavar="ISO", help="First open time; default: all.")
        parser.add_argument("--until", type=instant, metavar="ISO", help="First open time that is left out.")
        parser.add_argument("--format", choices=tuple(LINES), default="csv", help="json is what freqtrade reads.")
        parser.add_argument("--output", type=Path, metavar="FILE", help="A new file; default: stdout.")

    def handle(self, *args: Any, **options: Any) -> None:
        market, output, lines = market_of(options), options["output"], LINES[options["format"]]
        candles = candle_store.load(*market, options["since"], options["until"])
        if not len(candles):
            raise Failure(f"No candles of {title(market)} are stored in that range.", Exit.NOT_FOUND)
        if output is None:
            self.emit({"rows": candles.rows()} if self.as_json else {}, lines(candles))
            return
        try:
            with Path(output).open("x", encoding="ascii") as stream:
                stream.writelines(f"{line}\n" for line in lines(candles))
        except FileExistsError:
            raise Failure(f"{output}: Expected a new file, but it exists.", Exit.INVALID) from None
        document = {"file": str(output), "candles": len(candles), "sha256": data_sha256(candles)}
        self.emit(document, [f"{output}: {len(candles):,} candles"])
