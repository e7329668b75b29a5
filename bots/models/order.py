"""Orders, their events and their fills: one row per intent, for ever."""

from django.db import models
from django.db.models import Q

from accounts.models import User
from bots.core.intent import OrderIntent, Purpose
from bots.core.order_state import FINAL, IN_FLIGHT, UNSENT, OrderState
from bots.models.run import MONEY, BotRun, TradingAccount
from exchanges.core.orders import OrderRequest, OrderType, Side
from exchanges.models.exact import ExactDecimalField


class OrderQuerySet(models.QuerySet["Order"]):
    def for_user(self, user: User) -> "OrderQuerySet":
        return self.filter(run__user=user)

    def live(self) -> "OrderQuerySet":
        """Not final: planned or in flight."""
        return self.exclude(state__in=FINAL)

    def in_flight(self) -> "OrderQuerySet":
        return self.filter(state__in=IN_FLIGHT)

    def resting(self) -> "OrderQuerySet":
        """What may be waiting at the exchange and can be called back: entries, and whatever was sent to rest."""
        return self.live().filter(Q(rests=True) | Q(purpose=Purpose.ENTRY.value))


class Order(models.Model):
    """Written before it is sent, sent at most once, and then settled until its end is known."""

    run = models.ForeignKey(BotRun, on_delete=models.PROTECT, related_name="orders")
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="orders")
    symbol = models.CharField(max_length=32)
    slot = models.CharField(max_length=96)
    decision_key = models.CharField(max_length=96)
    client_order_id = models.CharField(max_length=36)
    purpose = models.CharField(max_length=6, choices=[(p.value, p.value) for p in Purpose])
    side = models.CharField(max_length=4, choices=[(s.value, s.value) for s in Side])
    type = models.CharField(max_length=12, choices=[(t.value, t.value) for t in OrderType])
    amount = ExactDecimalField(**MONEY)
    price = ExactDecimalField(**MONEY, help_text="The market's price at the decision.")
    limit_price = ExactDecimalField(**MONEY, null=True)
    stop_price = ExactDecimalField(**MONEY, null=True)
    rests = models.BooleanField(default=False, help_text="May wait at the exchange; else immediate-or-cancel.")
    rest_until = models.DateTimeField(null=True, help_text="When it is called back; empty: not by time.")
    state = models.CharField(
        max_length=14, default=OrderState.PLANNED.value, choices=[(s.value, s.value) for s in OrderState]
    )
    exchange_order_id = models.CharField(max_length=64, null=True)
    planned_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    send_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0)
    miss_count = models.PositiveIntegerField(default=0)
    first_miss_at = models.DateTimeField(null=True)
    last_miss_at = models.DateTimeField(null=True)
    next_settle_at = models.DateTimeField(null=True)
    filled = ExactDecimalField(**MONEY, default=0)
    average = ExactDecimalField(**MONEY, null=True)
    reject_code = models.CharField(max_length=24, blank=True)
    reject_detail = models.CharField(max_length=300, blank=True)
    risk_snapshot = models.JSONField(default=dict)
    created_by = models.CharField(max_length=24, default="tick")

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "decision_key"], name="order_one_per_decision"),
            models.UniqueConstraint(fields=["account", "client_order_id"], name="order_client_id_unique"),
            models.UniqueConstraint(
                fields=["account", "symbol", "exchange_order_id"],
                condition=Q(exchange_order_id__isnull=False),
                name="order_exchange_id_unique",
            ),
            models.UniqueConstraint(
                fields=["slot"], condition=~Q(state__in=[str(s) for s in sorted(FINAL)]), name="order_one_live_per_slot"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="order_amount_positive"),
            models.CheckConstraint(condition=Q(state__in=[str(s) for s in OrderState]), name="order_state_known"),
            models.CheckConstraint(
                condition=Q(send_at=None, state__in=[str(s) for s in sorted(UNSENT)])
                | (Q(send_at__isnull=False) & ~Q(state__in=[str(s) for s in sorted(UNSENT)])),
                name="order_sent_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["run", "-id"], name="order_by_run"),
            models.Index(
                fields=["account", "id"],
                condition=~Q(state__in=[str(s) for s in sorted(FINAL)]),
                name="order_unsettled",
            ),
            models.Index(fields=["account", "-planned_at"], name="order_rate"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.side} {self.amount} {self.symbol} {self.state}"

    @property
    def intent(self) -> OrderIntent:
        """The wish that was written down, for risk to judge again."""
        return OrderIntent(
            Purpose(self.purpose),
            Side(self.side),
            OrderType(self.type),
            self.amount,
            self.price,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            leg=self.slot.split(":", 2)[2],
            rests=self.rests,
            rest_until=self.rest_until,
        )

    @property
    def request(self) -> OrderRequest:
        """What is sent, signed with the claim's instant."""
        if self.send_at is None:
            raise ValueError(f"Expected a claimed order, was {self.state}.")
        return OrderRequest(
            client_order_id=self.client_order_id,
            symbol=self.symbol,
            side=Side(self.side),
            type=OrderType(self.type),
            amount=self.amount,
            sent_at=self.send_at,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            immediate=self.type == OrderType.LIMIT and not self.rests,
        )


class OrderEvent(models.Model):
    """Append-only: every change of an order's state, when, why and by whom."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="events")
    sequence = models.PositiveIntegerField()
    from_state = models.CharField(max_length=14, blank=True)
    to_state = models.CharField(max_length=14)
    cause = models.CharField(max_length=300)
    actor = models.CharField(max_length=64)
    at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["order", "sequence"], name="event_sequence_unique")]
        ordering = ["order", "sequence"]

    def __str__(self) -> str:
        return f"{self.from_state or '·'} → {self.to_state}: {self.cause}"


class Fill(models.Model):
    """Append-only: one execution at the exchange, booked once."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="fills")
    run = models.ForeignKey(BotRun, on_delete=models.PROTECT, related_name="fills")
    account = models.ForeignKey(TradingAccount, on_delete=models.PROTECT, related_name="fills")
    symbol = models.CharField(max_length=32)
    trade_id = models.CharField(max_length=64)
    side = models.CharField(max_length=4)
    amount = ExactDecimalField(**MONEY)
    price = ExactDecimalField(**MONEY)
    fee = ExactDecimalField(**MONEY)
    fee_asset = models.CharField(max_length=16)
    executed_at = models.DateTimeField()
    booked_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "symbol", "trade_id"], name="fill_booked_once"),
            models.CheckConstraint(condition=Q(amount__gt=0) & Q(price__gt=0), name="fill_positive"),
        ]
        indexes = [models.Index(fields=["run", "id"], name="fill_by_run")]
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.side} {self.amount} {self.symbol} @ {self.price}"


#: What a run's cached position and a fold of its fills have in common.
POSITION_FIELDS = ("amount", "entry_price", "realized", "fees", "open_fees", "cash")


class RunPosition(models.Model):
    """The fold of a run's fills up to `through`: a cache that can be thrown away and folded again."""

    run = models.OneToOneField(BotRun, on_delete=models.PROTECT, related_name="position", primary_key=True)
    through = models.PositiveBigIntegerField(default=0, help_text="Id of the last fill in the fold.")
    amount = ExactDecimalField(**MONEY, default=0)
    entry_price = ExactDecimalField(**MONEY, default=0)
    realized = ExactDecimalField(**MONEY, default=0)
    fees = ExactDecimalField(**MONEY, default=0)
    open_fees = ExactDecimalField(**MONEY, default=0)
    cash = ExactDecimalField(**MONEY, default=0)
    other_fees = models.JSONField(default=dict)
    opened_at = models.DateTimeField(null=True)
    peak_price = ExactDecimalField(**MONEY, null=True, help_text="Highest price seen since the entry.")
    # Protections' memory, folded from closing trades.
    loss_streak = models.PositiveIntegerField(default=0)
    last_loss_at = models.DateTimeField(null=True)
    peak_equity = ExactDecimalField(**MONEY, null=True)
    day = models.DateField(null=True)
    day_start_equity = ExactDecimalField(**MONEY, null=True)

    def __str__(self) -> str:
        return f"{self.amount} @ {self.entry_price}"


class TradeLogQuerySet(models.QuerySet["TradeLog"]):
    def for_user(self, user: User) -> "TradeLogQuerySet":
        return self.filter(run__user=user)


class TradeLog(models.Model):
    """What people read: one row per fill. `pnl` is net of both legs' fees, on sells; None on buys."""

    run = models.ForeignKey(BotRun, on_delete=models.PROTECT, related_name="trades")
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="trades")
    fill = models.OneToOneField(Fill, on_delete=models.PROTECT, related_name="trade")
    user_id = models.BigIntegerField(help_text="The run's user, repeated for the lists' index.")
    mode = models.CharField(max_length=5)
    symbol = models.CharField(max_length=32)
    quote = models.CharField(max_length=16)
    side = models.CharField(max_length=4)
    quantity = ExactDecimalField(**MONEY)
    price = ExactDecimalField(**MONEY)
    fee = ExactDecimalField(**MONEY)
    fee_asset = models.CharField(max_length=16)
    pnl = ExactDecimalField(**MONEY, null=True)
    executed_at = models.DateTimeField()

    objects = TradeLogQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["user_id", "-id"], name="trade_by_user"),
            models.Index(fields=["run", "-id"], name="trade_by_run"),
            models.Index(fields=["user_id", "mode", "executed_at"], name="trade_by_time"),
        ]
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol} @ {self.price}"
