"""Set the limits of the platform, a user, a key or a run."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from bots import operations
from bots.management.arguments import json_object
from bots.management.console import RunCommand
from bots.models import SWITCHED, Level


class Command(RunCommand):
    help = "Replace all limits at one level; audited. {} takes them all away."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("limits", type=json_object, metavar="JSON", help='Such as {"max_daily_loss": "50"}.')
        parser.add_argument("--level", choices=[level.value for level in SWITCHED], default=Level.PLATFORM.value)
        parser.add_argument("--target", type=int, default=0, metavar="ID", help="The user, key or run.")

    def handle(self, *args: Any, **options: Any) -> None:
        level, target = options["level"], options["target"]
        operations.require_target(level, target)
        self.confirm(options, f"Replace the limits at {level} {target or ''}?")
        row = operations.set_limits(level, target, options["limits"], self.at(options), CONSOLE)
        told = {"level": level, "target": target, "limits": row.limits}
        self.emit(told, [f"{level} {target or ''}: {row.limits}"])
