"""Stop a run; with --close its position is sold first."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from bots import lifecycle, watch
from bots.management.console import RunCommand
from bots.queries import runs


class Command(RunCommand):
    help = "Stop a run. Its position is kept, or sold first with --close."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, metavar="ID")
        parser.add_argument("--close", action="store_true", help="Sell what is held before stopping.")

    def handle(self, *args: Any, **options: Any) -> None:
        at = self.at(options)
        run = lifecycle.stop(runs.run_model(None, options["id"]), "close" if options["close"] else "keep", at, CONSOLE)
        # No worker may be running: what the stop asks for is begun here.
        watch.watch_run(run.pk, at)
        run.refresh_from_db()
        self.emit({"bot_run_id": run.pk, "status": run.status}, [f"Run {run.pk} is {run.status}."])
