"""Rows by which the processes know of each other, and the answers that a repeated request gets again."""

from django.conf import settings
from django.db import models


class Lease(models.Model):
    """A right that one process at a time holds until an instant; see `tradingbot.liveness`."""

    name = models.CharField(max_length=64, unique=True)
    holder = models.CharField(max_length=128)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} of {self.holder}"


class Heartbeat(models.Model):
    """The last instant at which a part of the platform proved that it works."""

    name = models.CharField(max_length=64, unique=True)
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} at {self.at:%Y-%m-%d %H:%M:%S}"


class IdempotencyRecord(models.Model):
    """The first answer to one Idempotency-Key; ``status`` is None while the request still runs.

    Of the request only a keyed hash is kept: its body may hold secrets.
    """

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    path = models.CharField(max_length=200)
    key = models.CharField(max_length=255)
    body_hash = models.CharField(max_length=64)
    started_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    location = models.CharField(max_length=200, blank=True)
    body = models.TextField(blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "path", "key"], name="idempotency_key_once")]
        indexes = [models.Index(fields=["user", "started_at"], name="idempotency_by_age")]

    def __str__(self) -> str:
        return f"{self.path} {self.key}"
