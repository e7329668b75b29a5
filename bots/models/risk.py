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
    ACCOUNT = "account"


#: Where a person switches; the account's own gate is closed by its open cases and by nothing else.
SWITCHED = (Level.PLATFORM, Level.USER, Level.KEY, Level.RUN)


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
    by = models.CharField(max_length=16, help_text="page, admin or console")
    armed_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    dropped_at = models.DateTimeField(null=True)
    drop_reason = models.CharField(max_length=120, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["key"], condition=Q(dropped_at=None), name="arming_one_per_key")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"key {self.key_id} until {self.expires_at:%Y-%m-%d %H:%M}"


class CaseKind(models.TextChoices):
    """How the exchange's books and ours came apart."""

    BALANCE = "balance_mismatch", "Balance differs"
    ORPHAN = "orphan", "Order without a row"
    LATE_ORDER = "late_order", "Order stands after its end"
    LATE_FILL = "late_fill", "Fill after the end"
    OVERFILL = "overfill", "More filled than asked"
    UNRESOLVED = "unresolved", "Order in doubt"


class Incident(models.Model):
    """A reconciliation case: the exchange and our books disagree. It is told, and nothing is traded to repair it.

    While it is open it holds its account back (``hold``); ``agreed_at`` is the last pass that compared and found no
    difference any more, empty while it stands.
    """

    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="incidents")
    kind = models.CharField(max_length=32, choices=CaseKind)
    subject = models.CharField(max_length=96, help_text="What it is about; one open case for each.")
    detail = models.CharField(max_length=400)
    evidence = models.JSONField(default=dict)
    hold = models.CharField(max_length=8, choices=GateState)
    at = models.DateTimeField()
    last_at = models.DateTimeField(help_text="The last pass that saw it.")
    passes = models.PositiveIntegerField(default=1, help_text="In how many passes it was seen.")
    agreed_at = models.DateTimeField(null=True, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    resolved_by = models.CharField(max_length=64, blank=True)
    resolution = models.CharField(max_length=300, blank=True)

    class Meta:
        verbose_name = "case"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "kind", "subject"], condition=Q(resolved_at=None), name="case_open_once"
            ),
            models.CheckConstraint(condition=Q(resolved_at=None) | ~Q(resolution=""), name="case_resolved_with_a_note"),
        ]
        indexes = [models.Index(fields=["account", "-id"], name="incident_by_account")]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"case {self.pk}, {self.kind}: {self.detail}"
