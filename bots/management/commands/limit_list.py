"""List the limits above the runs' own."""

from typing import Any

from bots.management.console import RunCommand
from bots.queries import risk


class Command(RunCommand):
    help = "List the limits of the platform, users, keys and runs; the tightest of them and a run's own wins."

    def handle(self, *args: Any, **options: Any) -> None:
        found = risk.all_limits()
        lines = [f"{one['level']} {one['target'] or ''}: {one['limits']}" for one in found]
        self.emit({"items": found, "next": None}, lines or ["No limit stands above the runs' own."])
