"""The candle store keeps every bit, knows its gaps and stores all or nothing."""

from datetime import UTC, datetime

import numpy as np
import pytest

from exchanges import candle_store
from exchanges.candle_store import Saved
from exchanges.core import demo
from exchanges.core.candle_check import Gap, joined
from exchanges.core.candle_csv import read_candle_csv
from exchanges.core.candles import Candles, from_ms, to_ms
from exchanges.core.errors import UnknownTimeframe
from exchanges.models import CandleChunk
from tradingbot.tests.places import DATA_DIR, NO_DATA

pytestmark = pytest.mark.django_db

AT = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = 3_600_000
START = to_ms(datetime(2026, 1, 30, tzinfo=UTC))
MARKET = ("demo", "BTC/USDT", "1h")
CANDLES = demo.candles("BTC/USDT", "1h", START, 100)


def save(candles: Candles, source: str = "test") -> Saved:
    return candle_store.save(*MARKET, candles, source, AT)


def test_saved_candles_load_bit_for_bit_across_months() -> None:
    assert save(CANDLES) == Saved(added=100, replaced=0, unchanged=0)
    assert candle_store.load(*MARKET).rows() == CANDLES.rows()
    assert [str(row.month) for row in CandleChunk.objects.all()] == ["2026-01-01", "2026-02-01"]
    assert sum(row.candles for row in CandleChunk.objects.all()) == 100


def test_range_starts_inclusive_and_ends_exclusive() -> None:
    save(CANDLES)
    since, until = from_ms(START + 40 * HOUR), from_ms(START + 60 * HOUR)
    assert candle_store.load(*MARKET, since, until).rows() == CANDLES[40:60].rows()
    assert candle_store.load(*MARKET, since).rows() == CANDLES[40:].rows()
    assert candle_store.load(*MARKET, None, until).rows() == CANDLES[:60].rows()
    assert len(candle_store.load(*MARKET, AT)) == 0


def test_saving_again_changes_nothing() -> None:
    save(CANDLES)
    before = candle_store.coverage(*MARKET)
    assert save(CANDLES[20:], "another") == Saved(added=0, replaced=0, unchanged=80)
    assert candle_store.coverage(*MARKET) == before


def test_overlap_adds_what_is_new_and_replaces_what_differs() -> None:
    save(CANDLES[:60])
    close = CANDLES.close.copy()
    close[50] = CANDLES.low[50]
    changed = Candles(CANDLES.opened_at, CANDLES.open, CANDLES.high, CANDLES.low, close, CANDLES.volume)
    assert save(changed[40:]) == Saved(added=40, replaced=1, unchanged=19)
    assert candle_store.load(*MARKET).rows() == changed.rows()


def test_earlier_candles_are_put_before_the_stored_ones() -> None:
    save(CANDLES[50:])
    save(CANDLES[:50])
    assert candle_store.load(*MARKET).rows() == CANDLES.rows()


def test_coverage_knows_gaps_within_and_between_months() -> None:
    turn = int((to_ms(datetime(2026, 2, 1, tzinfo=UTC)) - START) // HOUR)
    volume = CANDLES.volume.copy()
    volume[[3, 70]] = 0
    quiet = Candles(CANDLES.opened_at, CANDLES.open, CANDLES.high, CANDLES.low, CANDLES.close, volume)
    save(joined([quiet[:10], quiet[13 : turn - 2], quiet[turn + 1 :]]), "a file")
    found = candle_store.coverage(*MARKET)
    assert found is not None
    assert found.gaps == (Gap(from_ms(START + 10 * HOUR), 3), Gap(from_ms(START + (turn - 2) * HOUR), 3))
    assert (found.candles, found.missing, found.zero_volume, found.source) == (94, 6, 2, "a file")
    assert (found.first, found.last) == (from_ms(START), from_ms(START + 99 * HOUR))


def test_coverage_reads_no_columns(django_assert_num_queries: object) -> None:
    save(CANDLES)
    with django_assert_num_queries(1) as queries:  # type: ignore[operator]
        candle_store.coverage(*MARKET)
    assert '"columns"' not in queries.captured_queries[0]["sql"]


def test_markets_and_timeframes_are_kept_apart() -> None:
    save(CANDLES)
    candle_store.save("demo", "ETH/USDT", "1h", CANDLES[:5], "test", AT)
    assert [(found.symbol, found.candles) for found in candle_store.datasets()] == [("BTC/USDT", 100), ("ETH/USDT", 5)]
    assert candle_store.coverage("demo", "BTC/USDT", "1m") is None
    assert len(candle_store.load("binance", "BTC/USDT", "1h")) == 0


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [("close", float("nan"), "number 4: Expected finite prices"), ("opened_at", START, "number 4: Unsorted")],
)
def test_nonsense_is_refused_and_nothing_is_stored(column: str, value: float, words: str) -> None:
    columns = {name: getattr(CANDLES, name).copy() for name in Candles.__slots__}
    columns[column][3] = value
    with pytest.raises(ValueError, match=words):
        save(Candles(**columns))
    assert CandleChunk.objects.count() == 0


def test_unfinished_candle_is_refused() -> None:
    at = from_ms(START + 100 * HOUR - 1)
    with pytest.raises(ValueError, match="unfinished"):
        candle_store.save(*MARKET, CANDLES, "test", at)


def test_unknown_timeframe_is_named() -> None:
    with pytest.raises(UnknownTimeframe):
        candle_store.load("demo", "BTC/USDT", "7m")


def test_nothing_to_save_saves_nothing() -> None:
    assert save(CANDLES[:0]) == Saved(0, 0, 0)


def test_damage_is_found() -> None:
    save(CANDLES)
    assert candle_store.problems(*MARKET) == []
    first, second = CandleChunk.objects.order_by("month")
    blob = bytearray(first.columns)
    blob[-1] ^= 1
    CandleChunk.objects.filter(pk=first.pk).update(columns=bytes(blob))
    CandleChunk.objects.filter(pk=second.pk).update(columns=bytes(second.columns)[:-1])
    found = candle_store.problems(*MARKET)
    assert "sha256 differs" in found[0] or "Expected" in found[0]
    assert "cannot be unpacked" in found[1]


@pytest.mark.skipif(not DATA_DIR.is_dir(), reason=NO_DATA)
@pytest.mark.parametrize(
    ("name", "timeframe"),
    [
        ("btcusdt_1h_binance_2017-08_2019-12.csv", "1h"),
        ("unittestbtc_1m_freqtrade_2017-11.csv", "1m"),
        ("ethbtc_5m_freqtrade_2018-01.csv", "5m"),
    ],
)
def test_recorded_candles_come_back_bit_for_bit_with_their_gaps(name: str, timeframe: str) -> None:
    candles, report = read_candle_csv(DATA_DIR / name, timeframe, AT)
    candle_store.save("file", "A/B", timeframe, candles, name, AT)
    loaded = candle_store.load("file", "A/B", timeframe)
    for column in Candles.__slots__:
        assert np.array_equal(getattr(loaded, column), getattr(candles, column))
    found = candle_store.coverage("file", "A/B", timeframe)
    assert found is not None
    assert (found.gaps, found.missing, found.zero_volume) == (report.gaps, report.missing, report.zero_volume)
