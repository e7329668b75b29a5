"""The strategies of the registry as rows, for runs to refer to and operators to switch off; and users' rule sets."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Lower

from accounts.models import User

MAX_NAME, MAX_DESCRIPTION = 80, 2_000


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


class RuleSetQuerySet(models.QuerySet["RuleSet"]):
    def for_user(self, user: User) -> "RuleSetQuerySet":
        return self.filter(owner=user, deleted_at=None)


class RuleSet(models.Model):
    """A user's rule without code as it is now. Runs carry the definition that they trade by: an edit changes none."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="rule_sets")
    name = models.CharField(max_length=MAX_NAME)
    description = models.TextField(blank=True, max_length=MAX_DESCRIPTION)
    definition = models.JSONField(help_text="As docs/strategies.md describes it, every default written out.")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = RuleSetQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                "owner", Lower("name"), condition=models.Q(deleted_at=None), name="rule_set_name_unique"
            ),
            models.CheckConstraint(condition=models.Q(version__gte=1), name="rule_set_version_from_one"),
        ]
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"


class RuleSetVersion(models.Model):
    """What a rule set said at one time; written with it and never changed."""

    rule_set = models.ForeignKey(RuleSet, on_delete=models.PROTECT, related_name="versions")
    version = models.PositiveIntegerField()
    name = models.CharField(max_length=MAX_NAME)
    description = models.TextField(blank=True, max_length=MAX_DESCRIPTION)
    definition = models.JSONField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule_set", "version"], name="rule_set_version_unique")]
        ordering = ["-version"]

    def __str__(self) -> str:
        return f"{self.name} (version {self.version})"
