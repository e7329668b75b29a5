"""Downloads over the wire: interrupted at any page they leave no hole that nobody asks for again."""

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from hypothesis import given
from hypothesis import strategies as st

from exchanges import candle_store
from exchanges.candle_download import Target, download, merged, pages
from exchanges.core import demo
from exchanges.core.candles import Candles, to_ms
from exchanges.core.errors import Unavailable, UnknownSymbol, UnknownTimeframe
from exchanges.tests.loopback import LoopbackExchange
from exchanges.tests.loopback.faults import Fault, Kind

pytestmark = pytest.mark.django_db
AT = datetime(2024, 2, 1, 10, 0, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
COUNT = 4_500
SINCE = AT.replace(second=0) - COUNT * MINUTE
RECORDED = demo.candles("BTC/USDT", "1m", to_ms(SINCE), COUNT + 1)
KEY = ("binance", "BTC/USDT", "1m")
KLINES = "/api/v3/klines"


@pytest.fixture
def binance(loopback: LoopbackExchange) -> LoopbackExchange:
    cache.clear()
    loopback.clock.set(AT)
    loopback.load_candles("BTC/USDT", "1m", RECORDED)
    return loopback


def target(since: datetime = SINCE, until: datetime = AT, **changed: bool) -> Target:
    return Target(*KEY, since, until, AT, **changed)


def asked(binance: LoopbackExchange) -> int:
    return len(binance.requests("GET", KLINES))


def test_unfinished_last_candle_is_never_stored(binance: LoopbackExchange) -> None:
    done = download(target())
    assert (done.pages, done.added) == (5, COUNT)
    assert candle_store.load(*KEY).rows() == RECORDED[:COUNT].rows()


@pytest.mark.parametrize("broken_at", range(5))
def test_interrupted_download_goes_on_at_any_page(binance: LoopbackExchange, broken_at: int) -> None:
    candle_store.save(*KEY, RECORDED[COUNT - 20 : COUNT], "a test", AT)
    walk = pages(target())
    for _ in range(broken_at):
        next(walk)
    walk.close()
    download(target())
    assert candle_store.load(*KEY).rows() == RECORDED[:COUNT].rows()
    before = asked(binance)
    assert download(target()).pages == 0
    assert asked(binance) == before


def test_two_stretches_far_apart_are_joined_by_the_third(binance: LoopbackExchange) -> None:
    download(target(until=SINCE + 500 * MINUTE))
    download(target(since=AT - 500 * MINUTE))
    done = download(target(since=SINCE + 100 * MINUTE, until=AT - 100 * MINUTE))
    assert done.added == COUNT - 500 - 499
    assert (done.replaced, done.unchanged) == (0, 0)
    assert candle_store.load(*KEY).rows() == RECORDED[:COUNT].rows()


def test_gaps_close_together_are_asked_for_together_and_known_candles_stay(binance: LoopbackExchange) -> None:
    holes = {100, 101, 300, 900}
    kept = Candles.from_rows([row for at, row in enumerate(RECORDED[:COUNT].rows()) if at not in holes])
    kept.close[200] = kept.high[200]
    candle_store.save(*KEY, kept, "a test", AT)
    before = asked(binance)
    done = download(target())
    assert (done.added, done.replaced, done.unchanged) == (4, 0, 0)
    assert asked(binance) == before + 1
    assert candle_store.load(*KEY).close[202] == kept.close[200]


def test_again_takes_what_the_exchange_says_now(binance: LoopbackExchange) -> None:
    changed = Candles.from_rows(RECORDED[:COUNT].rows())
    changed.volume[7] += 1
    candle_store.save(*KEY, changed, "a test", AT)
    done = download(target(again=True))
    assert (done.added, done.replaced, done.unchanged) == (0, 1, COUNT - 1)
    assert candle_store.load(*KEY).rows() == RECORDED[:COUNT].rows()


def test_gap_of_the_exchange_stays_a_gap(binance: LoopbackExchange) -> None:
    rows = RECORDED.rows()
    binance.load_candles("BTC/USDT", "1m", Candles.from_rows(rows[:1_500] + rows[3_700:]))
    download(target())
    known = candle_store.coverage(*KEY)
    assert known is not None
    assert (known.candles, known.missing, len(known.gaps)) == (COUNT - 2_200, 2_200, 1)


def test_nonsense_of_an_exchange_stores_nothing_of_that_page(binance: LoopbackExchange) -> None:
    opened = to_ms(SINCE)
    body = f'[[{opened}, "1", "2", "3", "1", "1", {opened + 59_999}, "1", 1, "1", "1", "0"]]'
    binance.faults.add(Fault(Kind.ANSWER, on=f"GET {KLINES}", times=0, body=body))
    with pytest.raises(Unavailable):
        download(target())
    assert candle_store.coverage(*KEY) is None


def test_what_is_not_offered_is_named(binance: LoopbackExchange) -> None:
    with pytest.raises(UnknownSymbol, match="lists no 'FOO/BAR'"):
        download(Target("binance", "FOO/BAR", "1m", SINCE, AT, AT))
    with pytest.raises(UnknownTimeframe, match="on binance"):
        download(Target("binance", "BTC/USDT", "5s", SINCE, AT, AT))


def test_range_without_a_closed_candle_asks_for_nothing(binance: LoopbackExchange) -> None:
    before = asked(binance)
    assert download(target(since=AT + MINUTE, until=AT + 2 * MINUTE)).pages == 0
    assert asked(binance) == before


@given(st.lists(st.integers(0, 400), unique=True, max_size=40), st.integers(1, 100))
def test_merged_stretches_cover_the_same_and_fit_an_answer(edges: list[int], room: int) -> None:
    edges = sorted(edges)[: len(edges) // 2 * 2]
    stretches = list(zip(edges[::2], edges[1::2], strict=True))
    found = merged(stretches, room)
    assert all(any(low <= first and last <= high for low, high in found) for first, last in stretches)
    assert all(high - low <= room or (low, high) in stretches for low, high in found)
    assert found == sorted(found)
