"""Sweeps as work: asked for, evaluated in parts by any number of workers, ranked by whoever finishes last."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Sum

from accounts import audit
from accounts.audit import Actor
from accounts.models import User
from bots.acting import worker_name
from bots.core.attempt import Unwanted, guarded
from bots.core.backtest.terms import ENGINE_VERSION, market_facts, market_of
from bots.core.result_pack import pack_document, pack_scores, unpack_scores
from bots.core.sweep.scores import joined
from bots.core.sweep.study import Field, concluded, quest_of
from bots.models import JobState, Sweep, SweepPart
from bots.queries.research import candles_for, frozen, market_for
from bots.quota import require_room
from exchanges.candle_download import keep
from exchanges.core.candle_pack import data_sha256
from exchanges.core.market import Market
from strategies import queries as strategies

#: Of one user, waiting or running.
QUOTA = 5
#: Sets that one worker takes at a time: seconds of work, and what is lost when it dies.
PART = 250
#: Between two signs of life.
BEAT = timedelta(seconds=2)
#: A worker lets go after this long, so that other work has its turn; the next message goes on.
TURN = timedelta(seconds=60)
#: Of the percents, what the parts make up; the rest is the ranking.
PARTS_SHARE = 95.0
Clock = Callable[[], datetime]


def submit(user: User, given: Mapping[str, Any], at: datetime, actor: Actor) -> Sweep:
    """A checked sweep as work to be done, in parts; raises UnknownStrategy, StrategyDisabled, RequestError,
    SweepError, NoCandles, UnknownSymbol and, with too many unfinished, lifecycle.Conflict."""
    quest = quest_of(given)
    strategies.build(quest.request.strategy, quest.request.params)
    request = frozen(quest.request, at).as_json()
    named = {name: request[name] for name in ("strategy", "exchange", "symbol", "timeframe")}
    count = len(quest.sets.items)
    facts = {"plan": quest.plan.as_json(), "sets": count, "invalid_sets": quest.sets.invalid}
    with transaction.atomic():
        require_room(user.pk, Sweep.objects.for_user(user).unfinished(), QUOTA, "sweeps")
        row = Sweep.objects.create(owner=user, request=request, created_at=at, **named, **facts)
        SweepPart.objects.bulk_create(
            SweepPart(sweep=row, first=first, end=min(first + PART, count), created_at=at)
            for first in range(0, count, PART)
        )
        audit.record(actor, "sweep.submitted", f"sweep:{row.pk}", at=at, sets=count, **named)
    return row


def cancel(row: Sweep, at: datetime, actor: Actor) -> None:
    """What has ended stays as it is."""
    Sweep.objects.cancel(row.pk, at)
    audit.record(actor, "sweep.canceled", f"sweep:{row.pk}", at=at)


def waiting(at: datetime) -> list[int]:
    """Sweeps with a part to be done, with none left and no ranking yet, or with one that was given up."""
    unfinished = Sweep.objects.unfinished().order_by("pk")
    return [row.pk for row in unfinished[:50] if _open_part(row.pk, at) is not None or _ripe(row.pk) or _hopeless(row)]


def work(sweep_id: int, clock: Clock) -> bool:
    """Do parts until none is open or the turn is over, then rank if all are done. Any number may do this at once.

    False when there is nothing to do.
    """
    row = Sweep.objects.select_related("owner").get(pk=sweep_id)
    if row.state not in (JobState.QUEUED, JobState.RUNNING):
        return False
    with guarded(lambda why: _fail(row, why, clock())):
        return _worked(row, clock)
    return True


def _worked(row: Sweep, clock: Clock) -> bool:
    """`work` of a sweep that is wanted; raises what its range, its candles or the program can be wrong about."""
    started, field = clock(), None
    while clock() - started < TURN and (part := _claimed_part(row, clock)) is not None:
        field = field or _field(row, started)
        _do(part, row, field, clock)
    if _hopeless(row):
        _fail(row, "The worker died on one of its parts three times.", clock())
        return True
    if _ripe(row.pk):
        return _rank(row, field or _field(row, started), clock)
    return field is not None


@dataclass(frozen=True, slots=True)
class Claimed:
    pk: int
    attempt: int
    first: int
    end: int


def _open_part(sweep_id: int, at: datetime) -> int | None:
    parts = SweepPart.objects.filter(sweep=sweep_id).waiting(at).order_by("first")
    found: int | None = parts.values_list("pk", flat=True).first()
    return found


def _ripe(sweep_id: int) -> bool:
    """All parts are done."""
    return not SweepPart.objects.filter(sweep=sweep_id).exclude(state=JobState.DONE).exists()


def _hopeless(row: Sweep) -> bool:
    """A part was given up: there will be no ranking."""
    return SweepPart.objects.filter(sweep=row.pk, state=JobState.FAILED).exists()


def _claimed_part(row: Sweep, clock: Clock) -> Claimed | None:
    while not _hopeless(row) and (pk := _open_part(row.pk, clock())) is not None:
        attempt = SweepPart.objects.claim(pk, worker_name(), clock())
        if attempt is not None:
            at = clock()
            Sweep.objects.filter(pk=row.pk, state=JobState.QUEUED).update(
                state=JobState.RUNNING, started_at=at, heartbeat_at=at, phase="evaluating"
            )
            part = SweepPart.objects.get(pk=pk)
            return Claimed(pk, attempt, part.first, part.end)
    return None


def _field(row: Sweep, at: datetime) -> Field:
    quest = quest_of({**row.plan, **row.request})
    candles = candles_for(quest.request, quest.warmup())
    keep(row.exchange, row.symbol, row.timeframe, candles, at)
    return Field(quest, candles, _market(row, at))


def _market(row: Sweep, at: datetime) -> Market | None:
    """By the rules that the first worker was told, so that all parts round alike."""
    asked = Sweep.objects.filter(pk=row.pk)
    if asked.filter(rules__isnull=True).exists():
        facts = market_facts(market_for(row.exchange, row.symbol, at))
        asked.filter(rules__isnull=True).update(rules={"market": facts})
    return market_of(asked.values_list("rules", flat=True).get()["market"], row.symbol)


def _do(part: Claimed, row: Sweep, field: Field, clock: Clock) -> None:
    """Evaluate one part; raises Unwanted when nobody wants the sweep any more."""
    pulse = _Pulse(part, row, clock)
    scores = field.evaluated(part.first, part.end, pulse)
    SweepPart.objects.finish(
        part.pk, part.attempt, JobState.DONE, clock(),
        done=part.end - part.first, scores=pack_scores(scores), data_sha256=data_sha256(field.seen.read),
    )  # fmt: skip
    pulse.tell()


class _Pulse:
    """Called once per set; gives a sign of life now and then. Raises Unwanted."""

    def __init__(self, part: Claimed, row: Sweep, clock: Clock) -> None:
        self.part, self.row, self.clock = part, row, clock
        self.done, self.last = 0, clock()

    def __call__(self) -> None:
        self.done += 1
        at = self.clock()
        if at - self.last >= BEAT:
            self.last = at
            if not SweepPart.objects.beat(self.part.pk, self.part.attempt, at, done=self.done):
                raise Unwanted
            self.tell()

    def tell(self) -> None:
        """The whole sweep's progress; raises Unwanted when nobody wants it any more."""
        total = SweepPart.objects.filter(sweep=self.row.pk).aggregate(done=Sum("done"))["done"] or 0
        wanted = Sweep.objects.filter(pk=self.row.pk, state=JobState.RUNNING)
        if not wanted.update(heartbeat_at=self.clock(), progress=PARTS_SHARE * total / self.row.sets):
            raise Unwanted


def _fail(row: Sweep, why: str, at: datetime) -> None:
    Sweep.objects.filter(pk=row.pk).unfinished().update(state=JobState.FAILED, finished_at=at, error=why[:500])


def _rank(row: Sweep, field: Field, clock: Clock) -> bool:
    """By the one that turns the phase; the others find nothing to do."""
    at = clock()
    mine = Sweep.objects.filter(pk=row.pk, state=JobState.RUNNING, result=None).exclude(
        phase="ranking", heartbeat_at__gte=at - timedelta(seconds=60)
    )
    if not mine.update(phase="ranking", heartbeat_at=at, worker=worker_name()):
        return False
    parts = list(SweepPart.objects.filter(sweep=row.pk).order_by("first"))
    hashes = {part.data_sha256 for part in parts}
    if hashes != {data_sha256(field.seen.read)}:
        _fail(row, "The stored candles changed while the sweep ran; start it again.", clock())
        return True
    pieces = [unpack_scores(bytes(part.scores or b""), len(field.windows)) for part in parts]
    scores = [joined(columns) for columns in zip(*pieces, strict=True)]
    packed, sha256 = pack_document(concluded(field, scores))
    done = clock()
    Sweep.objects.filter(pk=row.pk, state=JobState.RUNNING).update(
        state=JobState.DONE, phase="done", progress=100.0, finished_at=done, result=packed, result_sha256=sha256,
        data_sha256=hashes.pop(), engine=ENGINE_VERSION, candles=len(field.seen.candles),
        candles_per_second=_pace(row.pk, field, done),
    )  # fmt: skip
    return True


def _pace(sweep_id: int, field: Field, done: datetime) -> float | None:
    started = Sweep.objects.values_list("started_at", flat=True).get(pk=sweep_id)
    seconds = (done - started) / timedelta(seconds=1) if started else 0.0
    return len(field.seen.candles) * len(field.quest.sets.items) / seconds if seconds > 0 else None
