"""Pause a run."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from bots import lifecycle
from bots.management.console import RunCommand
from bots.queries import runs


class Command(RunCommand):
    help = "Pause a run: no new entries; its position and exits stay."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        run = lifecycle.pause(runs.run_model(None, options["id"]), self.at(options), CONSOLE)
        self.emit({"bot_run_id": run.pk, "status": run.status}, [f"Run {run.pk} is {run.status}."])
