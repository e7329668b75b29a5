"""Each protection trips on its side of its limit; its time, a trial and a person close it; order is all that counts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.core import breaker
from bots.core.breaker import BRIEF, CODE, LIMIT, SENTENCES, Books, Breaker, ClosedTrade, Name, State
from bots.core.codes import MEANING, Code
from bots.core.decision import entry_intent, exit_intent
from bots.core.limits import HELP, Limits
from bots.core.risk import check
from bots.tests.core.cast import flat, holding

NOON = datetime(2024, 1, 15, 12, tzinfo=UTC)
MIDNIGHT = datetime(2024, 1, 16, tzinfo=UTC)
BOOKS = Books(D(1000), D(900), D(1000), D(1000))


def trade(pnl: str | int, minutes: int = 0, code: Code = Code.SIGNAL_SELL, lasted: int = 1) -> ClosedTrade:
    at = NOON + timedelta(minutes=minutes)
    return ClosedTrade(at - timedelta(minutes=lasted), at, D(pnl), code)


def after(
    name: Name, limits: Limits, *trades: ClosedTrade, books: Books = BOOKS, start: Breaker | None = None
) -> Breaker:
    return breaker.after_trades(start or Breaker(name), [], trades, limits, books)


STOP = Code.STOP_LOSS
TRIPS = [
    (Name.MAX_DRAWDOWN, Limits(max_drawdown_pct=D(10)), Limits(max_drawdown_pct=D("10.01")), [trade(-100)], None),
    (Name.DAILY_LOSS, Limits(max_daily_loss=D(100)), Limits(max_daily_loss=D("100.01")), [trade(-100)], MIDNIGHT),
    (
        Name.STOP_LOSS_GUARD,
        Limits(stop_loss_guard_count=2, stop_loss_guard_minutes=60),
        Limits(stop_loss_guard_count=3, stop_loss_guard_minutes=60),
        [trade(-1, -30, STOP), trade(5), trade(-1, 0, Code.TRAILING_STOP)],
        NOON + timedelta(minutes=60),
    ),
    (
        Name.STOP_LOSS_GUARD,
        Limits(stop_loss_guard_count=2),
        Limits(stop_loss_guard_count=2, stop_loss_guard_minutes=30),
        [trade(-1, -30, STOP), trade(-1, 0, STOP)],
        NOON + timedelta(days=1),
    ),
    (
        Name.LOSS_STREAK,
        Limits(max_loss_streak=2),
        Limits(max_loss_streak=3),
        [trade(1), trade(-1), trade(-1)],
        MIDNIGHT,
    ),
    (Name.COOLDOWN, Limits(cooldown_seconds=60), Limits(), [trade(-1)], NOON + timedelta(seconds=60)),
    (
        Name.LOW_PROFIT,
        Limits(low_profit_pct=D("0.5"), low_profit_trades=2, low_profit_minutes=90),
        Limits(low_profit_pct=D("0.4"), low_profit_trades=2),
        [trade(1), trade(3)],
        NOON + timedelta(minutes=90),
    ),
    (
        Name.LOW_PROFIT,
        Limits(low_profit_pct=D("0.5")),
        Limits(low_profit_pct=D("0.5"), low_profit_trades=5),
        [trade(1)] * 4,
        NOON + timedelta(days=1),
    ),
]


@pytest.mark.parametrize(("name", "tight", "loose", "trades", "until"), TRIPS)
def test_a_protection_trips_on_its_side_of_the_limit(
    name: Name, tight: Limits, loose: Limits, trades: list[ClosedTrade], until: datetime | None
) -> None:
    tripped = after(name, tight, *trades)
    assert (tripped.state, tripped.tripped_at, tripped.half_open_at) == (State.OPEN, NOON, until)
    assert tripped.reason
    assert after(name, loose, *trades) == Breaker(name)
    assert after(name, Limits(), *trades) == Breaker(name)


@pytest.mark.parametrize(
    ("name", "limits", "last"),
    [
        (Name.STOP_LOSS_GUARD, Limits(stop_loss_guard_count=1), trade(-1)),
        (Name.STOP_LOSS_GUARD, Limits(stop_loss_guard_count=1), trade(1, 0, Code.TRAILING_STOP)),
        (Name.COOLDOWN, Limits(cooldown_seconds=60), trade(0)),
        (Name.LOSS_STREAK, Limits(max_loss_streak=1), trade(0)),
        (Name.LOW_PROFIT, Limits(low_profit_pct=D(1), low_profit_trades=1), trade(10)),
    ],
)
def test_a_trade_that_is_no_such_loss_trips_nothing(name: Name, limits: Limits, last: ClosedTrade) -> None:
    assert after(name, limits, last) == Breaker(name)


@pytest.mark.parametrize("name", [Name.MAX_DRAWDOWN, Name.DAILY_LOSS])
def test_unknown_books_trip_nothing(name: Name) -> None:
    limits = Limits(max_drawdown_pct=D(1), max_daily_loss=D(1))
    for books in (Books(D(1000)), Books(D(1000), D(1)), Books(D(1000), D(1), D(0))):
        assert after(name, limits, trade(-1), books=books) == Breaker(name)


def test_only_the_last_trade_is_judged_by_the_books() -> None:
    tripped = after(Name.DAILY_LOSS, Limits(max_daily_loss=D(100)), trade(-60, -9), trade(-40))
    assert tripped.tripped_at == NOON


def opened(name: Name, until: datetime | None = NOON) -> Breaker:
    return Breaker(name, State.OPEN, "It tripped.", NOON - timedelta(hours=1), until)


@pytest.mark.parametrize("name", list(Name))
def test_time_alone_ends_a_pause(name: Name) -> None:
    waiting = opened(name)
    assert breaker.as_of(waiting, NOON - timedelta(microseconds=1)) == waiting
    assert breaker.as_of(waiting, NOON).state is (State.CLOSED if name in BRIEF else State.HALF_OPEN)
    assert breaker.as_of(opened(name, None), NOON + timedelta(days=999)).state is State.OPEN


@pytest.mark.parametrize("name", [Name.STOP_LOSS_GUARD, Name.LOSS_STREAK, Name.LOW_PROFIT])
def test_a_trade_on_trial_closes_or_opens_again(name: Name) -> None:
    limits = Limits(stop_loss_guard_count=9, max_loss_streak=9, low_profit_pct=D(9))
    closed = after(name, limits, trade(0, 5), start=opened(name))
    assert (closed.state, closed.reason, closed.since) == (State.CLOSED, "", NOON + timedelta(minutes=5))
    again = after(name, limits, trade(-1, 5), start=opened(name))
    assert (again.state, again.tripped_at) == (State.OPEN, NOON + timedelta(minutes=5))
    assert again.half_open_at is not None
    assert again.half_open_at > NOON


def test_a_trade_that_was_entered_before_says_nothing_of_the_trial() -> None:
    early = trade(-1, 5, lasted=6)
    assert after(Name.LOSS_STREAK, Limits(max_loss_streak=1), early, start=opened(Name.LOSS_STREAK)).state is (
        State.HALF_OPEN
    )
    half_open = replace(opened(Name.LOSS_STREAK, None), state=State.HALF_OPEN)
    assert after(Name.LOSS_STREAK, Limits(max_loss_streak=1), early, start=half_open) == half_open


def test_a_brief_one_that_has_ended_trips_anew() -> None:
    again = after(Name.COOLDOWN, Limits(cooldown_seconds=60), trade(-1, 5), start=opened(Name.COOLDOWN))
    assert (again.state, again.tripped_at) == (State.OPEN, NOON + timedelta(minutes=5))


def test_a_reset_closes_and_forgets() -> None:
    limits = Limits(max_loss_streak=2)
    fresh = breaker.reset(opened(Name.LOSS_STREAK), NOON)
    assert fresh == Breaker(Name.LOSS_STREAK, since=NOON)
    known = [trade(-1, -5), trade(-1, 0)]
    assert breaker.after_trades(fresh, known, [trade(-1, 1)], limits, BOOKS).state is State.CLOSED
    assert breaker.after_trades(fresh, known, [trade(-1, 1), trade(-1, 2)], limits, BOOKS).state is State.OPEN


def test_nothing_new_changes_nothing() -> None:
    assert breaker.after_trades(Breaker(Name.COOLDOWN), [trade(-1)], [], Limits(), BOOKS) == Breaker(Name.COOLDOWN)


@given(
    pnls=st.lists(st.integers(-5, 5), min_size=1, max_size=12),
    cut=st.integers(0, 12),
    name=st.sampled_from([Name.STOP_LOSS_GUARD, Name.LOSS_STREAK, Name.COOLDOWN, Name.LOW_PROFIT]),
)
def test_when_one_looks_changes_nothing(pnls: list[int], cut: int, name: Name) -> None:
    limits = Limits(
        stop_loss_guard_count=2, max_loss_streak=2, cooldown_seconds=90, low_profit_pct=D("0.1"), low_profit_trades=2
    )
    trades = [trade(pnl, 400 * index, STOP if pnl < -2 else Code.SIGNAL_SELL) for index, pnl in enumerate(pnls)]
    books = Books(D(1000))
    at_once = breaker.after_trades(Breaker(name), [], trades, limits, books)
    first = breaker.after_trades(Breaker(name), [], trades[:cut], limits, books)
    if first.half_open_at is not None:
        first = breaker.as_of(first, trades[min(cut, len(trades)) - 1].at)
    assert breaker.after_trades(first, trades[:cut], trades[cut:], limits, books) == at_once


# --- in the decision ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(Name))
def test_an_open_breaker_denies_entries_with_its_code_and_no_exit(name: Name) -> None:
    for until in (NOON, None):
        now = flat(breakers=(opened(name, until),))
        denial = check(entry_intent(now), now)
        assert denial is not None
        assert denial.code is CODE[name]
        assert "It tripped." in denial.detail
    held = holding(breakers=(opened(name),))
    assert check(exit_intent(held), held) is None


def test_a_half_open_breaker_allows_one_entry() -> None:
    half_open = replace(opened(Name.STOP_LOSS_GUARD), state=State.HALF_OPEN)
    now = flat(breakers=(Breaker(Name.COOLDOWN), half_open))
    assert check(entry_intent(now), now) is None
    taken = flat(breakers=(replace(half_open, on_trial=True),))
    denial = check(entry_intent(taken), taken)
    assert denial is not None
    assert denial.code is Code.CIRCUIT_BREAKER


def test_every_protection_has_its_code_its_limit_and_its_sentence() -> None:
    assert set(CODE) == set(LIMIT) == set(SENTENCES) == set(Name)
    assert {LIMIT[name] for name in Name} <= set(HELP)
    assert set(CODE.values()) | {Code.CIRCUIT_BREAKER} <= set(MEANING)
    assert breaker.switched_on(Limits(max_loss_streak=1)) == (Name.LOSS_STREAK,)
