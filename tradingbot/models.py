"""Rows by which the processes know of each other: who leads, and who was alive when."""

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
