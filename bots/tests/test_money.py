"""Profit and equity: paper and live apart, and every figure an identity away from the others."""

from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from accounts.models import User
from bots import rounds
from bots.models import TradeLog
from bots.queries import money
from bots.testing import Stage, start_run


def play(stage: Stage, last: int) -> None:
    for index in range(last + 1):
        rounds.whole_round(stage.closes(index))


def test_net_is_realized_plus_unrealized_less_fees(alice: User, stage: Stage) -> None:
    start_run(alice)
    play(stage, 8)
    (view,) = money.pnl_of(alice, "all", "paper", stage.closes(8))
    bought, sold = TradeLog.objects.order_by("id")
    assert view.fees == bought.fee + sold.fee
    assert view.realized == bought.quantity * (sold.price - bought.price)
    assert view.net == view.realized - view.fees == sold.pnl
    assert (view.equity, view.trades, view.win_rate) == (1000 + view.net, 2, 1)
    assert [value for _, value in view.series] == [1000, view.equity, view.equity]


def test_an_open_position_counts_at_the_last_known_price(alice: User, stage: Stage) -> None:
    start_run(alice)
    play(stage, 5)
    (view,) = money.pnl_of(alice, "all", "", stage.closes(5))
    bought = TradeLog.objects.get()
    assert view.unrealized == bought.quantity * (D(105) - D(104))
    assert view.net == view.unrealized - bought.fee
    assert (view.equity, view.win_rate) == (1000 + view.net, None)


def test_a_period_begins_with_the_equity_it_found(alice: User, stage: Stage) -> None:
    start_run(alice)
    play(stage, 8)
    whole = money.pnl_of(alice, "all", "paper", stage.closes(8))[0]
    later = money.pnl_of(alice, "1d", "paper", stage.closes(8) + timedelta(days=2))[0]
    assert (later.trades, later.net, later.equity) == (0, 0, whole.equity)
    assert {value for _, value in later.series} == {whole.equity}


def test_an_unknown_period_is_named(alice: User, stage: Stage) -> None:
    with pytest.raises(money.UnknownPeriod, match="1d, 7d, 30d, all"):
        money.pnl_of(alice, "1y", "paper", stage.closes(0))


def test_a_stranger_sees_none_of_it(alice: User, bob: User, stage: Stage) -> None:
    start_run(alice)
    assert money.pnl_of(bob, "all", "", stage.closes(0)) == []
    assert money.balances_of(bob, stage.closes(0)) == []


def test_balances_are_those_of_the_wallet(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    play(stage, 4)
    held = {view.asset: view for view in money.balances_of(alice, stage.closes(4))}
    run.refresh_from_db()
    assert held["BTC"].free == run.held
    assert held["USDT"].free == 1000 + run.position.cash
    assert held["BTC"].bot_run_id == run.pk


@pytest.mark.parametrize(
    ("levels", "worst"),
    [([100, 120, 90, 130], D("0.25")), ([100, 110], D(0)), ([], None), ([0], None)],
)
def test_drawdown_is_the_largest_fall_from_a_peak(levels: list[int], worst: D | None) -> None:
    assert money.drawdown([D(level) for level in levels]) == worst


def test_a_fee_counts_in_quote() -> None:
    assert money.fee_in_quote(D(1), "USDT", D(50), "BTC/USDT", "USDT") == 1
    assert money.fee_in_quote(D(1), "BTC", D(50), "BTC/USDT", "USDT") == 50
    assert money.fee_in_quote(D(1), "BNB", D(50), "BTC/USDT", "USDT") == 0


def test_a_long_curve_is_thinned(alice: User) -> None:
    from bots.testing import START

    trades = [money.Closed(START + timedelta(seconds=i), D(1), D(0)) for i in range(2000)]
    series = money.equity_series(D(0), trades, START, D(2000), START + timedelta(hours=1))
    assert len(series) == money.MOST_POINTS + 1
    assert series[-1][1] == 2000


def test_all_periods_come_from_one_reading(alice: User, stage: Stage, django_assert_num_queries: Any) -> None:
    start_run(alice)
    play(stage, 8)
    at = stage.closes(8) + timedelta(hours=23, minutes=57)
    alone = {period: money.pnl_of(alice, period, "", at) for period in money.PERIODS}
    # One trade is older than a day, one is not.
    assert [alone[period][0].trades for period in ("1d", "7d", "all")] == [1, 2, 2]
    with django_assert_num_queries(2):
        assert money.pnls_of(alice, money.PERIODS, "", at) == alone
