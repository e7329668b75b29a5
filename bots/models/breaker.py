"""Circuit breakers as they stand, and every change of one."""

from django.db import models
from django.db.models import Q

from bots.core.breaker import Name, State
from bots.models.risk import Level
from bots.models.run import MONEY
from exchanges.models.exact import ExactDecimalField

LEVELS = (Level.USER, Level.KEY, Level.RUN)


class Breaker(models.Model):
    """One protection of one run, or of all runs of a user or key of a mode. No row: it was never looked at."""

    level = models.CharField(max_length=8, choices=[(level.value, level.value) for level in LEVELS])
    target = models.PositiveBigIntegerField()
    mode = models.CharField(max_length=5)
    quote = models.CharField(max_length=16, blank=True, help_text="Of which runs money is summed up; else empty.")
    name = models.CharField(max_length=20, choices=[(name.value, name.value) for name in Name])
    state = models.CharField(max_length=9, choices=[(state.value, state.value) for state in State], default="closed")
    reason = models.CharField(max_length=300, blank=True)
    tripped_at = models.DateTimeField(null=True)
    half_open_at = models.DateTimeField(null=True, help_text="Empty while open: only a person closes it.")
    since = models.DateTimeField(help_text="Trades that closed before are forgotten.")
    through = models.PositiveBigIntegerField(default=0, help_text="Id of the last closing order that was judged.")
    mark = ExactDecimalField(**MONEY, null=True, help_text="The profit that a loss of all runs is measured from.")
    mark_day = models.DateField(null=True)
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["level", "target", "mode", "quote", "name"], name="breaker_one_per_protection"
            ),
            models.CheckConstraint(condition=Q(state__in=[str(s) for s in State]), name="breaker_state_known"),
            models.CheckConstraint(
                condition=Q(state="closed") | Q(tripped_at__isnull=False), name="breaker_open_was_tripped"
            ),
        ]
        ordering = ["level", "target", "mode", "name"]

    def __str__(self) -> str:
        return f"{self.level} {self.target} {self.name}: {self.state}"


class BreakerEvent(models.Model):
    """Append-only: from which state to which, why, by whom."""

    breaker = models.ForeignKey(Breaker, on_delete=models.PROTECT, related_name="events")
    from_state = models.CharField(max_length=9)
    to_state = models.CharField(max_length=9)
    reason = models.CharField(max_length=300, blank=True)
    actor = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.from_state} → {self.to_state}: {self.reason}"
