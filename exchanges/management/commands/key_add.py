"""Store an exchange key for a user, encrypted; the key itself comes on stdin."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from accounts import queries as accounts
from accounts.audit import CONSOLE
from accounts.management.base import ConsoleCommand, Exit, Failure
from exchanges import operations, queries

FIELDS = {"api_key", "api_secret", "passphrase"}


class Command(ConsoleCommand):
    help = 'Store an exchange key. Expects {"api_key": …, "api_secret": …, "passphrase": …} as JSON on stdin.'
    takes_at = True
    failures: ClassVar[Mapping[type[Exception], int]] = {
        **ConsoleCommand.failures,
        operations.KeyCanWithdraw: Exit.REFUSED,
        operations.KeyProblem: Exit.INVALID,
    }

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("exchange", metavar="EXCHANGE")
        parser.add_argument("--label", default="", help="How you call it.")

    def handle(self, *args: Any, **options: Any) -> None:
        owner = accounts.user_by_email(options["email"])
        given = self.credentials()
        key = operations.add_key(
            owner, options["exchange"], **given, label=options["label"], at=self.at(options), actor=CONSOLE
        )
        view = queries.view_of(key)
        self.emit(queries.document(view), [queries.line(view)])

    def credentials(self) -> dict[str, str]:
        text = self.read_secret("Key as JSON: ")
        try:
            given = json.loads(text)
        except ValueError:
            raise Failure("stdin: Expected one JSON object.", Exit.INVALID) from None
        if not isinstance(given, dict) or not set(given) <= FIELDS or not {"api_key", "api_secret"} <= set(given):
            raise Failure(
                "stdin: Expected a JSON object with api_key, api_secret, passphrase (optional).", Exit.INVALID
            )
        if not all(isinstance(value, str) for value in given.values()):
            raise Failure("stdin: Expected texts as values.", Exit.INVALID)
        return given
