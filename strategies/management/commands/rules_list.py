"""Show a user's rule sets."""

import dataclasses
from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from strategies.management.rules import RuleCommand, line
from strategies.queries import rules


class Command(RuleCommand):
    help = "Show a user's rule sets, newest first, each in plain sentences."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", metavar="EMAIL")

    def handle(self, *args: Any, **options: Any) -> None:
        views, _ = rules.rule_sets_of(accounts.user_by_email(options["email"]), limit=500)
        self.emit({"items": [dataclasses.asdict(view) for view in views], "next": None}, map(line, views))
