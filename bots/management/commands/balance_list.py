"""List free and locked balances per key and paper wallet."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from bots.management.console import RunCommand, balance_document, page_document
from bots.queries import money
from bots.queries.shapes import Page
from exchanges.core.decimals import plain


class Command(RunCommand):
    help = "List one user's free and locked balances per exchange key and paper wallet, or everybody's."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL", nargs="?")

    def handle(self, *args: Any, **options: Any) -> None:
        user = accounts.user_by_email(options["email"]) if options["email"] else None
        found = money.balances_of(user, self.at(options))
        lines = (
            f"{held.mode:<5} {held.exchange:<10} {held.account}: {plain(held.free)} {held.asset} free,"
            f" {plain(held.locked)} locked"
            for held in found
        )
        self.emit(page_document(Page(found), balance_document), lines)
