"""The simulated exchange's own books: what a paper run's exchange would remember."""

from django.db import models

AMOUNT = {"max_digits": 36, "decimal_places": 18}


class SimulatedWallet(models.Model):
    """One paper account; its balances are the fold of its deposits and fills."""

    exchange = models.CharField(max_length=32, help_text="Whose markets and prices it trades on.")
    quote = models.CharField(max_length=16)
    deposit = models.DecimalField(**AMOUNT)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(deposit__gt=0), name="wallet_deposit_positive")]

    def __str__(self) -> str:
        return f"paper {self.exchange} #{self.pk}"


class SimulatedOrder(models.Model):
    wallet = models.ForeignKey(SimulatedWallet, on_delete=models.PROTECT, related_name="orders")
    client_order_id = models.CharField(max_length=36)
    symbol = models.CharField(max_length=32)
    side = models.CharField(max_length=4)
    type = models.CharField(max_length=12)
    amount = models.DecimalField(**AMOUNT)
    limit_price = models.DecimalField(**AMOUNT, null=True)
    stop_price = models.DecimalField(**AMOUNT, null=True)
    immediate = models.BooleanField(default=False)
    status = models.CharField(max_length=12)
    accepted_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["wallet", "client_order_id"], name="simulated_order_once"),
        ]
        indexes = [models.Index(fields=["wallet", "status"], name="simulated_open_orders")]

    def __str__(self) -> str:
        return f"{self.side} {self.amount} {self.symbol} {self.status}"


class SimulatedFill(models.Model):
    order = models.ForeignKey(SimulatedOrder, on_delete=models.PROTECT, related_name="fills")
    amount = models.DecimalField(**AMOUNT)
    price = models.DecimalField(**AMOUNT)
    fee = models.DecimalField(**AMOUNT)
    fee_asset = models.CharField(max_length=16)
    executed_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(amount__gt=0, price__gt=0), name="simulated_fill_positive")]

    def __str__(self) -> str:
        return f"{self.amount} @ {self.price}"
