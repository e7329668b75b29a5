"""List the circuit breakers and why they are open."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from bots.management.console import RunCommand
from bots.queries import breakers


class Command(RunCommand):
    help = "List the circuit breakers of one user's runs, or of everybody's: state, reason, and when they end."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL", nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        user = accounts.user_by_email(options["email"]) if options["email"] else None
        found = breakers.breakers_of(user, self.at(options))
        lines = [
            f"#{one.id:<4} {one.level} {one.target} {one.mode:<5} {one.quote:<5} {one.name:<16} {one.state:<9} "
            f"{one.reason}"
            for one in found
        ]
        self.emit({"items": found, "next": None}, lines or ["No protection has been assessed yet."])
