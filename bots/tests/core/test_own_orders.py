"""No order may trade against another of the same account; coins are never kept because of one."""

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.core.codes import Code
from bots.core.intent import OrderIntent, Purpose
from bots.core.own_orders import crosses, meets_no_own_order, nothing_is_sold_twice
from bots.core.situation import Standing
from bots.tests.core.cast import flat, holding
from exchanges.core.orders import OrderType, Side

PRICES = st.integers(1, 1000).map(D)


def order(side: Side, limit: D | None, **facts: object) -> OrderIntent:
    purpose = Purpose.ENTRY if side is Side.BUY else Purpose.EXIT
    return OrderIntent(purpose, side, OrderType.LIMIT, D("0.01"), D(100), limit_price=limit, **facts)  # type: ignore[arg-type]


@given(mine=PRICES, other=PRICES)
def test_orders_cross_where_an_exchange_would_match_them(mine: D, other: D) -> None:
    assert crosses(order(Side.BUY, mine), Standing(Side.SELL, other)) is (mine >= other)
    assert crosses(order(Side.SELL, mine), Standing(Side.BUY, other)) is (mine <= other)
    for side in Side:
        assert not crosses(order(side, mine), Standing(side, other))
        assert not crosses(order(side, mine, stop_price=mine), Standing(Side.BUY, other))


def test_an_order_without_a_price_crosses_everything_on_the_other_side() -> None:
    assert crosses(order(Side.SELL, None), Standing(Side.BUY, D(1)))
    assert crosses(order(Side.BUY, None), Standing(Side.SELL, D(10**9)))


@pytest.mark.parametrize("firm", [True, False])
def test_an_entry_yields_to_whatever_may_stand(firm: bool) -> None:
    denial = meets_no_own_order(order(Side.BUY, D(100)), flat(standing=(Standing(Side.SELL, D(100), firm),)))
    assert denial is not None
    assert (denial.code, "rests at 100" in denial.detail) == (Code.SELF_CROSS, True)
    assert meets_no_own_order(order(Side.BUY, D(99)), flat(standing=(Standing(Side.SELL, D(100), firm),))) is None


def test_an_exit_waits_once_for_what_can_be_called_back_and_then_for_nothing() -> None:
    met = Standing(Side.BUY, D(100))
    denial = meets_no_own_order(order(Side.SELL, D(99)), holding(standing=(met,)))
    assert denial is not None
    assert denial.code is Code.SELF_CROSS
    asked = Standing(Side.BUY, D(100), firm=False)
    assert meets_no_own_order(order(Side.SELL, D(99)), holding(standing=(asked,))) is None


def test_a_sell_that_only_offers_yields_like_an_entry() -> None:
    asked = Standing(Side.BUY, D(100), firm=False)
    assert meets_no_own_order(order(Side.SELL, D(99), rests=True), holding(standing=(asked,))) is not None
    assert meets_no_own_order(order(Side.SELL, D(101), rests=True), holding(standing=(asked,))) is None


def test_what_is_offered_already_is_not_sold_again() -> None:
    now = holding(selling=D("0.004"))
    assert nothing_is_sold_twice(order(Side.SELL, D(99)), now) is not None
    assert nothing_is_sold_twice(order(Side.SELL, D(99)), holding()) is None
    assert nothing_is_sold_twice(order(Side.BUY, D(99)), now) is None
