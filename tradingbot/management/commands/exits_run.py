"""Watch positions and settle orders from the database alone."""

import time
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from accounts.management.base import ConsoleCommand
from bots import exits
from tradingbot.exits import Watchman


class Command(ConsoleCommand):
    help = "Find exits in the database while beat or broker are silent (--always: at all times); --once: one pass."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS")
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
