"""List orders with their lives, newest first."""

from typing import Any

from django.core.management.base import CommandParser

from bots.management.console import RunCommand, how_many, order_document, order_lines, page_document
from bots.queries import history, runs


class Command(RunCommand):
    help = "List orders, newest first; --json tells each one's whole life."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run", type=int, metavar="ID")
        parser.add_argument("--limit", type=how_many, default=500)

    def handle(self, *args: Any, **options: Any) -> None:
        run_id = None if options["run"] is None else runs.run_model(None, options["run"]).pk
        found = history.orders_of(run_id, None, limit=options["limit"])
        self.emit(page_document(found, order_document), order_lines(found.items))
