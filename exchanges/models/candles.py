"""Stored candles: one row per market and month, its columns packed into one blob."""

from django.db import models


class CandleChunk(models.Model):
    """Every stored candle of one exchange, symbol and timeframe that opened in one UTC month.

    ``columns`` is what `exchanges.core.candle_pack` packs. ``candles``, ``first_opened_at``, ``last_opened_at``,
    ``gaps`` and ``zero_volume`` repeat what can be read out of it, so that coverage is known without unpacking.
    """

    exchange = models.CharField(max_length=32)
    symbol = models.CharField(max_length=32)
    timeframe = models.CharField(max_length=4)
    month = models.DateField(help_text="First day of the UTC month in which the candles opened.")
    candles = models.PositiveIntegerField()
    first_opened_at = models.DateTimeField()
    last_opened_at = models.DateTimeField()
    gaps = models.JSONField(help_text="[[first missing open time in ms, how many are missing], …] inside this month.")
    zero_volume = models.PositiveIntegerField()
    sha256 = models.CharField(max_length=64, help_text="Of the unpacked columns' bytes.")
    columns = models.BinaryField()
    source = models.CharField(max_length=200, help_text="Where the candles stored last came from.")
    stored_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["exchange", "symbol", "timeframe", "month"], name="candle_chunk_once"),
            models.CheckConstraint(condition=models.Q(candles__gt=0), name="candle_chunk_not_empty"),
            models.CheckConstraint(
                condition=models.Q(first_opened_at__lte=models.F("last_opened_at")), name="candle_chunk_in_order"
            ),
        ]
        ordering = ["exchange", "symbol", "timeframe", "month"]

    def __str__(self) -> str:
        return f"{self.exchange} {self.symbol} {self.timeframe} {self.month:%Y-%m}"
