"""List the strategies that this installation knows."""

import dataclasses
from typing import Any

from accounts.management.base import ConsoleCommand
from strategies import queries


class Command(ConsoleCommand):
    help = "List the strategies that this installation knows, with their parameters."

    def handle(self, *args: Any, **options: Any) -> None:
        views = queries.list_strategies()
        self.emit(
            {"items": [dataclasses.asdict(view) for view in views], "next": None}, [_line(view) for view in views]
        )


def _line(view: queries.StrategyView) -> str:
    state = "on " if view.enabled else "off"
    defaults = ", ".join(f"{name}={facts.get('default', '…')}" for name, facts in view.parameters["properties"].items())
    return f"{state}  {view.name:<20} {view.version:<4} {defaults}"
