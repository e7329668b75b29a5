"""Reset a circuit breaker."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from accounts.management.base import Exit, Failure
from bots import breakers as writes
from bots.management.console import RunCommand
from bots.models import Breaker
from bots.queries import breakers


class Command(RunCommand):
    help = "Close an open circuit breaker, with a reason; audited."
    takes_at = True
    failures = {
        **RunCommand.failures,
        Breaker.DoesNotExist: Exit.NOT_FOUND,
        writes.NothingToReset: Exit.INVALID,
    }

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["reason"].strip():
            raise Failure("--reason: Expected a sentence, was empty.", Exit.USAGE)
        at = self.at(options)
        row = breakers.breaker_model(None, options["id"])
        self.confirm(options, f"Allow entries again although {row.name} tripped?")
        writes.reset(row, options["reason"], at, CONSOLE)
        view = breakers.breaker_of(None, row.pk, at)
        self.emit({"id": view.id, "state": view.state}, [f"Breaker {view.id} ({view.name}) is {view.state}."])
