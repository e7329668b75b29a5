"""Compare a run's days with their replays on the stored candles."""

import argparse
from collections.abc import Iterator
from datetime import date
from typing import Any

from django.core.management.base import CommandParser

from accounts.audit import CONSOLE
from accounts.management.base import Exit, Failure
from bots import drift
from bots.api.drift_schemas import DriftDayOut
from bots.management.console import RunCommand, how_many
from bots.models import BotRun, DriftReport, JobState
from bots.queries import drift as reports
from bots.queries import drift_day, runs
from bots.queries.drift import DriftView


def day_of(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"Expected a day such as 2026-03-01, was {text!r}.") from None


class Command(RunCommand):
    help = "Compare a run's days with their replays on the stored candles, and say why each trade differs."
    takes_at = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--run", type=int, required=True, metavar="ID")
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--day", type=day_of, metavar="DAY", help="One day (UTC), such as 2026-03-01.")
        which.add_argument("--days", type=how_many, default=1, metavar="N", help="The last so many that are over.")
        parser.add_argument("--again", action="store_true", help="Compare again what was compared: a new version.")

    def handle(self, *args: Any, **options: Any) -> None:
        run, at = runs.run_model(None, options["run"]), self.at(options)
        days = [options["day"]] if options["day"] else drift_day.days_over(run, at, options["days"])
        found = [self._compared(run, day, options) for day in days]
        documents = [DriftDayOut.model_validate(view).model_dump(mode="json") for view in found]
        told = [line for view in found for line in lines(view)]
        self.emit({"items": documents}, told or ["No day of this run is over yet."])
        failed = [f"{view.day:%Y-%m-%d}" for view in found if view.state == JobState.FAILED]
        if failed:
            raise Failure(f"Not compared: {', '.join(failed)}.", Exit.FAILED)

    def _compared(self, run: BotRun, day: date, options: dict[str, Any]) -> DriftView:
        done = DriftReport.objects.filter(run=run, day=day, state=JobState.DONE).exists()
        if options["again"] or not done:
            row = drift.submit(run, day, self.at(options), CONSOLE)
            drift.run(row.pk, lambda: self.at(options))
        return reports.report_of(run.pk, day)


def lines(view: DriftView) -> Iterator[str]:
    head = f"{view.day:%Y-%m-%d} version {view.version}: {view.state}"
    if view.note or view.error or view.difference is None:
        yield f"{head}. {view.note}{view.error}"
        return
    yield (
        f"{head}, {view.trades} trades, {view.differing} differ, {view.unexplained} unexplained;"
        f" bot {view.live_pnl:+.4f}, replay {view.replay_pnl:+.4f}, difference {view.difference:+.4f} {view.quote}"
        f" (remainder {view.remainder:+f})"
    )
    for trade in reports.trades_of(view):
        if trade.cause != "SAME":
            yield f"  {trade.candle:%H:%M:%S} {trade.cause:<12} {trade.effect:+.4f}  {trade.why}"
