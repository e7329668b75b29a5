"""What all runs lost together: profit alone, from its highest or since the day began."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.core.breaker import Breaker, Name, State
from bots.core.joint import Mark, Sum, Worth, begun_anew, judged, moved, summed
from bots.core.limits import Limits
from bots.tests.core.cast import AT

TODAY = AT.date()
LIMITS = Limits(max_drawdown_pct=D(10), max_daily_loss=D(100))
MONEY = st.decimals(-1000, 1000, places=2)


def look(name: Name, mark: Mark, now: Sum, limits: Limits = LIMITS) -> tuple[Breaker, Mark]:
    mark = moved(name, mark, now, AT)
    return judged(Breaker(name), mark, now, limits, "USDT", AT), mark


def test_the_sum_counts_the_profit_of_all_and_the_capital_of_those_in_use() -> None:
    runs = [Worth(D(5), D(1), D(100)), Worth(D(-7), D(-2), D(300), in_use=False), Worth(D(3), D(0), D(50))]
    assert summed(runs) == Sum(D(1), D(-1), D(150), D(-7), whole=True)
    assert summed([], whole=False) == Sum(whole=False)


@pytest.mark.parametrize(("loss", "state"), [("99.99", State.CLOSED), ("100", State.OPEN)])
def test_a_daily_loss_of_all_runs_trips_at_its_limit_until_midnight(loss: str, state: State) -> None:
    after, mark = look(Name.DAILY_LOSS, Mark(), Sum(profit=D(20) - D(loss), today=-D(loss), capital=D(1000)))
    assert (after.state, mark) == (state, Mark(D(20), TODAY))
    if state is State.OPEN:
        assert after.half_open_at == AT.replace(hour=0) + timedelta(days=1)
        assert after.reason == f"All USDT runs together lost {loss} today; 100 is the limit."
        assert judged(after, mark, Sum(), LIMITS, "USDT", after.half_open_at).state is State.CLOSED


@pytest.mark.parametrize(("profit", "state"), [("-9.91", State.OPEN), ("-9.9", State.CLOSED)])
def test_a_drawdown_is_measured_from_the_highest_equity(profit: str, state: State) -> None:
    now = Sum(profit=D(profit), capital=D(1000))
    after, mark = look(Name.MAX_DRAWDOWN, Mark(D("100.1"), TODAY), now)
    assert (after.state, after.half_open_at, mark.value) == (state, None, D("100.1"))


def test_money_that_comes_or_goes_with_a_run_is_neither_profit_nor_loss() -> None:
    lost = Sum(profit=D(-90), capital=D(2000))
    assert look(Name.MAX_DRAWDOWN, Mark(D(0), TODAY), lost)[0].state is State.CLOSED
    # One of two equal runs stops with its loss: what is left is smaller, what was lost is the same.
    stopped = replace(lost, capital=D(1000), gone=D(-90))
    assert look(Name.MAX_DRAWDOWN, Mark(D(0), TODAY), stopped)[0].state is State.CLOSED
    assert look(Name.MAX_DRAWDOWN, Mark(D(0), TODAY), replace(stopped, profit=D(-110)))[0].state is State.OPEN


@given(first=MONEY, later=MONEY)
def test_the_highest_only_rises_and_only_where_every_price_is_known(first: D, later: D) -> None:
    mark = moved(Name.MAX_DRAWDOWN, Mark(), Sum(profit=first), AT)
    assert mark.value == first
    assert moved(Name.MAX_DRAWDOWN, mark, Sum(profit=later), AT).value == max(first, later)
    assert moved(Name.MAX_DRAWDOWN, mark, Sum(profit=later, whole=False), AT) == mark


def test_a_day_begins_with_what_was_there_at_midnight() -> None:
    mark = moved(Name.DAILY_LOSS, Mark(D(70), TODAY - timedelta(days=1)), Sum(profit=D(50), today=D(-5)), AT)
    assert mark == Mark(D(55), TODAY)
    assert moved(Name.DAILY_LOSS, mark, Sum(profit=D(-5), today=D(-60)), AT) == mark


@pytest.mark.parametrize("name", [Name.DAILY_LOSS, Name.MAX_DRAWDOWN])
def test_a_reset_forgets_what_was_lost_before(name: Name) -> None:
    now = Sum(profit=D(-500), today=D(-500), capital=D(1000))
    after, mark = look(name, begun_anew(name, AT), now)
    assert (after.state, mark.value) == (State.CLOSED, D(-500))
    assert look(name, mark, replace(now, profit=D(-600), today=D(-600)))[0].state is State.OPEN


def test_what_is_open_or_not_asked_for_is_left_as_it_is() -> None:
    open_one = Breaker(Name.MAX_DRAWDOWN, State.OPEN, "before", AT)
    ruin = Sum(profit=D(-900), today=D(-900), capital=D(1000))
    assert judged(open_one, Mark(D(0), TODAY), ruin, LIMITS, "USDT", AT) is open_one
    for name in (Name.DAILY_LOSS, Name.MAX_DRAWDOWN):
        assert judged(Breaker(name), Mark(D(0), TODAY), ruin, Limits(), "USDT", AT).state is State.CLOSED
        assert judged(Breaker(name), Mark(), ruin, LIMITS, "USDT", AT).state is State.CLOSED
    nothing = Sum(profit=D(-900), capital=D(0))
    assert judged(Breaker(Name.MAX_DRAWDOWN), Mark(D(0), TODAY), nothing, LIMITS, "USDT", AT).state is State.CLOSED
