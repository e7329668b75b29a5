"""The decision journal: one row per evaluated candle or cause, with what was decided and why."""

from django.db import models

from accounts.models import User
from bots.models.order import Order
from bots.models.run import MONEY, BotRun
from exchanges.models.exact import ExactDecimalField


class DecisionQuerySet(models.QuerySet["Decision"]):
    def for_user(self, user: User) -> "DecisionQuerySet":
        return self.filter(run__user=user)


class Decision(models.Model):
    run = models.ForeignKey(BotRun, on_delete=models.PROTECT, related_name="decisions")
    decision_key = models.CharField(max_length=96)
    at = models.DateTimeField()
    candle_opened_at = models.DateTimeField(null=True)
    close = ExactDecimalField(**MONEY, null=True)
    action = models.CharField(max_length=4)
    code = models.CharField(max_length=24)
    reason = models.CharField(max_length=400)
    confidence = models.FloatField(default=0.0)
    indicators = models.JSONField(default=dict)
    order = models.ForeignKey(Order, null=True, on_delete=models.PROTECT, related_name="decisions")

    objects = DecisionQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "decision_key"], name="decision_once")]
        indexes = [models.Index(fields=["run", "-id"], name="decision_by_run")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.action} {self.code}"


class EquityPoint(models.Model):
    """A run's equity at an instant, for its curve."""

    run = models.ForeignKey(BotRun, on_delete=models.CASCADE, related_name="equity_points")
    at = models.DateTimeField()
    equity = ExactDecimalField(**MONEY)

    class Meta:
        indexes = [models.Index(fields=["run", "at"], name="equity_by_run")]
        ordering = ["at"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.equity}"
