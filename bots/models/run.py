"""A bot run, and the account of the exchange that it trades on."""

from datetime import datetime
from typing import TypedDict

from django.conf import settings
from django.db import models

from accounts.models import User
from bots.core.limits import Limits, parse_limits
from exchanges.models import ExchangeKey, SimulatedWallet
from exchanges.models.exact import ExactDecimalField
from strategies.models import Strategy


class Precision(TypedDict):
    """What every column of money, amounts and prices holds."""

    max_digits: int
    decimal_places: int


MONEY = Precision(max_digits=36, decimal_places=18)


class Mode(models.TextChoices):
    PAPER = "paper"
    LIVE = "live"


class Status(models.TextChoices):
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ERROR = "error"


#: Runs that are ticked, watched and reconciled.
ACTIVE = (Status.STARTING, Status.RUNNING, Status.PAUSED, Status.STOPPING)
#: Runs whose positions are protected and judged: one in error decides nothing more, and its stops go on.
GUARDED = (*ACTIVE, Status.ERROR)


class TradingAccount(models.Model):
    """Where orders go: one per exchange key, and one of its own for every paper run."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="trading_accounts")
    mode = models.CharField(max_length=5, choices=Mode)
    exchange = models.CharField(max_length=32)
    key = models.OneToOneField(ExchangeKey, null=True, on_delete=models.PROTECT, related_name="account")
    wallet = models.OneToOneField(SimulatedWallet, null=True, on_delete=models.PROTECT, related_name="account")
    banned_until = models.DateTimeField(null=True)
    # What reconciling remembers.
    reconciled_at = models.DateTimeField(null=True, help_text="The last pass in which the exchange answered it all.")
    compare_first = models.BooleanField(default=False, help_text="A worker has started since that pass.")
    outside = models.JSONField(default=dict, help_text="Asset → balance that is not the runs': the owner's own coins.")
    suspects = models.JSONField(default=dict, help_text="Asset → the balances of the first pass that disagreed.")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(mode="live", key__isnull=False, wallet=None)
                | models.Q(mode="paper", key=None, wallet__isnull=False),
                name="account_is_key_or_wallet",
            )
        ]

    def __str__(self) -> str:
        return f"{self.mode} {self.exchange} #{self.pk}"


class BotRunQuerySet(models.QuerySet["BotRun"]):
    def for_user(self, user: User) -> "BotRunQuerySet":
        return self.filter(user=user)

    def active(self) -> "BotRunQuerySet":
        return self.filter(status__in=ACTIVE)

    def guarded(self) -> "BotRunQuerySet":
        return self.filter(status__in=GUARDED)

    def due(self, at: datetime) -> "BotRunQuerySet":
        return self.active().filter(next_check_at__lte=at)


class BotRun(models.Model):
    """One strategy on one market with its own money, from start to stop."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="bot_runs")
    strategy = models.ForeignKey(Strategy, on_delete=models.PROTECT, related_name="runs")
    exchange = models.CharField(max_length=32)
    symbol = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=4)
    mode = models.CharField(max_length=5, choices=Mode, default=Mode.PAPER)
    key = models.ForeignKey(ExchangeKey, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="runs")
    params = models.JSONField(default=dict)
    limits = models.JSONField(default=dict)
    base = models.CharField(max_length=16)
    quote = models.CharField(max_length=16)
    capital = ExactDecimalField(**MONEY)
    status = models.CharField(max_length=8, choices=Status, default=Status.STARTING)
    status_reason = models.CharField(max_length=300, blank=True)
    close_requested = models.BooleanField(default=False, help_text="Sell what is held before stopping.")
    created_at = models.DateTimeField()
    started_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True, blank=True)
    # What the ticks remember.
    last_candle_at = models.DateTimeField(null=True, help_text="Open time of the last candle that was decided on.")
    next_check_at = models.DateTimeField()
    heartbeat_at = models.DateTimeField(null=True)
    lease_owner = models.CharField(max_length=64, blank=True)
    lease_epoch = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    # Cached fold of the run's fills; written only by bots.ledger in the transaction that books a fill.
    held = ExactDecimalField(**MONEY, default=0)

    objects = BotRunQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(capital__gt=0), name="run_capital_positive"),
            models.CheckConstraint(condition=models.Q(status__in=Status.values), name="run_status_known"),
            models.CheckConstraint(
                condition=models.Q(mode="live", key__isnull=False) | models.Q(mode="paper", key=None),
                name="run_live_has_key",
            ),
            models.UniqueConstraint(
                fields=["key", "symbol"],
                condition=models.Q(mode="live", status__in=ACTIVE),
                name="run_one_live_per_key_and_symbol",
            ),
            models.CheckConstraint(
                condition=models.Q(status="stopped", stopped_at__isnull=False) | ~models.Q(status="stopped"),
                name="run_stopped_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["user", "-id"], name="run_by_user"),
            models.Index(
                fields=["next_check_at", "exchange", "symbol", "timeframe"],
                condition=models.Q(status__in=ACTIVE),
                name="run_due",
            ),
            models.Index(fields=["account", "status"], name="run_by_account"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"#{self.pk} {self.symbol} {self.timeframe} {self.mode}"

    @property
    def own_limits(self) -> Limits:
        return parse_limits(self.limits)
