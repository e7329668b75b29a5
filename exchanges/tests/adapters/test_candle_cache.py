"""The candle cache asks for what is new, uses nothing unfinished and trusts no nonsense."""

from datetime import datetime, timedelta

import numpy as np
import pytest
from django.core.cache import cache

from exchanges.adapters.candle_cache import closed_candles
from exchanges.adapters.replay import ReplaySource
from exchanges.core import demo
from exchanges.core.candles import Candles, from_ms, to_ms
from exchanges.core.errors import Unavailable, UnknownSymbol, UnknownTimeframe

MINUTE = 60_000
START = 1_767_225_600_000
ALL = demo.candles("BTC/USDT", "1m", START, 3_000)


class Counted(ReplaySource):
    """A recording that counts what it is asked for, and can be told to answer otherwise."""

    def __init__(self, candles: Candles, at: datetime) -> None:
        super().__init__("recorded", demo.MARKETS["BTC/USDT"], candles, "1m", at)
        self.asked: list[tuple[int, int]] = []

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        self.asked.append((to_ms(since), limit))
        return self.answer(super().fetch_candles(symbol, timeframe, since, limit))

    def answer(self, candles: Candles) -> Candles:
        return candles


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def at(minute: float) -> datetime:
    return from_ms(START + int(minute * MINUTE))


def ask(source: ReplaySource, count: int) -> Candles:
    return closed_candles(source, "BTC/USDT", "1m", count, source.at)


def expected(minute: int, count: int, candles: Candles = ALL) -> list[list[float]]:
    return candles.closed(at(minute), "1m")[-count:].rows()


def without(*dropped: int) -> Candles:
    kept = np.setdiff1d(np.arange(len(ALL)), dropped)
    return Candles(*(getattr(ALL, name)[kept] for name in ("opened_at", "open", "high", "low", "close", "volume")))


def test_forming_candle_is_never_among_the_closed_ones() -> None:
    candles = ask(Counted(ALL, at(1_000.5)), 100)
    assert candles.rows() == expected(1_000, 100)
    assert int(candles.opened_at[-1]) == START + 999 * MINUTE


@pytest.mark.parametrize(("late_ms", "last"), [(0, 999), (-1, 998)])
def test_candle_counts_as_closed_from_the_millisecond_it_ends(late_ms: int, last: int) -> None:
    candles = ask(Counted(ALL, from_ms(START + 1_000 * MINUTE + late_ms)), 5)
    assert int(candles.opened_at[-1]) == START + last * MINUTE


def test_second_tick_asks_only_for_what_is_new() -> None:
    ask(Counted(ALL, at(1_000)), 500)
    later = Counted(ALL, at(1_001))
    assert ask(later, 500).rows() == expected(1_001, 500)
    assert later.asked == [(START + 1_000 * MINUTE, 2)]


def test_same_instant_again_asks_nothing() -> None:
    ask(Counted(ALL, at(1_000)), 500)
    again = Counted(ALL, at(1_000.9))
    assert ask(again, 500).rows() == expected(1_000, 500)
    assert again.asked == []


def test_fewer_and_more_candles_come_from_the_same_blob() -> None:
    ask(Counted(ALL, at(1_000)), 200)
    fewer, more = Counted(ALL, at(1_000)), Counted(ALL, at(1_000))
    assert ask(fewer, 50).rows() == expected(1_000, 50)
    assert fewer.asked == []
    assert ask(more, 600).rows() == expected(1_000, 600)
    assert len(more.asked) == 1


def test_newest_candle_is_asked_again_until_a_later_one_shows() -> None:
    class Settling(Counted):
        """At the very close its last candle lacks the last trade, and no candle follows yet."""

        def answer(self, candles: Candles) -> Candles:
            shown = candles.closed(self.at, "1m")
            volume = shown.volume.copy()
            if self.at == at(1_000):
                volume[-1] = 0.5
            return Candles(shown.opened_at, shown.open, shown.high, shown.low, shown.close, volume)

    assert ask(Settling(ALL, at(1_000)), 10).volume[-1] == 0.5
    assert ask(Counted(ALL, at(1_000.2)), 10).rows() == expected(1_000, 10)


def test_late_candle_is_picked_up_as_soon_as_it_is_there() -> None:
    class Late(Counted):
        def answer(self, candles: Candles) -> Candles:
            return candles.closed(self.at - timedelta(minutes=1), "1m")

    assert ask(Late(ALL, at(1_000)), 10).rows() == expected(999, 10)
    assert ask(Counted(ALL, at(1_000)), 10).rows() == expected(1_000, 10)


def test_time_going_backwards_shows_no_future() -> None:
    ask(Counted(ALL, at(1_000)), 300)
    assert ask(Counted(ALL, at(900)), 300).rows() == expected(900, 300)
    long_ago = Counted(ALL, at(400))
    assert ask(long_ago, 300).rows() == expected(400, 300)
    assert ask(Counted(ALL, at(1_001)), 300).rows() == expected(1_001, 300)


def test_gap_is_looked_behind_and_stays_a_gap() -> None:
    gapped = without(*range(700, 990))
    source = Counted(gapped, at(1_000))
    candles = ask(source, 200)
    assert candles.rows() == expected(1_000, 200, gapped)
    assert len(candles) == 200
    again = Counted(gapped, at(1_000))
    assert ask(again, 200).rows() == candles.rows()
    assert again.asked == []


def test_short_history_gives_fewer_and_is_remembered() -> None:
    assert len(ask(Counted(ALL, at(30)), 500)) == 30
    later = Counted(ALL, at(31))
    assert len(ask(later, 500)) == 31
    assert len(later.asked) == 1


def test_market_without_candles_is_empty() -> None:
    assert len(ask(Counted(ALL, at(-5_000)), 10)) == 0


def test_long_silence_starts_anew() -> None:
    ask(Counted(ALL[:50], at(40)), 20)
    far = Counted(demo.candles("BTC/USDT", "1m", START, 9_000), at(8_000))
    assert len(ask(far, 20)) == 20
    assert far.asked == [(START + 7_980 * MINUTE, 21)]


class Shuffled(Counted):
    """Unsorted, with every row twice."""

    def answer(self, candles: Candles) -> Candles:
        order = np.random.default_rng(1).permutation(np.repeat(np.arange(len(candles)), 2))
        return Candles(
            *(getattr(candles, name)[order] for name in ("opened_at", "open", "high", "low", "close", "volume"))
        )


def test_unsorted_and_repeated_rows_are_put_in_order() -> None:
    assert ask(Shuffled(ALL, at(1_000)), 100).rows() == expected(1_000, 100)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("close", float("nan"), "finite prices"),
        ("low", -1.0, "above zero"),
        ("high", 1.0, "high at or above low"),
        ("volume", float("inf"), "finite volume"),
        ("opened_at", START + 950 * MINUTE + 1_234, "full 1m"),
    ],
)
def test_nonsense_is_refused_and_not_kept(column: str, value: float, words: str) -> None:
    class Nonsense(Counted):
        def answer(self, candles: Candles) -> Candles:
            columns = {name: getattr(candles, name).copy() for name in Candles.__slots__}
            columns[column][50] = value
            return Candles(**columns)

    with pytest.raises(Unavailable, match=words):
        ask(Nonsense(ALL, at(1_000)), 100)
    assert ask(Counted(ALL, at(1_000)), 100).rows() == expected(1_000, 100)


def test_answer_that_is_no_candle_at_all_is_unavailable() -> None:
    class Broken(Counted):
        def answer(self, candles: Candles) -> Candles:
            return Candles.from_rows([[None] * 6])  # type: ignore[list-item]

    with pytest.raises(Unavailable, match="something else"):
        ask(Broken(ALL, at(1_000)), 10)


def test_outage_keeps_what_was_known() -> None:
    class Down(Counted):
        def answer(self, candles: Candles) -> Candles:
            raise Unavailable

    ask(Counted(ALL, at(1_000)), 100)
    with pytest.raises(Unavailable):
        ask(Down(ALL, at(1_001)), 100)
    back = Counted(ALL, at(1_002))
    assert ask(back, 100).rows() == expected(1_002, 100)
    assert back.asked == [(START + 1_000 * MINUTE, 3)]


def test_unknown_symbol_and_timeframe_pass_through() -> None:
    source = Counted(ALL, at(10))
    with pytest.raises(UnknownSymbol):
        closed_candles(source, "FOO/BAR", "1m", 5, source.at)
    with pytest.raises(UnknownTimeframe):
        closed_candles(source, "BTC/USDT", "1h", 5, source.at)
