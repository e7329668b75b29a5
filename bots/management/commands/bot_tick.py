"""One tick of every due run, in this process, start to end."""

from typing import Any

from django.core.management.base import CommandParser

from bots import rounds
from bots.management.console import RunCommand
from exchanges.core.candles import TIMEFRAMES


class Command(RunCommand):
    help = "Settle orders, watch positions and tick every due run as of an instant, in this process."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--timeframe", choices=tuple(TIMEFRAMES), help="Only runs on this timeframe.")

    def handle(self, *args: Any, **options: Any) -> None:
        done = rounds.whole_round(self.at(options), options["timeframe"])
        ticked = done.tick
        lines = [
            (
                f"{ticked.runs} runs on {ticked.markets} markets: {ticked.decisions} decisions,"
                f" {len(done.orders)} orders, {done.fills} fills."
            ),
            *done.faults,
        ]
        document = {
            "at": done.at,
            "markets": ticked.markets,
            "runs": ticked.runs,
            "decisions": ticked.decisions,
            "orders": done.orders,
            "fills": done.fills,
            "stopped": done.stopped,
            "faults": done.faults,
        }
        self.emit(document, lines)
