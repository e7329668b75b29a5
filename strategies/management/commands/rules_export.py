"""Print a rule set as the JSON that `rules_import` takes."""

import json
from typing import Any

from django.core.management.base import CommandParser

from strategies.management.rules import RuleCommand, exported
from strategies.queries import rules


class Command(RuleCommand):
    help = "Print a rule set as the JSON that rules_import takes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", metavar="ID", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        document = exported(rules.view_of(rules.rule_set_model(None, options["id"])))
        self.emit(document, [json.dumps(document, indent=2, ensure_ascii=False)])
