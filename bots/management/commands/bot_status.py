"""Show one run as the API does."""

from typing import Any

from django.core.management.base import CommandParser

from bots.management.console import RunCommand, run_document, run_lines
from bots.queries import risk, runs


class Command(RunCommand):
    help = "Show one run: what it holds, what it earned, and why it does or does not trade."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        run = runs.run_of(None, options["id"])
        self.emit(run_document(run), [*run_lines([run]), risk.answer_line(run)])
