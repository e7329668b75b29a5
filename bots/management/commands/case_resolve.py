"""Resolve a reconciliation case."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from accounts.management.base import Exit, Failure
from bots import cases as writes
from bots.management.console import RunCommand, case_document
from bots.models import Incident
from bots.queries import cases


class Command(RunCommand):
    help = "Say what was found of a case, so that its account may trade again; audited. Nothing is traded to repair."
    takes_at = True
    failures = {**RunCommand.failures, Incident.DoesNotExist: Exit.NOT_FOUND}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")
        parser.add_argument("--note", default="", help="What was found.")
        parser.add_argument("--accept", action="store_true", help="Of a balance: the exchange's is right from here on.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["note"].strip():
            raise Failure("--note: Expected a sentence, was empty.", Exit.USAGE)
        case = cases.case_model(None, options["id"])
        self.confirm(options, f"Let account {case.account_id} trade again? {case.detail}")
        writes.resolve(case, options["note"], self.at(options), CONSOLE, accept=options["accept"])
        view = cases.case_view(case)
        self.emit(case_document(view), [f"Case {view.id} is {view.state}."])
