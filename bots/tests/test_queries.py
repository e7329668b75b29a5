"""Reads: a fixed number of statements for any number of rows, exact pages, and nothing of a stranger's."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.exceptions import ObjectDoesNotExist
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.audit import CONSOLE
from accounts.models import User
from bots import gates, lifecycle, rounds
from bots.models import BotRun, Order, RunPosition, TradeLog
from bots.queries import history, money, risk, runs
from bots.queries.shapes import RunFilter, TradeFilter
from bots.queries.totals import trade_totals
from bots.testing import START, Stage, scripted_candles, start_run

ROUND_TRIPS = [0, 0, 1, 2, 1, 2, 1, 2, 1, 2, 0, 0]


@pytest.fixture
def busy(alice: User, stage: Stage) -> BotRun:
    """Four round trips."""
    stage.candles = scripted_candles(ROUND_TRIPS, [100 + index for index in range(len(ROUND_TRIPS))])
    run = start_run(alice)
    for index in range(len(ROUND_TRIPS) - 1):
        rounds.whole_round(stage.closes(index))
    return BotRun.objects.get(pk=run.pk)


def statements(read: Callable[[], Any]) -> int:
    with CaptureQueriesContext(connection) as captured:
        read()
    return len(captured)


# --- Statements ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("few", [1, 2])
def test_statements_of_the_run_list_do_not_grow(alice: User, stage: Stage, few: int) -> None:
    for _ in range(few):
        start_run(alice)
    before = statements(lambda: runs.runs_of(alice))
    for _ in range(20):
        start_run(alice)
    rounds.whole_round(stage.closes(0))
    assert len(runs.runs_of(alice).items) == few + 20
    assert statements(lambda: runs.runs_of(alice)) == before <= 7


def test_statements_of_histories_do_not_grow(busy: BotRun, alice: User, stage: Stage) -> None:
    reads: dict[str, Callable[[int], Any]] = {
        "trades": lambda limit: history.trades_of(alice, limit=limit),
        "decisions": lambda limit: history.decisions_of(busy.pk, limit=limit),
        "orders": lambda limit: history.orders_of(busy.pk, alice, limit=limit),
        "fills": lambda limit: history.fills_of(busy.pk, limit=limit),
    }
    for name, read in reads.items():
        counts = {limit: statements(lambda read=read, limit=limit: read(limit)) for limit in (1, 8)}  # type: ignore[misc]
        assert counts[1] == counts[8] <= 2, name


def test_statements_of_money_grow_with_currencies_and_not_with_runs(busy: BotRun, alice: User, stage: Stage) -> None:
    at = stage.closes(11)
    before = statements(lambda: money.pnl_of(alice, "all", "", at))
    for _ in range(10):
        start_run(alice)
    rounds.whole_round(at)
    assert statements(lambda: money.pnl_of(alice, "all", "", at)) == before


# --- Whose ---------------------------------------------------------------------------------------------


def test_strangers_see_nothing(busy: BotRun, bob: User, stage: Stage) -> None:
    order = Order.objects.first()
    assert order is not None
    at = stage.closes(11)
    assert runs.runs_of(bob).items == []
    assert history.trades_of(bob).items == []
    assert list(history.all_trades(bob)) == []
    assert history.orders_of(None, bob).items == []
    assert history.orders_of(busy.pk, bob).items == []
    assert (money.pnl_of(bob, "all", "", at), money.balances_of(bob, at), trade_totals(bob, TradeFilter())) == (
        [],
        [],
        [],
    )
    gates.switch("run", busy.pk, "halt", "drill", at, CONSOLE)
    assert (risk.risk_of(bob).gates, risk.risk_of(busy.user).gates != []) == ([], True)
    for read in (
        lambda: runs.run_of(bob, busy.pk),
        lambda: runs.run_model(bob, busy.pk),
        lambda: history.order_of(bob, order.pk),
        lambda: runs.run_of(bob, 2**62),
    ):
        with pytest.raises(ObjectDoesNotExist):
            read()


def test_the_operator_sees_everybody(busy: BotRun, bob: User) -> None:
    other = start_run(bob)
    assert [run.bot_run_id for run in runs.runs_of(None).items] == [other.pk, busy.pk]
    assert runs.run_of(None, busy.pk).bot_run_id == busy.pk


# --- What ----------------------------------------------------------------------------------------------


def test_pages_follow_each_other_without_gap_or_repetition(busy: BotRun, alice: User) -> None:
    whole = [trade.id for trade in history.trades_of(alice, limit=100).items]
    assert len(whole) == 8
    for limit in (1, 3, 7, 8, 9):
        seen: list[int] = []
        before: int | None = None
        while True:
            page = history.trades_of(alice, limit=limit, before=before)
            seen += [trade.id for trade in page.items]
            if page.next is None:
                break
            before = page.next
        assert seen == whole, limit
    assert [trade.id for trade in history.all_trades(alice)] == whole


def test_trades_are_found_by_every_filter(busy: BotRun, alice: User, stage: Stage) -> None:
    def found(**wanted: Any) -> int:
        return len(history.trades_of(alice, TradeFilter(**wanted)).items)

    assert found(side="buy") == found(side="sell") == 4
    assert (found(symbol="BTC/USDT"), found(symbol="ETH/USDT")) == (8, 0)
    assert (found(mode="paper"), found(mode="live"), found(bot_run_id=busy.pk), found(bot_run_id=0)) == (8, 0, 8, 0)
    middle = TradeLog.objects.order_by("id")[3].executed_at
    # Half open: what happened at the very end belongs to the next range.
    assert found(since=middle) + found(until=middle) == 8
    assert found(until=middle) == 3


def test_runs_are_found_by_every_filter(busy: BotRun, alice: User) -> None:
    lifecycle.stop(start_run(alice), "keep", START, CONSOLE)

    def found(**wanted: str) -> int:
        return len(runs.runs_of(alice, RunFilter(**wanted)).items)

    assert (found(), found(status="running"), found(status="stopped"), found(mode="live")) == (2, 1, 1, 0)
    assert (found(symbol="BTC/USDT"), found(symbol="X/Y"), found(strategy="scripted"), found(strategy="x")) == (
        2,
        0,
        2,
        0,
    )


def test_profit_adds_up_in_every_period(busy: BotRun, alice: User, stage: Stage) -> None:
    at = stage.closes(11)
    (everything,) = money.pnl_of(alice, "all", "", at)
    (day,) = money.pnl_of(alice, "1d", "paper", at)
    pnls = [trade.pnl for trade in TradeLog.objects.all() if trade.pnl is not None]
    assert everything.net == day.net == sum(pnls, Decimal(0))
    assert everything.net == everything.realized + everything.unrealized - everything.fees
    assert everything.equity == busy.capital + everything.net
    assert (everything.trades, everything.win_rate) == (8, Decimal(sum(pnl > 0 for pnl in pnls)) / 4)
    assert everything.series[-1][1] == everything.equity
    assert money.pnl_of(alice, "all", "live", at) == []
    assert money.pnl_of(alice, "1d", "", at + timedelta(days=2))[0].trades == 0
    with pytest.raises(money.UnknownPeriod):
        money.pnl_of(alice, "1y", "", at)


def test_the_order_s_life_is_told_in_order(busy: BotRun, alice: User) -> None:
    for order in history.orders_of(busy.pk, alice).items:
        states = [event.to_state for event in order.events]
        assert (states[0], states[-1]) == ("PLANNED", order.state)
        assert [event.from_state for event in order.events[1:]] == states[:-1]
        assert order.events == sorted(order.events, key=lambda event: event.at)


def test_the_answer_says_why(alice: User, stage: Stage) -> None:
    run = start_run(alice)

    def answer() -> str:
        return risk.answer_line(runs.run_of(alice, run.pk))

    assert answer() == "Waiting for its first tick."
    rounds.whole_round(stage.closes(0))
    assert answer().startswith("The script says 0. Last checked 00:01:00 UTC")
    lifecycle.pause(run, stage.closes(0), CONSOLE)
    assert "paused" in answer().lower()
    gates.switch("user", alice.pk, "halt", "drill", stage.closes(0), CONSOLE)
    assert "user: drill" in answer()
    gates.switch("user", alice.pk, "resume", "over", stage.closes(0), CONSOLE)
    lifecycle.stop(run, "keep", stage.closes(0), CONSOLE)
    assert answer() == "The run is stopped: it places no orders."
    BotRun.objects.filter(pk=run.pk).update(status="error", status_reason="no such strategy")
    assert answer() == "The run is in error: no such strategy"
    RunPosition.objects.filter(run=run).update(amount=1, entry_price=100)
    assert answer() == "The run is in error, and what it holds is still protected: no such strategy"
