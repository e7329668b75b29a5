"""List what the runs own of each account's money."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from bots.management.console import RunCommand
from bots.models import Mode
from bots.queries import capital
from exchanges.core.decimals import plain


class Command(RunCommand):
    help = "List, per account and quote currency, what a user's runs own and what is left for the next one."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--mode", choices=Mode.values, default="")

    def handle(self, *args: Any, **options: Any) -> None:
        user = accounts.user_by_email(options["email"])
        found = capital.capital_of(user, self.at(options), mode=options["mode"])
        lines = (
            f"{one.mode:<5} {one.exchange:<10} {one.account}: {len(one.runs)} runs own {plain(one.owned)} {one.quote},"
            f" {'unknown' if one.available is None else plain(one.available)} available"
            for one in found
        )
        self.emit({"items": found, "next": None}, lines)
