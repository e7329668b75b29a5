"""Show stored exchange keys, without anything secret."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from accounts.management.base import ConsoleCommand
from exchanges import queries


class Command(ConsoleCommand):
    help = "Show stored exchange keys, of one user or of all."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL", nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        email = options["email"]
        views = queries.keys_of(accounts.user_by_email(email)) if email else queries.all_keys()
        self.emit(
            {"items": [queries.document(view) for view in views], "next": None}, [queries.line(view) for view in views]
        )
