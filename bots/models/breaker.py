"""Circuit breakers as they stand, and every change of one."""

from django.db import models
from django.db.models import Q

from bots.core.breaker import Name, State
from bots.models.risk import Level


class Breaker(models.Model):
    """One protection of one run, or of all of a user's runs of a mode. No row: it was never looked at."""

    level = models.CharField(max_length=8, choices=[(Level.USER.value, "user"), (Level.RUN.value, "run")])
    target = models.PositiveBigIntegerField()
    mode = models.CharField(max_length=5)
    name = models.CharField(max_length=20, choices=[(name.value, name.value) for name in Name])
    state = models.CharField(max_length=9, choices=[(state.value, state.value) for state in State], default="closed")
    reason = models.CharField(max_length=300, blank=True)
    tripped_at = models.DateTimeField(null=True)
    half_open_at = models.DateTimeField(null=True, help_text="Empty while open: only a person closes it.")
    since = models.DateTimeField(help_text="Trades that closed before are forgotten.")
    through = models.PositiveBigIntegerField(default=0, help_text="Id of the last closing order that was judged.")
    changed_at = models.DateTimeField()
    changed_by = models.CharField(max_length=64)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["level", "target", "mode", "name"], name="breaker_one_per_protection"),
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
