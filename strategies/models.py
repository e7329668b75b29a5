"""The strategies of the registry as rows, so that runs can refer to them and an operator can switch them off."""

from django.db import models


class StrategyQuerySet(models.QuerySet["Strategy"]):
    def enabled(self) -> "StrategyQuerySet":
        return self.filter(enabled=True)


class Strategy(models.Model):
    """Mirrors one registered class: only ``enabled`` belongs to the row, the rest is written by `operations.sync`."""

    name = models.CharField(max_length=64)
    description = models.TextField()
    enabled = models.BooleanField(default=True, help_text="New runs and backtests may use it.")
    version = models.CharField(max_length=32)
    parameters = models.JSONField(default=dict, help_text="JSON Schema of the parameters.")
    module = models.CharField(max_length=255, help_text="Where the class is, as module:Class.")
    synced_at = models.DateTimeField()
    missing_since = models.DateTimeField(null=True, blank=True, help_text="Set while no module provides it.")

    objects = StrategyQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["name"], name="strategy_name_unique")]
        ordering = ["name"]
        verbose_name_plural = "strategies"

    def __str__(self) -> str:
        return self.name
