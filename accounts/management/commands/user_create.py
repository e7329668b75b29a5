"""Make a user; the password comes from stdin."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import operations
from accounts.audit import CONSOLE
from accounts.management.base import ConsoleCommand, Exit, Failure


class Command(ConsoleCommand):
    help = "Make a user. The password is the first line of stdin, or is asked for on a terminal."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--staff", action="store_true", help="May use the administration pages.")

    def handle(self, *args: Any, **options: Any) -> None:
        password = self.read_secret("Password: ").partition("\n")[0].rstrip("\r")
        if not password:
            raise Failure("password: Expected one on stdin, was empty.", Exit.INVALID)
        at = self.at(options)
        user = operations.create_user(options["email"], password, at, CONSOLE, is_staff=options["staff"])
        document = {"id": user.pk, "email": user.email, "is_staff": user.is_staff, "created_at": user.date_joined}
        self.emit(document, [f"User {user.pk}: {user.email}{' (staff)' if user.is_staff else ''}"])
