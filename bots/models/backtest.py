"""Backtests and sweeps as work to be done once, watched while it is done, and kept."""

from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Coalesce

from accounts.models import User

#: Without a sign of life for this long, the worker is taken for dead.
SILENCE = timedelta(seconds=60)
MOST_ATTEMPTS = 3


class JobState(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELED = "canceled"


UNFINISHED = (JobState.QUEUED, JobState.RUNNING)


class JobQuerySet(models.QuerySet[Any]):
    """State is only ever changed by compare-and-swap; ``attempts`` is the fence between two workers."""

    #: Nobody else tries once this holds.
    worn_out = Q(attempts__gte=MOST_ATTEMPTS)

    def waiting(self, at: datetime) -> Self:
        """Queued, or left behind by a worker that fell silent."""
        return self.filter(Q(state=JobState.QUEUED) | Q(state=JobState.RUNNING, heartbeat_at__lt=at - SILENCE))

    def claim(self, pk: int, worker: str, at: datetime) -> int | None:
        """The attempt's number for the one worker that may do it now; one attempt too many fails the job."""
        waiting = self.filter(pk=pk).waiting(at)
        waiting.filter(self.worn_out).update(
            state=JobState.FAILED, finished_at=at, error="The worker died on it three times."
        )
        attempts = waiting.values_list("attempts", flat=True).first()
        if attempts is None:
            return None
        claimed = waiting.filter(attempts=attempts).update(
            state=JobState.RUNNING,
            worker=worker,
            attempts=attempts + 1,
            heartbeat_at=at,
            started_at=Coalesce(F("started_at"), models.Value(at, output_field=models.DateTimeField())),
        )
        return attempts + 1 if claimed else None

    def beat(self, pk: int, attempt: int, at: datetime, **facts: Any) -> bool:
        """A sign of life with what is new; False when the work is no longer wanted from this attempt."""
        mine = self.filter(pk=pk, state=JobState.RUNNING, attempts=attempt)
        return bool(mine.update(heartbeat_at=at, **facts))

    def finish(self, pk: int, attempt: int, state: JobState, at: datetime, **facts: Any) -> bool:
        mine = self.filter(pk=pk, state=JobState.RUNNING, attempts=attempt)
        return bool(mine.update(state=state, finished_at=at, **facts))

    def cancel(self, pk: int, at: datetime) -> None:
        """A worker that is at it notices at its next sign of life; what it still finds out is dropped."""
        self.filter(pk=pk, state__in=UNFINISHED).update(state=JobState.CANCELED, finished_at=at)


class OwnedQuerySet(JobQuerySet):
    def for_user(self, user: User) -> Self:
        return self.filter(owner=user)

    def unfinished(self) -> Self:
        return self.filter(state__in=UNFINISHED)


class Job(models.Model):
    """One piece of work, its state and its signs of life."""

    state = models.CharField(max_length=8, choices=JobState, default=JobState.QUEUED)
    worker = models.CharField(max_length=64, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        abstract = True


class Research(Job):
    """What a person asked for: ``request`` is what `parse_request` reads again, and enough to repeat it."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="%(class)ss")
    strategy = models.CharField(max_length=64)
    exchange = models.CharField(max_length=32)
    symbol = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=4)
    request = models.JSONField()
    phase = models.CharField(max_length=32, blank=True)
    progress = models.FloatField(default=0.0, help_text="Percent.")
    candles = models.PositiveIntegerField(null=True, blank=True)
    candles_per_second = models.FloatField(null=True, blank=True)
    data_sha256 = models.CharField(max_length=64, blank=True)
    engine = models.CharField(max_length=16, blank=True)
    result_sha256 = models.CharField(max_length=64, blank=True, help_text="Equal hash, equal result.")
    result = models.BinaryField(null=True, help_text="Compressed JSON: see bots.core.result_pack.")

    class Meta:
        abstract = True


class Backtest(Research):
    class Kind(models.TextChoices):
        REPORT = "report"
        CHECKS = "checks"

    kind = models.CharField(max_length=8, choices=Kind, default=Kind.REPORT)
    repeats = models.ForeignKey("self", null=True, blank=True, on_delete=models.SET_NULL, related_name="repetitions")
    stats = models.JSONField(null=True, help_text="The figures of the report, for lists and comparisons.")
    equity = models.BinaryField(null=True, help_text="Packed points: time, equity, close.")

    objects = OwnedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="backtest_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=UNFINISHED) | Q(finished_at__isnull=False), name="backtest_end_has_time"
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="backtest_by_owner"),
            models.Index(fields=["heartbeat_at"], condition=Q(state__in=UNFINISHED), name="backtest_unfinished"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"#{self.pk} {self.strategy} {self.symbol} {self.timeframe} {self.state}"


class Sweep(Research):
    """``plan`` is what `parse_plan` reads again; the sets are evaluated in parts."""

    plan = models.JSONField()
    rules = models.JSONField(null=True, help_text="The market's rules as the first worker was told them.")
    sets = models.PositiveIntegerField()
    invalid_sets = models.PositiveIntegerField(default=0)

    objects = OwnedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="sweep_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=UNFINISHED) | Q(finished_at__isnull=False), name="sweep_end_has_time"
            ),
        ]
        indexes = [
            models.Index(fields=["owner", "-id"], name="sweep_by_owner"),
            models.Index(fields=["heartbeat_at"], condition=Q(state__in=UNFINISHED), name="sweep_unfinished"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"#{self.pk} {self.strategy} {self.symbol} {self.timeframe} × {self.sets} {self.state}"


class SweepPart(Job):
    """Some of a sweep's sets, from ``first`` up to but without ``end``: what one worker does at a time."""

    sweep = models.ForeignKey(Sweep, on_delete=models.CASCADE, related_name="parts")
    first = models.PositiveIntegerField()
    end = models.PositiveIntegerField()
    done = models.PositiveIntegerField(default=0)
    data_sha256 = models.CharField(max_length=64, blank=True)
    scores = models.BinaryField(null=True, help_text="Packed columns per window: see bots.core.result_pack.")

    objects = JobQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["sweep", "first"], name="sweep_part_once"),
            models.CheckConstraint(condition=Q(first__lt=F("end")), name="sweep_part_not_empty"),
        ]
        ordering = ["sweep", "first"]

    def __str__(self) -> str:
        return f"sweep {self.sweep_id} sets {self.first} to {self.end} {self.state}"
