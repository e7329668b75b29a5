"""Candles to be fetched from an exchange into the store that all users share: asked for, watched, gone on with."""

from datetime import datetime

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from bots.models.backtest import MOST_ATTEMPTS, UNFINISHED, Job, JobState, OwnedQuerySet


class DownloadQuerySet(OwnedQuerySet):
    """A worker that dies after it stored something has not failed: only fruitless attempts count."""

    worn_out = Q(attempts__gte=F("fruitful") + MOST_ATTEMPTS)

    def release(self, pk: int, attempt: int, at: datetime) -> None:
        """The turn is over: any worker may go on at once."""
        self.filter(pk=pk, state=JobState.RUNNING, attempts=attempt).update(state=JobState.QUEUED, heartbeat_at=at)

    def reopen(self, pk: int) -> bool:
        """What failed or was canceled goes on where it stood; False when it is neither."""
        ended = self.filter(pk=pk, state__in=(JobState.FAILED, JobState.CANCELED))
        return bool(ended.update(state=JobState.QUEUED, finished_at=None, error="", phase="", fruitful=F("attempts")))


class CandleDownload(Job):
    """Everything opened in [since, until) is asked for; all before ``reached`` is done."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="candle_downloads")
    exchange = models.CharField(max_length=32)
    symbol = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=4)
    since = models.DateTimeField()
    until = models.DateTimeField(help_text="The first open time that is left out; never later than it was asked.")
    reached = models.DateTimeField(help_text="Where the next attempt goes on.")
    candles = models.PositiveIntegerField(help_text="In the range, if none were missing.")
    added = models.PositiveIntegerField(default=0)
    pages = models.PositiveIntegerField(default=0)
    phase = models.CharField(max_length=32, blank=True)
    progress = models.FloatField(default=0.0, help_text="Percent.")
    candles_per_second = models.FloatField(null=True, blank=True, help_text="Of the range, at the latest attempt.")
    fruitful = models.PositiveIntegerField(default=0, help_text="The latest attempt that got on.")

    objects = DownloadQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(state__in=JobState.values), name="download_state_known"),
            models.CheckConstraint(
                condition=Q(state__in=UNFINISHED) | Q(finished_at__isnull=False), name="download_end_has_time"
            ),
            models.CheckConstraint(condition=Q(since__lt=F("until")), name="download_range_not_empty"),
            # Two would ask an exchange for the same candles twice.
            models.UniqueConstraint(
                fields=["exchange", "symbol", "timeframe"],
                condition=Q(state__in=UNFINISHED),
                name="download_market_once",
            ),
        ]
        indexes = [models.Index(fields=["owner", "-id"], name="download_by_owner")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"#{self.pk} {self.exchange} {self.symbol} {self.timeframe} {self.state}"
