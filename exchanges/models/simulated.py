"""The simulated exchange's own books: what a paper run's exchange would remember."""

from typing import Any

from django.db import models

from exchanges.models.exact import ExactDecimalField

AMOUNT: dict[str, Any] = {"max_digits": 36, "decimal_places": 18}


class SimulatedWallet(models.Model):
    """One paper account: its deposit, and what its fills changed since."""

    exchange = models.CharField(max_length=32, help_text="Whose markets and prices it trades on.")
    quote = models.CharField(max_length=16)
    deposit = ExactDecimalField(**AMOUNT)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(deposit__gt=0), name="wallet_deposit_positive")]

    def __str__(self) -> str:
        return f"paper {self.exchange} #{self.pk}"


class SimulatedBalance(models.Model):
    """The sum of what a wallet's fills did to one asset, kept in the transaction that stores each fill."""

    wallet = models.ForeignKey(SimulatedWallet, on_delete=models.PROTECT, related_name="balances")
    asset = models.CharField(max_length=16)
    change = ExactDecimalField(**AMOUNT, default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["wallet", "asset"], name="simulated_balance_once")]

    def __str__(self) -> str:
        return f"{self.asset} {self.change:+f}"


class SimulatedOrder(models.Model):
    wallet = models.ForeignKey(SimulatedWallet, on_delete=models.PROTECT, related_name="orders")
    client_order_id = models.CharField(max_length=36)
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4)
    type = models.CharField(max_length=12)
    amount = ExactDecimalField(**AMOUNT)
    limit_price = ExactDecimalField(**AMOUNT, null=True)
    stop_price = ExactDecimalField(**AMOUNT, null=True)
    immediate = models.BooleanField(default=False)
    reserved = ExactDecimalField(
        **AMOUNT, default=0, help_text="Set aside at acceptance: quote for a buy, base for a sell."
    )
    triggered = models.BooleanField(default=False)
    status = models.CharField(max_length=12)
    accepted_at = models.DateTimeField()
    matched_until = models.DateTimeField(help_text="Prices before this instant have been looked at.")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["wallet", "client_order_id"], name="simulated_order_once"),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="simulated_amount_positive"),
            models.CheckConstraint(condition=models.Q(reserved__gte=0), name="simulated_reserve_positive"),
        ]
        indexes = [
            models.Index(fields=["wallet", "status"], name="simulated_open_orders"),
            models.Index(fields=["wallet", "symbol", "accepted_at"], name="simulated_recent_orders"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.amount} {self.symbol} {self.status}"


class SimulatedFill(models.Model):
    order = models.ForeignKey(SimulatedOrder, on_delete=models.PROTECT, related_name="fills")
    amount = ExactDecimalField(**AMOUNT)
    price = ExactDecimalField(**AMOUNT)
    fee = ExactDecimalField(**AMOUNT)
    fee_asset = models.CharField(max_length=16)
    executed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0, price__gt=0), name="simulated_fill_positive"),
            models.CheckConstraint(condition=models.Q(fee__gte=0), name="simulated_fee_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} @ {self.price}"
