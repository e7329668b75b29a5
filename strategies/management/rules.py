"""What the commands about rule sets share: failures, documents, lines."""

from collections.abc import Mapping
from typing import Any, ClassVar

from accounts.management.base import ConsoleCommand, Exit
from strategies.operations import RuleSetProblem
from strategies.queries.rules import RuleSetView


class RuleCommand(ConsoleCommand):
    failures: ClassVar[Mapping[type[Exception], int]] = {
        **ConsoleCommand.failures,
        RuleSetProblem: Exit.INVALID,
    }


def line(view: RuleSetView) -> str:
    return f"{view.id:>6}  v{view.version:<4} {view.name}: {' '.join(view.words)}"


def exported(view: RuleSetView) -> dict[str, Any]:
    """What `rules_import` takes."""
    return {"name": view.name, "description": view.description, "definition": view.definition}
