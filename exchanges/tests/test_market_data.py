"""Market questions by the exchange's name."""

from datetime import UTC, datetime, timedelta

import pytest

from exchanges import market_data
from exchanges.core import demo
from exchanges.core.candles import TIMEFRAMES, Candles, to_ms
from exchanges.core.errors import UnknownExchange, UnknownSymbol, UnknownTimeframe

AT = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def test_market_known_has_its_rules() -> None:
    assert market_data.market("demo", "ETH/USDT", AT) == demo.MARKETS["ETH/USDT"]
    assert set(market_data.markets("demo", AT)) == set(demo.MARKETS)
    assert list(market_data.timeframes("demo")) == list(TIMEFRAMES)


def test_market_unknown_symbol_or_exchange_is_named() -> None:
    with pytest.raises(UnknownSymbol, match="demo lists no 'FOO/BAR'"):
        market_data.market("demo", "FOO/BAR", AT)
    with pytest.raises(UnknownExchange, match="'mtgox'"):
        market_data.market("mtgox", "BTC/USDT", AT)


def test_quote_is_the_price_of_the_instant() -> None:
    assert market_data.quote("demo", "BTC/USDT", AT).ask == demo.price_at("BTC/USDT", AT)


@pytest.mark.parametrize("timeframe", ["1s", "1m", "1h", "1d"])
def test_closed_candles_end_with_the_last_closed_one(timeframe: str) -> None:
    candles = market_data.closed_candles("demo", "BTC/USDT", timeframe, 30, AT)
    step = TIMEFRAMES[timeframe]
    assert len(candles) == 30
    assert int(candles.opened_at[-1]) + step <= to_ms(AT) < int(candles.opened_at[-1]) + 2 * step
    assert not market_data.stale(candles, timeframe, AT)


def test_closed_candles_unknown_timeframe_is_named() -> None:
    with pytest.raises(UnknownTimeframe):
        market_data.closed_candles("demo", "BTC/USDT", "7m", 30, AT)


@pytest.mark.parametrize(("late", "expected"), [(0, False), (150_000, False), (150_001, True)])
def test_stale_begins_after_two_timeframes_and_half_a_minute(late: int, expected: bool) -> None:
    candles = Candles.from_rows([[to_ms(AT), 1, 1, 1, 1, 1]])
    assert market_data.stale(candles, "1m", AT + timedelta(milliseconds=late)) is expected


def test_no_candles_at_all_are_stale() -> None:
    assert market_data.stale(Candles.from_rows([]), "1m", AT)
