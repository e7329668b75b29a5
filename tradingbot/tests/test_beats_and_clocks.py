"""Two beats that come and go, and local clocks that jump: no candle is missed, and none is decided twice."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.db.models import Count

from accounts.models import User
from bots import tick
from bots.models import BotRun, Decision, Order
from bots.testing import learn_strategies, make_user, scripted_candles, start_run
from exchanges import market_data
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from tradingbot.beat import LeasedScheduler
from tradingbot.celery import app

pytestmark = pytest.mark.django_db(transaction=True)
AT = datetime(2026, 3, 10, 12, tzinfo=UTC)
TICKS = 200
TICK = "bots.tasks.tick_due_markets"
#: With their two changes of the clock in 2026 (UTC); Lord Howe's is half an hour, Troll's two.
ZONES: dict[str, tuple[datetime, datetime]] = {
    "Europe/Berlin": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "Europe/London": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "Europe/Athens": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "Atlantic/Azores": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "America/New_York": (datetime(2026, 3, 8, 7, tzinfo=UTC), datetime(2026, 11, 1, 6, tzinfo=UTC)),
    "America/Los_Angeles": (datetime(2026, 3, 8, 10, tzinfo=UTC), datetime(2026, 11, 1, 9, tzinfo=UTC)),
    "America/St_Johns": (datetime(2026, 3, 8, 5, 30, tzinfo=UTC), datetime(2026, 11, 1, 4, 30, tzinfo=UTC)),
    "America/Santiago": (datetime(2026, 4, 5, 3, tzinfo=UTC), datetime(2026, 9, 6, 4, tzinfo=UTC)),
    "Australia/Sydney": (datetime(2026, 4, 4, 16, tzinfo=UTC), datetime(2026, 10, 3, 16, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 4, 4, 15, tzinfo=UTC), datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    "Pacific/Auckland": (datetime(2026, 4, 4, 14, tzinfo=UTC), datetime(2026, 9, 26, 14, tzinfo=UTC)),
    "Africa/Cairo": (datetime(2026, 4, 23, 22, tzinfo=UTC), datetime(2026, 10, 29, 21, tzinfo=UTC)),
    "Antarctica/Troll": (datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)),
}
#: The others are tried at night.
QUICK = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
TIMEFRAMES = ("5m", "15m", "1h", "4h", "1d")


class Beat(LeasedScheduler):
    """A scheduler whose messages arrive at once, for the one task that finds due markets."""

    producer = None

    def __init__(self) -> None:
        super().__init__(app=app)
        self._finalize.cancel()
        self.rung = 0

    def apply_async(self, entry: object, producer: object = None, advance: bool = True, **given: object) -> None:
        if getattr(entry, "task", "") == TICK:
            self.rung += 1
            tick.tick_due(datetime.now(UTC))

    def second(self) -> None:
        self._renewed = float("-inf")
        for _ in range(20):
            if self.tick() > 0:
                return


@pytest.fixture
def owner() -> User:
    learn_strategies()
    return make_user()


@pytest.fixture
def flat_market(monkeypatch: pytest.MonkeyPatch) -> None:
    """Candles that ask for nothing, of any timeframe and instant, in no time."""

    def closed(exchange: str, symbol: str, timeframe: str, count: int, at: datetime) -> Candles:
        step = timeframe_ms(timeframe)
        return scripted_candles([0] * count, timeframe=timeframe, start=from_ms((to_ms(at) // step - count) * step))

    monkeypatch.setattr(market_data, "closed_candles", closed)


def began(owner: User, timeframe: str, at: datetime, strategy: str = "scripted") -> BotRun:
    """A run whose last seen candle is the last one closed at ``at``."""
    run = start_run(owner, strategy=strategy, symbol="ETH/USDT", timeframe=timeframe)
    step = timeframe_ms(timeframe)
    seen = from_ms((to_ms(at) // step - 1) * step)
    BotRun.objects.filter(pk=run.pk).update(created_at=at, last_candle_at=seen, next_check_at=at, status="running")
    return run


def told(run: BotRun) -> list[datetime]:
    rows = Decision.objects.filter(run=run, decision_key__endswith=":signal")
    return sorted(rows.exclude(candle_opened_at=None).values_list("candle_opened_at", flat=True))


def expected(timeframe: str, at: datetime, end: datetime) -> list[datetime]:
    """Open times of the candles that close after ``at`` and not after ``end``."""
    step = timeframe_ms(timeframe)
    return [from_ms(number * step) for number in range(to_ms(at) // step, to_ms(end) // step)]


def nothing_twice() -> bool:
    by_cause = Order.objects.values("run", "decision_key").annotate(times=Count("id"))
    return not by_cause.filter(times__gt=1).exists()


def test_two_beats_that_come_and_go_miss_nothing_in_two_hundred_ticks(owner: User) -> None:
    chance = Random(9)
    with time_machine.travel(AT, tick=False) as clock:
        run = began(owner, "5s", AT, "rsi_cross")
        beats: list[Beat | None] = [Beat(), Beat()]
        changes = rung = 0
        for _ in range(TICKS):
            clock.shift(1)
            for index, beat in enumerate(beats):
                if beat is not None:
                    beat.second()
                if chance.random() < 0.06:
                    changes += 1
                    rung += beat.rung if beat else 0
                    beats[index] = _changed(beat, chance)
        clock.shift(30)
        tick.tick_due(datetime.now(UTC))
        rung += sum(beat.rung for beat in beats if beat)
        assert changes >= 15
        # One leads: two would ring twice a second.
        assert TICKS * 0.5 < rung <= TICKS + changes
        assert told(run) == expected("5s", AT, datetime.now(UTC))
        assert nothing_twice()


def _changed(beat: Beat | None, chance: Random) -> Beat | None:
    """Gone (politely, or without a word), or there again."""
    if beat is None:
        return Beat()
    if chance.random() < 0.5:
        beat.close()
    return None


@pytest.fixture
def local() -> Iterator[Callable[[str, datetime], Any]]:
    """This process's clock, standing still, in a zone of its own."""
    travels: list[time_machine.travel] = []

    def travel(zone: str, at: datetime) -> Any:
        travels.append(time_machine.travel(at.astimezone(ZoneInfo(zone)), tick=False))
        return travels[-1].start()

    yield travel
    for each in travels:
        each.stop()


def test_the_changes_of_the_clock_are_where_the_zones_say() -> None:
    assert len(ZONES) == 13
    for zone, changes in ZONES.items():
        for at in changes:
            before, after = (
                (at + timedelta(seconds=seconds)).astimezone(ZoneInfo(zone)).utcoffset() for seconds in (-1, 0)
            )
            assert before != after, (zone, at)


@pytest.mark.parametrize("change", [0, 1])
@pytest.mark.parametrize(
    "zone", [zone if zone in QUICK else pytest.param(zone, marks=pytest.mark.nightly) for zone in ZONES]
)
def test_a_jump_of_the_local_clock_is_no_jump_of_the_candles(
    owner: User, flat_market: None, local: Callable[[str, datetime], Any], zone: str, change: int
) -> None:
    jump = ZONES[zone][change]
    first, last = jump - timedelta(hours=26), jump + timedelta(hours=26)
    clock = local(zone, first)
    runs = {timeframe: began(owner, timeframe, first) for timeframe in TIMEFRAMES}
    beat = Beat()
    # Every second around the jump, and every four hours before and after it.
    instants = [first + timedelta(hours=hours) for hours in range(4, 26, 4)]
    instants += [jump + timedelta(seconds=seconds) for seconds in range(-6, 7)]
    instants += [jump + timedelta(hours=hours) for hours in (*range(2, 26, 4), 26)]
    rung = []
    for at in instants:
        clock.move_to(at)
        before = beat.rung
        beat.second()
        rung.append(beat.rung - before)
    # Beat stands still at no jump, and rings no flood.
    assert sum(count == 0 for count in rung) <= 2
    assert max(rung) == 1
    for timeframe, run in runs.items():
        assert told(run) == expected(timeframe, first, last), timeframe
    assert nothing_twice()
