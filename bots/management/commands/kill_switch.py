"""The kill switch: status, halt, reduce, flatten, resume."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from accounts.management.base import Exit, Failure
from bots import gates, operations, watch
from bots.management.console import RunCommand
from bots.models import SWITCHED, Level
from bots.queries import risk


class Command(RunCommand):
    help = "Stop trading at once: halt (no orders), reduce (exits only), flatten (sell all), resume."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("status", *gates.STATE_AFTER))
        parser.add_argument("--level", choices=[level.value for level in SWITCHED], default=Level.PLATFORM.value)
        parser.add_argument("--target", type=int, default=0, metavar="ID", help="The user, key or run.")
        parser.add_argument("--reason", default="")

    def handle(self, *args: Any, **options: Any) -> None:
        action, level, target = options["action"], options["level"], options["target"]
        at = self.at(options)
        if action != "status":
            self._switch(options, action, level, target)
            gates.switch(level, target, action, options["reason"], at, CONSOLE)
            watch.watch_positions(at)
        found = risk.all_gates()
        lines = [
            f"{gate.level} {gate.target or ''}: {gate.state} since {gate.changed_at} ({gate.reason})" for gate in found
        ]
        self.emit({"gates": found}, lines or ["Trading is active at every level."])

    def _switch(self, options: dict[str, Any], action: str, level: str, target: int) -> None:
        if not options["reason"].strip():
            raise Failure("--reason: Expected a sentence, was empty.", Exit.USAGE)
        operations.require_target(level, target)
        if action in ("flatten", "resume"):
            self.confirm(options, f"{action.capitalize()} at {level} {target or ''}?")
