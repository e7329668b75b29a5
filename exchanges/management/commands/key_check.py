"""Ask an exchange again what a stored key may do."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from accounts.core.keyring import Undecryptable
from accounts.management.base import ConsoleCommand, Exit
from exchanges import operations, queries
from exchanges.core.errors import ExchangeFault


class Command(ConsoleCommand):
    help = "Ask the exchange what a stored key may do, and remember the answer."
    takes_at = True
    failures: ClassVar[Mapping[type[Exception], int]] = {
        **ConsoleCommand.failures,
        ExchangeFault: Exit.UNAVAILABLE,
        Undecryptable: Exit.INVALID,
    }

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", metavar="ID", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        key = operations.check_key(queries.present_key(options["id"]), self.at(options), CONSOLE)
        view = queries.view_of(key)
        self.emit(queries.document(view), [queries.line(view)])
