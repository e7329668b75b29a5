"""The capital ledger: what each run was promised of its account's money, and when it gave it back."""

from django.db import models
from django.db.models import Q

from accounts.models import User
from bots.models.run import MONEY, BotRun, TradingAccount
from exchanges.models.exact import ExactDecimalField


class CapitalKind(models.TextChoices):
    RESERVE = "reserve"
    RELEASE = "release"


class CapitalEntryQuerySet(models.QuerySet["CapitalEntry"]):
    def for_user(self, user: User) -> "CapitalEntryQuerySet":
        return self.filter(run__user=user)


class CapitalEntry(models.Model):
    """Append-only. A run reserves once when it starts and releases once when it stops; in between, its fills flow."""

    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="capital_entries")
    run = models.ForeignKey(BotRun, on_delete=models.PROTECT, related_name="capital_entries")
    quote = models.CharField(max_length=16)
    kind = models.CharField(max_length=7, choices=CapitalKind)
    amount = ExactDecimalField(**MONEY, help_text="What was set aside, or what the run owned when it gave it back.")
    at = models.DateTimeField()

    objects = CapitalEntryQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "kind"], name="capital_once_per_run_and_kind"),
            models.CheckConstraint(condition=Q(kind__in=CapitalKind.values), name="capital_kind_known"),
            models.CheckConstraint(condition=Q(amount__gte=0), name="capital_not_negative"),
        ]
        indexes = [models.Index(fields=["account", "quote"], name="capital_by_account")]
        ordering = ["-id"]
        verbose_name_plural = "capital entries"

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.quote} run {self.run_id}"
