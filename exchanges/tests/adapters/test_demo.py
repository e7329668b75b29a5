"""The demo exchange as of an instant."""

from datetime import UTC, datetime, timedelta

from exchanges.adapters.demo import DemoExchange
from exchanges.core import demo
from exchanges.core.candles import TIMEFRAMES, from_ms

AT = datetime(2026, 3, 1, 12, 0, 30, 250_000, tzinfo=UTC)


def test_quote_is_one_price_and_equals_the_next_candles_open() -> None:
    quote = DemoExchange(AT).fetch_quote("BTC/USDT")
    candles = DemoExchange(AT).fetch_candles("BTC/USDT", "1s", AT - timedelta(seconds=5), 100)
    assert quote.bid == quote.ask == demo.price_at("BTC/USDT", AT)
    assert from_ms(int(candles.opened_at[-1])) == AT.replace(microsecond=0)
    assert float(quote.bid) == candles.open[-1] == candles.close[-2]
    assert quote.at == AT


def test_markets_carry_the_rules_orders_are_checked_against() -> None:
    exchange = DemoExchange(AT)
    assert {"BTC/USDT", "ETH/USDT", "SOL/USDT"} <= set(exchange.markets())
    market = exchange.markets()["BTC/USDT"]
    assert (str(market.amount_step), str(market.price_tick), str(market.min_notional)) == ("0.00001", "0.01", "5")
    assert str(market.taker_fee) == "0.001"
    assert exchange.name == "demo"
    assert list(exchange.timeframes()) == list(TIMEFRAMES)
    assert exchange.fetch_time() == AT
