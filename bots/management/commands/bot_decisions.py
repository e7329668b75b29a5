"""Show a run's decision journal, newest first."""

from typing import Any

from django.core.management.base import CommandParser

from bots.management.console import RunCommand, decision_document, decision_lines, how_many, page_document
from bots.queries import history, runs


class Command(RunCommand):
    help = "Show a run's decision journal, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")
        parser.add_argument("--changes", action="store_true", help="Leave out candles that asked for nothing.")
        parser.add_argument("--limit", type=how_many, default=100)

    def handle(self, *args: Any, **options: Any) -> None:
        run = runs.run_model(None, options["id"])
        found = history.decisions_of(run.pk, limit=options["limit"], changes_only=options["changes"])
        self.emit(page_document(found, decision_document), decision_lines(found.items))
