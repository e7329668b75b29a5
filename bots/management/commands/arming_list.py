"""List which keys may trade live."""

from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from bots.management.console import RunCommand
from bots.queries.keys import key_uses


class Command(RunCommand):
    help = "List a user's keys: armed until when, or the code that forbids live orders."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")

    def handle(self, *args: Any, **options: Any) -> None:
        uses = key_uses(accounts.user_by_email(options["email"]), self.at(options))
        found = [
            {"exchange_key_id": use.key.id, "exchange": use.key.exchange, "permit": use.permit,
             "armed_until": use.armed_until, "active_runs": use.active_runs}
            for use in uses
        ]  # fmt: skip
        lines = [
            f"#{one['exchange_key_id']:<4} {one['exchange']:<10} {one['permit']:<16} {one['armed_until'] or ''}"
            for one in found
        ]
        self.emit({"items": found, "next": None}, lines or ["No keys."])
