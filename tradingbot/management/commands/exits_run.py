"""Watch positions and settle orders from the database alone."""

import argparse
import time
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.management.base import ConsoleCommand
from bots import exits
from tradingbot.exits import Watchman

LEAST_PAUSE, LONGEST_PAUSE = 0.1, 3_600.0


class Command(ConsoleCommand):
    help = "Find exits in the database while beat or broker are silent (--always: at all times); --once: one pass."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--every", type=seconds, default=5.0, metavar="SECONDS")
        parser.add_argument("--always", action="store_true")
        parser.add_argument("--once", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["once"] or options["at"] is not None:
            found = exits.scan(self.at(options), reconcile=True)
            told = f"{len(found.orders)} orders to sell, {len(found.stopped)} runs stopped, {found.settled} settled."
            self.emit(
                {name: getattr(found, name) for name in ("at", "orders", "stopped", "settled", "faults")},
                [told, *found.faults],
            )
            return
        watchman = Watchman(options["every"], always=options["always"])
        while True:
            watchman.look(timezone.now())
            time.sleep(options["every"])


def seconds(text: str) -> float:
    """A pause between two passes: without one, they would take the machine."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not LEAST_PAUSE <= value <= LONGEST_PAUSE:
        raise argparse.ArgumentTypeError(f"Expected seconds from {LEAST_PAUSE} to {LONGEST_PAUSE:g}, was {text!r}.")
    return value
