"""Look again at a reconciliation case."""

from dataclasses import asdict
from typing import Any

from django.core.management.base import CommandParser

from accounts.management.base import Exit
from bots import cases as writes
from bots.management.console import RunCommand
from bots.models import Incident
from bots.queries import cases


class Command(RunCommand):
    help = "Ask the exchange of a case's account for its orders, fills and balances now; resolves nothing by itself."
    takes_at = True
    failures = {**RunCommand.failures, Incident.DoesNotExist: Exit.NOT_FOUND}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        done = writes.recheck(cases.case_model(None, options["id"]), self.at(options))
        lines = [
            f"Case {options['id']}: {done.verdict}.",
            f"{done.orders} orders looked at, {done.fills} fills booked.",
        ]
        self.emit(asdict(done), [*lines, *done.faults])
