"""Write what the registry knows into the table of strategies."""

import dataclasses
from typing import Any

from accounts.audit import CONSOLE
from accounts.management.base import ConsoleCommand
from strategies import operations


class Command(ConsoleCommand):
    help = "Write what the registry knows into the table of strategies; switches and rows in use stay."
    takes_at = True

    def handle(self, *args: Any, **options: Any) -> None:
        synced = operations.sync(self.at(options), CONSOLE)
        self.emit(dataclasses.asdict(synced), [f"{word}: {_names(names)}" for word, names in _parts(synced)])


def _parts(synced: operations.Synced) -> list[tuple[str, tuple[str, ...]]]:
    return [("Added", synced.added), ("Updated", synced.updated), ("Missing", synced.missing)]


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
