"""List runs, newest first."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from bots.management.console import RunCommand, how_many, page_document, run_document, run_lines
from bots.models import Mode, Status
from bots.queries import runs
from bots.queries.shapes import RunFilter


class Command(RunCommand):
    help = "List runs, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", nargs="?", metavar="EMAIL", help="Only this user's.")
        parser.add_argument("--status", choices=Status.values, default="")
        parser.add_argument("--mode", choices=Mode.values, default="")
        parser.add_argument("--limit", type=how_many, default=500)

    def handle(self, *args: Any, **options: Any) -> None:
        user = accounts.user_by_email(options["email"]) if options["email"] else None
        wanted = RunFilter(status=options["status"], mode=options["mode"])
        found = runs.runs_of(user, wanted, limit=options["limit"])
        self.emit(page_document(found, run_document), run_lines(found.items))
