"""Candles and rules of a real client over the wire: what is asked, cached, refused and downloaded."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache

from exchanges import candle_download, candle_store, market_data
from exchanges.candle_download import Target
from exchanges.core import demo
from exchanges.core.candles import Candles, to_ms
from exchanges.core.errors import ExchangeFault, UnknownSymbol
from exchanges.tests.loopback import LoopbackExchange
from exchanges.tests.loopback.faults import Fault, Kind

AT = datetime(2024, 2, 1, 10, 0, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
START = to_ms(AT - timedelta(days=2)) // 60_000 * 60_000
RECORDED = demo.candles("BTC/USDT", "1m", START, 4_000)
KLINES = "/api/v3/klines"


@pytest.fixture
def binance(loopback: LoopbackExchange) -> LoopbackExchange:
    cache.clear()
    loopback.load_candles("BTC/USDT", "1m", RECORDED)
    return loopback


def ask(count: int, at: datetime = AT) -> Candles:
    return market_data.closed_candles("binance", "BTC/USDT", "1m", count, at)


def expected(count: int, at: datetime = AT) -> list[list[float]]:
    return RECORDED.closed(at, "1m")[-count:].rows()


def test_closed_candles_come_over_the_wire_once(binance: LoopbackExchange) -> None:
    assert ask(500).rows() == expected(500)
    asked = len(binance.requests("GET", KLINES))
    assert ask(500).rows() == expected(500)
    assert len(binance.requests("GET", KLINES)) == asked


def test_next_tick_asks_for_one_candle(binance: LoopbackExchange) -> None:
    ask(500)
    before = len(binance.requests("GET", KLINES))
    binance.clock.set(AT + MINUTE)
    assert ask(500, AT + MINUTE).rows() == expected(500, AT + MINUTE)
    assert len(binance.requests("GET", KLINES)) == before + 1


def test_rules_are_read_once_and_an_unknown_symbol_is_named(binance: LoopbackExchange) -> None:
    assert market_data.market("binance", "BTC/USDT", AT).base == "BTC"
    with pytest.raises(UnknownSymbol, match="binance lists no 'FOO/BAR'"):
        market_data.market("binance", "FOO/BAR", AT)
    assert "1m" in market_data.timeframes("binance")


@pytest.mark.parametrize("kind", [Kind.MALFORMED, Kind.EMPTY, Kind.TRUNCATE, Kind.DROP_BEFORE])
def test_broken_answer_is_a_fault_and_leaves_the_cache_alone(binance: LoopbackExchange, kind: Kind) -> None:
    ask(100)
    binance.clock.set(AT + MINUTE)
    binance.faults.add(Fault(kind, on=f"GET {KLINES}", times=1))
    with pytest.raises(ExchangeFault):
        ask(100, AT + MINUTE)
    binance.faults.clear()
    assert ask(100, AT + MINUTE).rows() == expected(100, AT + MINUTE)


@pytest.mark.django_db
def test_download_pages_over_the_wire(binance: LoopbackExchange) -> None:
    since = AT.replace(second=0) - timedelta(days=1)
    done = candle_download.download(Target("binance", "BTC/USDT", "1m", since, AT, AT))
    assert done.added == 1_440
    stored = candle_store.load("binance", "BTC/USDT", "1m")
    assert stored.rows() == RECORDED.closed(AT, "1m").since(since).rows()


def test_answer_with_holes_in_its_rows_is_a_fault(binance: LoopbackExchange) -> None:
    opened = to_ms(AT.replace(second=0) - MINUTE)
    body = f'[[{opened}, null, "1", "1", "1", "1", {opened + 59_999}, "1", 1, "1", "1", "0"]]'
    binance.faults.add(Fault(Kind.ANSWER, on=f"GET {KLINES}", times=0, body=body))
    with pytest.raises(ExchangeFault):
        ask(5)
