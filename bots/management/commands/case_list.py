"""List the reconciliation cases."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from bots.management.console import RunCommand, case_document, how_many, page_document
from bots.models import CaseKind
from bots.queries import cases
from bots.queries.cases import CaseFilter, CaseView


class Command(RunCommand):
    help = "List where the exchanges' books and ours came apart: one user's cases, or everybody's, the newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL", nargs="?")
        parser.add_argument("--state", choices=("open", "resolved"), default="")
        parser.add_argument("--kind", choices=CaseKind.values, default="")
        parser.add_argument("--account", type=int, metavar="ID", help="The trading account's id.")
        parser.add_argument("--limit", type=how_many, default=100)

    def handle(self, *args: Any, **options: Any) -> None:
        user = accounts.user_by_email(options["email"]) if options["email"] else None
        wanted = CaseFilter(options["state"], options["kind"], options["account"])
        page = cases.cases_of(user, wanted, limit=options["limit"])
        lines = [self._line(case) for case in page.items]
        self.emit(page_document(page, case_document), lines or ["No such case."])

    def _line(self, case: CaseView) -> str:
        state = case.hold if case.state == "open" else "resolved"
        return f"#{case.id:<4} {case.opened_at:%Y-%m-%d %H:%M} {state:<8} {case.account}: {case.detail}"
