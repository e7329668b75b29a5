"""A paper run's day on the stage, its candles in the store, and the report of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from accounts.audit import CONSOLE
from accounts.models import User
from bots import drift, rounds
from bots.models import BotRun, DriftReport
from bots.testing import START, Stage, start_run
from exchanges import candle_store
from exchanges.core.candles import Candles, from_ms, timeframe_ms

DAY = START.date()
#: When the nightly job looks at the first day.
NIGHT = START + timedelta(days=1, minutes=15)
Told = Callable[[int, datetime], None]


@dataclass
class Lives:
    """A run on a stage; ``at`` says what happens to it at a candle's close, before its tick; a False skips the tick."""

    run: BotRun
    stage: Stage
    happens: dict[int, Callable[[], Any]] = field(default_factory=dict)

    def through(self, indices: Iterable[int] | None = None) -> None:
        step, opens = timeframe_ms(self.stage.timeframe), self.stage.candles.opened_at
        for index in range(len(opens) - 1) if indices is None else indices:
            if self.happens.get(index, lambda: True)() is not False:
                rounds.whole_round(from_ms(int(opens[index]) + step))
            if opens[index + 1] - opens[index] > step:
                rounds.whole_round(from_ms(int(opens[index + 1])))


def live(user: User, stage: Stage, **wanted: Any) -> Lives:
    return Lives(start_run(user, timeframe=stage.timeframe, **wanted), stage)


def store(candles: Candles, timeframe: str, at: datetime = NIGHT) -> None:
    candle_store.save("demo", "BTC/USDT", timeframe, candles, "the stage", at)


def reported(run: BotRun, day: Any = DAY, at: datetime = NIGHT) -> DriftReport:
    """The day's report as the page asks for it and a worker makes it."""
    row = drift.submit(run, day, at, CONSOLE)
    assert drift.run(row.pk, lambda: at)
    row.refresh_from_db()
    assert row.state == "done", row.error
    return row


def causes(report: DriftReport) -> list[str]:
    return [row["cause"] for row in report.document["rows"]]
