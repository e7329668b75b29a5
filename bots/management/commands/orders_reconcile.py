"""Settle every order whose outcome is not final."""

from typing import Any

from django.core.management.base import CommandParser

from bots import acting, settling
from bots.management.console import RunCommand
from bots.queries import runs


class Command(RunCommand):
    help = "Settle every order whose outcome is not final, as of an instant."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run", type=int, metavar="ID", help="Only this run's orders.")

    def handle(self, *args: Any, **options: Any) -> None:
        run = None if options["run"] is None else runs.run_model(None, options["run"])
        done = settling.settle_all(self.at(options), acting.worker_name(), run=run, boot=True)
        document = {
            "accounts": done.accounts,
            "orders": done.looked_at,
            "ended": done.ended,
            "fills": done.fills,
            "faults": done.faults,
        }
        told = f"{done.looked_at} orders looked at, {done.ended} ended, {done.fills} fills booked."
        self.emit(document, [told, *done.faults])
