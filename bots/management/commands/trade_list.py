"""List trades, newest first."""

from typing import Any

from django.core.management.base import CommandParser

from bots.management.console import RunCommand, how_many, page_document, trade_document, trade_lines
from bots.queries import history, runs
from bots.queries.shapes import TradeFilter


class Command(RunCommand):
    help = "List trades, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run", type=int, metavar="ID")
        parser.add_argument("--limit", type=how_many, default=500)

    def handle(self, *args: Any, **options: Any) -> None:
        run_id = None if options["run"] is None else runs.run_model(None, options["run"]).pk
        found = history.trades_of(None, TradeFilter(bot_run_id=run_id), limit=options["limit"])
        self.emit(page_document(found, trade_document), trade_lines(found.items))
