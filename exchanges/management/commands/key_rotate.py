"""Re-encrypt every stored secret under the newest encryption key."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import operations as accounts
from accounts.audit import CONSOLE
from accounts.management.base import ConsoleCommand, Exit, Failure
from exchanges import operations


class Command(ConsoleCommand):
    help = "Re-encrypt every stored secret under the newest key of ENCRYPTION_KEY. May be interrupted and repeated."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--batch", type=int, default=200, metavar="N", help="Rows per round (default 200).")
        parser.add_argument("--dry-run", action="store_true", help="Open every secret, change none.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["batch"] < 1:
            raise Failure(f"--batch: Expected a number above zero, was {options['batch']}.", Exit.USAGE)
        at, dry_run = self.at(options), options["dry_run"]
        result = operations.rotate(options["batch"], at, CONSOLE, dry_run=dry_run)
        factors = 0 if dry_run else accounts.reseal_second_factors(at)
        verb = "would be re-encrypted" if dry_run else "re-encrypted"
        self.emit(
            {"rotated": result.rotated, "second_factors": factors, "remaining": result.remaining,
             "unreadable": list(result.unreadable), "dry_run": dry_run},
            [f"{result.rotated} keys and {factors} second factors {verb}; {result.remaining} left under older keys."],
        )  # fmt: skip
        if result.unreadable:
            ids = ", ".join(str(pk) for pk in result.unreadable)
            raise Failure(f"Keys {ids} could not be opened. Is their master key in ENCRYPTION_KEYS_RETIRED?")
