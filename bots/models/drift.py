"""Drift reports: one day of one run beside its replay, as work to be done once and as evidence that is kept."""

from datetime import date

from django.db import models
from django.db.models import Q

from accounts.models import User
from bots.models.backtest import UNFINISHED, Job, JobQuerySet, JobState
from bots.models.run import MONEY, BotRun
from exchanges.models.exact import ExactDecimalField


class DriftQuerySet(JobQuerySet):
    def for_user(self, user: User) -> "DriftQuerySet":
        return self.filter(run__user=user)

    def unfinished(self) -> "DriftQuerySet":
        return self.filter(state__in=UNFINISHED)

    def newest(self) -> "DriftQuerySet":
        """Of each day the version that was asked for last."""
        newer = DriftReport.objects.filter(
            run=models.OuterRef("run"), day=models.OuterRef("day"), version__gt=models.OuterRef("version")
        )
        return self.filter(~models.Exists(newer))


class DriftReport(Job):
    """Nothing is ever replaced: comparing a day again appends a version. ``day`` is of UTC.

    ``note`` says why a day was not compared. Money in the run's quote; None until the report is done.
    """

    run = models.ForeignKey(BotRun, on_delete=models.PROTECT, related_name="drift_reports")
    day = models.DateField()
    version = models.PositiveSmallIntegerField(default=1)
    counts = models.JSONField(default=dict, help_text="Cause → how many trades.")
    effects = models.JSONField(default=dict, help_text="Cause → what it changed of the day's end, in quote.")
    trades = models.PositiveIntegerField(default=0)
    unexplained = models.PositiveIntegerField(default=0)
    live_pnl = ExactDecimalField(**MONEY, null=True)
    replay_pnl = ExactDecimalField(**MONEY, null=True)
    difference = ExactDecimalField(**MONEY, null=True, help_text="Live less replayed.")
    remainder = ExactDecimalField(**MONEY, null=True, help_text="What the rows do not add up to.")
    document = models.JSONField(null=True, help_text="Every trade beside its replay.")
    note = models.CharField(max_length=300, blank=True)
    data_sha256 = models.CharField(max_length=64, blank=True, help_text="Of the candles, the warm-up included.")
    engine = models.CharField(max_length=16, blank=True)

    objects = DriftQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "day", "version"], name="drift_version_once"),
            models.UniqueConstraint(
                fields=["run", "day"], condition=Q(state__in=UNFINISHED), name="drift_one_unfinished_per_day"
            ),
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="drift_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=UNFINISHED) | Q(finished_at__isnull=False), name="drift_end_has_time"
            ),
        ]
        indexes = [
            models.Index(fields=["run", "-day", "-version"], name="drift_by_day"),
            models.Index(fields=["heartbeat_at"], condition=Q(state__in=UNFINISHED), name="drift_unfinished"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"run {self.run_id} {self.day:%Y-%m-%d} version {self.version} {self.state}"

    @property
    def compared(self) -> bool:
        return self.state == JobState.DONE and not self.note

    @property
    def differing(self) -> int:
        return self.trades - int(self.counts.get("SAME", 0))


def first_day(run: BotRun) -> date:
    return run.started_at.date()


def last_day(run: BotRun) -> date | None:
    """The day in which the run ended; None while it goes on."""
    return None if run.stopped_at is None else run.stopped_at.date()
