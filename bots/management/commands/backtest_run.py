"""Try a strategy on past candles."""

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from bots.core.backtest.report_csv import equity_table, trade_table
from bots.core.backtest.request import asked_for
from bots.core.backtest.study import report_of
from bots.core.backtest.terms import market_facts, split_symbol
from bots.core.result_pack import pack_document, pack_equity, unpack_document
from bots.management.research import ResearchCommand, report_lines, require_new, write_table


class Command(ResearchCommand):
    help = "Try a strategy on past candles and report what it would have earned, beside buy and hold."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--output", type=Path, metavar="FILE", help="Write the closed trades there, as CSV.")
        parser.add_argument("--equity-output", type=Path, metavar="FILE", help="Write the equity curve there, as CSV.")

    def handle(self, *args: Any, **options: Any) -> None:
        require_new(options, "output", "equity_output")
        asked, candles, market = self.data(asked_for(self.given(options)), options)
        report = report_of(asked, candles, market)
        request = asked.request
        title = f"{asked.strategy!r} on {request.exchange} {request.symbol} {request.timeframe}"
        document = {"request": request.as_json(), "market": market_facts(market), **report.document()}
        if options["output"] is not None:
            write_table(options["output"], trade_table(unpack_document(pack_document(document)[0])))
        if options["equity_output"] is not None:
            packed = pack_equity(candles[-report.data.candles :], report.measured.equity)
            write_table(options["equity_output"], equity_table(packed, str(request.capital)))
        self.emit(document, report_lines(report, title, split_symbol(request.symbol)[1]))
