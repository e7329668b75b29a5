"""Candles that stand still, come twice, in no order, half or too early, and bans from any request: never an entry."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from bots.models import BotRun, Decision
from exchanges.core.candles import to_ms
from exchanges.tests.loopback import routes
from exchanges.tests.loopback.faults import Fault, clock_skew, refusal, too_many
from exchanges.tests.loopback.routes import Call
from tradingbot.tests.journey.desk import (
    AFTER,
    ENTRY,
    EXIT,
    Desk,
)

pytestmark = pytest.mark.django_db
KLINES = "GET /api/v3/klines"
Rows = list[list[Any]]
Spoil = Callable[[Rows, int], Rows]


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[Spoil | None], None]:
    """From now on the exchange's candles are spoiled so; None: they are as they should be."""
    true = routes.PUBLIC[KLINES]

    def so(how: Spoil | None) -> None:
        def answer(call: Call) -> Any:
            return true(call) if how is None else how(true(call), call.ms)

        monkeypatch.setitem(routes.PUBLIC, KLINES, answer)

    return so


def running(desk: Desk) -> bool:
    return BotRun.objects.get(pk=desk.run.pk).status == "running"


# --- the same candles, told badly -----------------------------------------------------------------


def shuffled(rows: Rows, _ms: int) -> Rows:
    return Random(len(rows)).sample(rows, len(rows))


SAME = {
    "twice": lambda rows, ms: [row for row in rows for _ in range(2)],
    "newest first": lambda rows, ms: rows[::-1],
    "shuffled": shuffled,
    "shuffled and twice": lambda rows, ms: shuffled(rows + rows, ms),
}


@pytest.mark.parametrize("how", SAME)
def test_candles_in_any_order_and_number_make_the_same_trades(
    desk: Desk, spoil: Callable[[Spoil | None], None], how: str
) -> None:
    spoil(SAME[how])
    desk.through(0, EXIT + 1)
    desk.settle()
    assert desk.sides() == ["BUY", "SELL"]
    desk.check()


# --- candles that cannot be believed --------------------------------------------------------------


def half_a_row(rows: Rows, _ms: int) -> Rows:
    return [*rows[:-1], rows[-1][:3]] if rows else rows


def with_value(column: int, value: Any) -> Spoil:
    def spoiled(rows: Rows, _ms: int) -> Rows:
        return [[*row[:column], value, *row[column + 1 :]] for row in rows]

    return spoiled


NONSENSE = {
    "half a row": half_a_row,
    "no close": with_value(4, None),
    "a close of words": with_value(4, "fifty thousand"),
    "a close that is no number": with_value(4, "NaN"),
    "a price of zero": with_value(4, "0"),
    "a negative price": with_value(3, "-1"),
    "a high under the low": with_value(2, "1"),
    "an endless volume": with_value(5, "Infinity"),
    "off the minute": lambda rows, ms: [[row[0] + 7, *row[1:]] for row in rows],
}


@pytest.mark.parametrize("how", NONSENSE)
def test_candles_that_make_no_sense_make_no_entry(desk: Desk, spoil: Callable[[Spoil | None], None], how: str) -> None:
    desk.through(0, ENTRY - 1)
    spoil(NONSENSE[how])
    desk.tick(ENTRY)
    desk.wait(20)
    assert desk.sent() == []
    assert running(desk)
    spoil(None)
    desk.through(ENTRY + 1, EXIT + 1)
    assert desk.sent() == []
    assert running(desk)
    desk.check()


# --- candles that are not there, or not yet -------------------------------------------------------


def frozen(at: datetime) -> Spoil:
    return lambda rows, ms: [row for row in rows if row[0] + 60_000 <= to_ms(at)]


def test_candles_that_stand_still_make_no_entry(desk: Desk, spoil: Callable[[Spoil | None], None]) -> None:
    desk.through(0, ENTRY - 1)
    spoil(frozen(desk.closes(ENTRY - 1)))
    began = desk.exchange.clock.now
    while desk.exchange.clock.now < began + timedelta(minutes=10):
        desk.wait(60, step=60)
    assert desk.sent() == []
    assert running(desk)
    spoil(None)
    desk.wait(30)
    # The entry that was missed is told, and not made up for.
    assert desk.sent() == []
    assert running(desk)
    assert Decision.objects.filter(run=desk.run, code="DATA_STALE").exists()


def test_an_entry_whose_candle_is_the_last_for_too_long_is_stale(
    desk: Desk, spoil: Callable[[Spoil | None], None]
) -> None:
    desk.through(0, ENTRY - 1)
    spoil(frozen(desk.closes(ENTRY)))
    desk.tick_at(desk.closes(ENTRY) + timedelta(minutes=3))
    desk.wait(30)
    assert desk.sent() == []
    assert "DATA_STALE" in desk.story()
    assert running(desk)


def test_a_forming_candle_is_never_acted_on(desk: Desk, spoil: Callable[[Spoil | None], None]) -> None:
    def eager(rows: Rows, ms: int) -> Rows:
        # What still forms says "enter" all the time; none of it does once it has closed.
        return [[*row[:5], "1" if row[0] + 60_000 > ms else "0", *row[6:]] for row in rows]

    spoil(eager)
    for index in range(EXIT):
        desk.tick_at(desk.closes(index) + timedelta(seconds=30))
    assert desk.sent() == []
    assert running(desk)


def test_candles_of_the_future_are_not_looked_at(desk: Desk, spoil: Callable[[Spoil | None], None]) -> None:
    def ahead(rows: Rows, ms: int) -> Rows:
        last = rows[-1] if rows else None
        return [*rows, *([[last[0] + 60_000 * n, *last[1:5], "1", *last[6:]] for n in (1, 2, 3)] if last else [])]

    desk.through(0, ENTRY - 2)
    spoil(ahead)
    desk.tick_at(desk.closes(ENTRY - 2) + timedelta(seconds=30))
    assert desk.sent() == []
    assert running(desk)


def test_a_gap_is_lived_through(desk: Desk, spoil: Callable[[Spoil | None], None]) -> None:
    missing = {to_ms(desk.closes(ENTRY - 1)) - 60_000, to_ms(desk.closes(ENTRY + 1)) - 60_000}
    spoil(lambda rows, ms: [row for row in rows if row[0] not in missing])
    desk.through(0, EXIT + 1)
    desk.settle()
    assert desk.sides() == ["BUY", "SELL"]
    desk.check()


# --- bans -----------------------------------------------------------------------------------------


def banned_until(on: str) -> Fault:
    """As Binance words it, with the end in the message and no header."""
    end = int(datetime(2024, 1, 15, 0, 5, tzinfo=UTC).timestamp() * 1000)
    return refusal(on, -1003, f"Way too much request weight used; IP banned until {end}.", status=418)


PATHS = ("GET /api/v3/klines", "GET /api/v3/ticker", "GET /api/v3/account", "GET /api/v3/time", "POST /api/v3/order")
BANS: dict[str, Callable[[str], Fault]] = {
    "429": lambda on: too_many(on, retry_after=90),
    "418": lambda on: too_many(on, retry_after=90, banned=True),
    "418 with its end in words": banned_until,
}


@pytest.mark.parametrize("ban", BANS)
@pytest.mark.parametrize("path", PATHS)
def test_after_a_ban_nothing_is_asked_until_its_end(desk: Desk, path: str, ban: str) -> None:
    desk.tick(0, 1)
    desk.exchange.faults.add(BANS[ban](path))
    desk.tick(ENTRY)
    assert desk.exchange.faults.pending() == []
    before = len(desk.exchange.requests())
    desk.wait(80, step=10)
    assert len(desk.exchange.requests()) == before
    assert running(desk)
    desk.wait(60, step=20)
    assert len(desk.exchange.requests()) > before
    assert running(desk)
    desk.check()


@pytest.mark.parametrize("path", PATHS[2:3])
def test_a_timestamp_that_is_refused_delays_and_ends_nothing(desk: Desk, path: str) -> None:
    desk.tick(0, 1)
    desk.exchange.faults.add(clock_skew(path, times=2))
    desk.tick_at(desk.closes(ENTRY) + AFTER)
    assert desk.sent() == []
    assert running(desk)
    desk.wait(10)
    assert desk.sides() == ["BUY"]
    desk.through(ENTRY + 1, EXIT + 1)
    assert desk.sides() == ["BUY", "SELL"]
    desk.check()
