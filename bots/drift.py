"""Drift reports from plan to evidence: which days are due, one day carried out by a worker, a day asked for again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np
from django.db import IntegrityError, transaction
from django.db.models import Max, Q

from accounts import audit
from accounts.audit import Actor
from bots import lifecycle
from bots.acting import worker_name
from bots.core.attempt import Unwanted, guarded
from bots.core.backtest.engine import NoCandles, signals_from
from bots.core.backtest.touch import protects
from bots.core.drift.comparison import compare
from bots.core.drift.terms import DRIFT_VERSION, Drift, Lived, Tape, as_document
from bots.models import BotRun, DriftReport, JobState
from bots.models.drift import first_day, last_day
from bots.queries import drift_day
from bots.quota import require_room
from bots.situation import limits_of
from exchanges import candle_download, candle_store, market_data
from exchanges.candle_download import Target
from exchanges.core import demo
from exchanges.core.candle_pack import data_sha256
from exchanges.core.candles import Candles, timeframe_ms, to_ms
from exchanges.core.decimals import from_float, plain
from exchanges.core.errors import ExchangeFault, UnknownExchange, UnknownSymbol
from strategies import queries as strategies

#: Days of one user that wait or run at a time: nobody's backlog stands in front of the others' nights.
QUOTA: Final = 20
#: Days that the nightly job looks back, so that a platform that was down for a weekend catches up.
LOOK_BACK: Final = 3
#: After midnight, until the last candle is certainly closed and can be asked for.
SETTLED: Final = timedelta(minutes=10)
#: A day that failed is tried again by the nightly job, so often and so far apart.
TRIES: Final = 3
RETRY_AFTER: Final = timedelta(hours=6)
#: Candles that one report may download: a day of seconds.
MOST_DOWNLOADED: Final = 100_000
#: Between two signs of life: a report of a day of seconds may take minutes.
PULSE: Final = timedelta(seconds=10)
Clock = Callable[[], datetime]


@dataclass(slots=True)
class Work:
    """One attempt at one row; every sign of life may end it."""

    row: DriftReport
    attempt: int
    clock: Clock
    told: datetime

    def pulse(self) -> None:
        """A sign of life now and then; raises Unwanted."""
        at = self.clock()
        if at - self.told >= PULSE:
            self.told = at
            if not DriftReport.objects.beat(self.row.pk, self.attempt, at):
                raise Unwanted


def submit(run: BotRun, day: date, at: datetime, actor: Actor) -> DriftReport:
    """A day to be compared, or compared again as a new version; one that waits already stands.

    Raises lifecycle.Invalid for a day that is not over or in which the run did not run, lifecycle.Conflict with too
    many unfinished.
    """
    _check_day(run, day, at)
    under_way: DriftReport | None = DriftReport.objects.unfinished().filter(run=run, day=day).first()
    if under_way is not None:
        return under_way
    unfinished = DriftReport.objects.unfinished().filter(run__user=run.user_id)
    with transaction.atomic():
        require_room(run.user_id, unfinished, QUOTA, "drift_reports", "wait for one")
        row = _queue(run, day, at)
    audit.record(actor, "drift.asked", f"run:{run.pk}", at=at, day=day.isoformat(), version=row.version)
    return row


def _check_day(run: BotRun, day: date, at: datetime) -> None:
    if at < drift_day.begins(day) + drift_day.DAY:
        text = f"Expected a day that is over (UTC), was {day:%Y-%m-%d}."
        raise lifecycle.Invalid("day_not_over", text, {"day": text})
    last = last_day(run)
    if day < first_day(run) or (last is not None and day > last):
        ran = f"from {first_day(run):%Y-%m-%d}" + (f" to {last:%Y-%m-%d}" if last else "")
        text = f"Expected a day on which the bot ran, {ran}."
        raise lifecycle.Invalid("day_outside_run", text, {"day": text})


def _queue(run: BotRun, day: date, at: datetime) -> DriftReport:
    """The next version; whoever was faster stands."""
    try:
        with transaction.atomic():
            known = DriftReport.objects.filter(run=run, day=day).aggregate(last=Max("version"))["last"]
            row: DriftReport = DriftReport.objects.create(run=run, day=day, version=(known or 0) + 1, created_at=at)
            return row
    except IntegrityError:
        faster: DriftReport = DriftReport.objects.filter(run=run, day=day).order_by("-version")[0]
        return faster


def plan(at: datetime) -> int:
    """Queue every day of the last few that some run lived and nobody compared; returns how many."""
    today = (at - SETTLED).date()
    days = [today - timedelta(days=back) for back in range(LOOK_BACK, 0, -1)]
    room: dict[int, int] = {}
    queued = 0
    for day in days:
        known = _known(day)
        for run in _lived(day):
            if not _wanted(known.get(run.pk, []), at):
                continue
            left = room.setdefault(run.user_id, QUOTA - _unfinished(run.user_id))
            if left > 0:
                _queue(run, day, at)
                room[run.user_id], queued = left - 1, queued + 1
    return queued


def _lived(day: date) -> list[BotRun]:
    """The runs that were there on that day."""
    begin = drift_day.begins(day)
    still = Q(stopped_at=None) | Q(stopped_at__gt=begin)
    return list(BotRun.objects.filter(still, started_at__lt=begin + drift_day.DAY).order_by("id"))


def _unfinished(user_id: int) -> int:
    return DriftReport.objects.unfinished().filter(run__user=user_id).count()


def _known(day: date) -> dict[int, list[tuple[str, datetime | None]]]:
    """Per run the (state, end) of the day's reports: one statement for any number of runs."""
    found: dict[int, list[tuple[str, datetime | None]]] = {}
    for run_id, state, ended in DriftReport.objects.filter(day=day).values_list("run", "state", "finished_at"):
        found.setdefault(run_id, []).append((state, ended))
    return found


def _wanted(reports: Sequence[tuple[str, datetime | None]], at: datetime) -> bool:
    """Never compared, or failed a while ago and not too often."""
    if not all(state == JobState.FAILED for state, _ in reports) or len(reports) >= TRIES:
        return False
    return all(ended is None or at - ended > RETRY_AFTER for _, ended in reports)


def waiting(at: datetime) -> list[int]:
    """What a worker should do now: queued, or left behind by a dead one."""
    return list(DriftReport.objects.waiting(at).order_by("pk").values_list("pk", flat=True)[:100])


def run(report_id: int, clock: Clock) -> bool:
    """Carry one out, once; False when there is nothing to do. What a day can lack fails the row with a sentence."""
    attempt = DriftReport.objects.claim(report_id, worker_name(), clock())
    if attempt is None:
        return False
    row = DriftReport.objects.select_related("run", "run__strategy").get(pk=report_id)
    work = Work(row, attempt, clock, clock())
    with guarded(lambda why: _finish(work, JobState.FAILED, error=why)):
        try:
            _finish(work, JobState.DONE, **carry_out(work))
        except (ExchangeFault, UnknownExchange, UnknownSymbol, NoCandles) as error:
            # A sentence for the user already.
            _finish(work, JobState.FAILED, error=str(error)[:500])
    return True


def _finish(work: Work, state: JobState, **facts: Any) -> None:
    DriftReport.objects.finish(work.row.pk, work.attempt, state, work.clock(), **facts)


def carry_out(work: Work) -> dict[str, Any]:
    """The fields of the finished row."""
    row, at = work.row, work.clock()
    lived = drift_day.lived_of(row.run, row.day, at)
    strategy = strategies.rebuild(row.run.strategy.name, row.run.params)
    warmup = strategy.warmup_on(timeframe_ms(row.run.timeframe))
    candles = _candles(row.run, row.day, _since(row.run, row.day, lived, warmup), at)
    work.pulse()
    signals = strategy.signals(candles)
    known = {"data_sha256": data_sha256(candles), "engine": DRIFT_VERSION}
    first = _first(row.run, row.day, candles)
    if first >= len(candles):
        return {**known, "note": "The bot decided on no candle of that day."}
    tape = Tape(
        candles=candles[first - 1 :],
        signals=signals_from(signals, first - 1),
        market=market_data.market(row.run.exchange, row.run.symbol, at),
        limits=limits_of(row.run),
        step_ms=timeframe_ms(row.run.timeframe),
    )
    return {**known, **_told(compare(_with_highest(lived, candles, first), tape, work.pulse))}


def _told(found: Drift) -> dict[str, Any]:
    return {
        "counts": found.counts(),
        "effects": {cause: plain(effect) for cause, effect in found.effects().items()},
        "trades": len(found.rows),
        "unexplained": found.unexplained,
        "live_pnl": found.live_pnl,
        "replay_pnl": found.replay_pnl,
        "difference": found.difference,
        "remainder": found.remainder,
        "document": as_document(found),
    }


def _since(run: BotRun, day: date, lived: Lived, warmup: int) -> datetime:
    """From where candles are read: the warm-up, twice for gaps, and what a moving stop has seen since its entry."""
    step = timedelta(milliseconds=timeframe_ms(run.timeframe))
    since = drift_day.begins(day) - (2 * warmup + 1) * step
    opened_at = lived.start.position.opened_at
    if opened_at is not None and protects(limits_of(run)):
        return min(since, opened_at)
    return since


def _candles(run: BotRun, day: date, since: datetime, at: datetime) -> Candles:
    """Stored, else downloaded, else computed where the market is; raises NoCandles and what an exchange may say."""
    key, step = (run.exchange, run.symbol, run.timeframe), timeframe_ms(run.timeframe)
    end = drift_day.ends(run, day)
    stored = candle_store.load(*key, since, end)
    of_the_day = stored.since(drift_day.begins(day))
    if run.exchange == demo.NAME:
        if len(of_the_day):
            return stored
        start = -(-to_ms(since) // step) * step
        return demo.candles(run.symbol, run.timeframe, start, -(-to_ms(end) // step) - start // step)
    if len(stored) * step < to_ms(end) - to_ms(since):
        stored = _downloaded(run, since, end, at) or stored
    if not len(stored.since(drift_day.begins(day))):
        raise NoCandles(f"No candles of {run.exchange} {run.symbol} {run.timeframe} on {day:%Y-%m-%d} are known.")
    return stored


def _downloaded(run: BotRun, since: datetime, end: datetime, at: datetime) -> Candles | None:
    """What was missing, asked for once; None where it cannot be: then what is stored has to do."""
    target = Target(run.exchange, run.symbol, run.timeframe, since, min(end, at), at)
    if target.candles > MOST_DOWNLOADED:
        return None
    try:
        candle_download.download(target)
    except (ExchangeFault, UnknownExchange, UnknownSymbol):
        return None
    return candle_store.load(run.exchange, run.symbol, run.timeframe, since, end)


def _first(run: BotRun, day: date, candles: Candles) -> int:
    """The first candle at whose open the run could have been filled: there is one before it, to decide on."""
    begin = drift_day.begins(day)
    if run.started_at >= begin:
        heard = drift_day.first_heard(run)
        begin = run.started_at if heard is None else max(begin, heard + timedelta(milliseconds=1))
    return max(1, int(np.searchsorted(candles.opened_at, to_ms(begin))))


def _with_highest(lived: Lived, candles: Candles, first: int) -> Lived:
    """What a moving stop of a position from before the day had seen."""
    opened_at = lived.start.position.opened_at
    if opened_at is None:
        return lived
    entered = max(0, int(np.searchsorted(candles.opened_at, to_ms(opened_at), side="right")) - 1)
    highs = candles.high[entered:first]
    seen = from_float(float(highs.max())) if len(highs) else lived.start.position.entry_price
    highest = max(lived.start.position.entry_price, seen)
    return replace(lived, start=replace(lived.start, highest=highest))
