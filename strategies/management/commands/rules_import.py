"""Keep a rule set from a JSON file for a user."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from accounts import queries as accounts
from accounts.audit import CONSOLE
from accounts.management.base import Exit, Failure
from strategies import operations
from strategies.management.rules import RuleCommand, line
from strategies.operations import RuleSetFacts
from strategies.queries import rules

MOST_BYTES = 1_000_000


class Command(RuleCommand):
    help = "Keep a rule set from a JSON file: {name, description, definition} as rules_export prints, or a definition."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="- for stdin")
        parser.add_argument("--user", metavar="EMAIL", required=True)
        parser.add_argument("--name", help="Instead of the file's.")

    def handle(self, *args: Any, **options: Any) -> None:
        facts = _facts(_document(options["file"]), options["name"])
        owner = accounts.user_by_email(options["user"])
        made = rules.view_of(operations.create_rule_set(owner, facts, self.at(options), CONSOLE))
        self.emit(dataclasses.asdict(made), [line(made)])


def _document(name: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read(MOST_BYTES) if name == "-" else _text(Path(name))
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Failure(f"{name}: Expected JSON ({error}).", Exit.INVALID) from None
    if not isinstance(document, dict):
        raise Failure(f"{name}: Expected a JSON object, was {type(document).__name__}.", Exit.INVALID)
    return document


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.read(MOST_BYTES)
    except FileNotFoundError:
        raise Failure(f"{path}: Expected a file, was none.", Exit.NOT_FOUND) from None
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", Exit.INVALID) from None


def _facts(document: dict[str, Any], name: str | None) -> RuleSetFacts:
    whole = document if "definition" in document else {"definition": document}
    if unknown := whole.keys() - {"name", "description", "definition"}:
        raise Failure(f"Expected name, description and definition, was {', '.join(sorted(unknown))} too.", Exit.INVALID)
    texts: dict[str, Any] = {"name": whole.get("name", "") if name is None else name}
    texts["description"] = whole.get("description", "")
    for field, value in texts.items():
        if not isinstance(value, str):
            raise Failure(f"{field}: Expected a text, was {type(value).__name__}.", Exit.INVALID)
    return RuleSetFacts(texts["name"], texts["description"], whole["definition"])
