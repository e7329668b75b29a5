"""Make a bearer token for the API and print it, once."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from accounts import operations, queries
from accounts.audit import CONSOLE
from accounts.management.base import ConsoleCommand, Exit, duration
from accounts.models import SCOPES


class Command(ConsoleCommand):
    help = "Make a bearer token for the API and print it, once. Only its hash is kept."
    takes_at = True
    failures: ClassVar[Mapping[type[Exception], int]] = {**ConsoleCommand.failures, ValueError: Exit.INVALID}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--scopes", required=True, help=f"Comma-separated, of: {', '.join(SCOPES)}.")
        parser.add_argument("--expires", type=duration, metavar="30d", help="Default: valid until revoked.")
        parser.add_argument("--label", default="", help="What will use it.")
        parser.add_argument(
            "--allow-ip", action="append", default=[], metavar="NET", help="Only from there; repeatable."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = self.at(options)
        token, text = operations.create_token(
            queries.user_by_email(options["email"]),
            [scope.strip() for scope in options["scopes"].split(",") if scope.strip()],
            at,
            CONSOLE,
            expires_at=at + options["expires"] if options["expires"] else None,
            label=options["label"],
            allowed_ips=options["allow_ip"],
        )
        document = {"token": text, "prefix": token.prefix, "scopes": token.scopes, "expires_at": token.expires_at}
        self.emit(document, [text])
