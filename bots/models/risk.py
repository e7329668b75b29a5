"""The kill switch, limits and arming: what may stop an order before it leaves."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from bots.models.run import TradingAccount
from exchanges.models import ExchangeKey


class Level(models.TextChoices):
    PLATFORM = "platform"
    USER = "user"
    KEY = "key"
    RUN = "run"


class GateState(models.TextChoices):
    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


class TradingGate(models.Model):
    """The kill switch at one level; `target` is 0 for the platform. No row means ACTIVE."""

    level = models.CharField(max_length=8, choices=Level)
    target = models.PositiveBigIntegerField(default=0)
    state = models.CharField(max_length=8, choices=GateState)
    reason = models.CharField(max_length=300)
    actor = models.CharField(max_length=64)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["level", "target"], name="gate_one_per_target")]

    def __str__(self) -> str:
        return f"{self.level} {self.target}: {self.state}"


class RiskLimits(models.Model):
    """Limits at one level; the tightest of platform, user, key and run wins."""

    level = models.CharField(max_length=8, choices=Level)
    target = models.PositiveBigIntegerField(default=0)
    limits = models.JSONField(default=dict)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["level", "target"], name="limits_one_per_target")]
        verbose_name_plural = "risk limits"

    def __str__(self) -> str:
        return f"{self.level} {self.target}"


class Arming(models.Model):
    """Permission to trade live with one key, given with a second factor or at the operator's console."""

    key = models.ForeignKey(ExchangeKey, on_delete=models.PROTECT, related_name="armings")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    by = models.CharField(max_length=16, help_text="page or console")
    armed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    dropped_at = models.DateTimeField(null=True)
    drop_reason = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key"], condition=Q(dropped_at=None), name="arming_one_per_key")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"key {self.key_id} until {self.expires_at:%Y-%m-%d %H:%M}"


class Incident(models.Model):
    """Something that should not happen did: it is told, and nothing is traded to repair it."""

    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="incidents")
    kind = models.CharField(max_length=32)
    detail = models.CharField(max_length=400)
    evidence = models.JSONField(default=dict)
    at = models.DateTimeField()
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolution = models.CharField(max_length=300, blank=True)

    class Meta:
        indexes = [models.Index(fields=["account", "-id"], name="incident_by_account")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"
