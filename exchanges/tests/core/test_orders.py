"""What a quote costs on either side, and what a balance is in all."""

from datetime import UTC, datetime
from decimal import Decimal

from exchanges.core.orders import Balance, Quote, Side


def test_buys_pay_the_ask_and_sells_get_the_bid() -> None:
    quote = Quote("BTC/USDT", Decimal(99), Decimal(101), datetime(2026, 1, 1, tzinfo=UTC))
    assert (quote.price_for(Side.BUY), quote.price_for(Side.SELL)) == (101, 99)


def test_locked_balance_is_still_ours() -> None:
    assert Balance(free=Decimal("1.5"), locked=Decimal("0.5")).total == 2
