"""The kill switch: status, halt, reduce, flatten, resume."""

from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from accounts.management.base import Exit, Failure
from accounts.models import User
from bots import gates, watch
from bots.management.console import RunCommand
from bots.models import SWITCHED, Level
from bots.queries import risk
from bots.queries.runs import run_model
from exchanges.models import ExchangeKey


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
        if (level == Level.PLATFORM) != (target == 0):
            raise Failure("--target: Expected an id for every level but platform.", Exit.USAGE)
        self._require(level, target)
        if action in ("flatten", "resume"):
            self.confirm(options, f"{action.capitalize()} at {level} {target or ''}?")

    def _require(self, level: str, target: int) -> None:
        """What is not there cannot be stopped, and must not look as if it had been."""
        match level:
            case Level.RUN:
                run_model(None, target)
            case Level.KEY:
                ExchangeKey.objects.present().get(pk=target)
            case Level.USER:
                User.objects.get(pk=target)
