"""Stops, targets and trailing stops: where they are, and which one a price sets off."""

from decimal import Decimal as D

import pytest

from bots.core.codes import Code
from bots.core.limits import Limits
from bots.core.protection import Levels, break_even_level, levels, reached
from bots.core.stop_order import stop_of
from bots.tests.core.cast import BTC

BOTH = Limits(stop_loss_pct=D(5), take_profit_pct=D(10), trailing_stop_pct=D(3))


def test_levels_are_rounded_down_to_the_tick() -> None:
    found = levels(D("333.33"), D("350.01"), BOTH, BTC)
    assert found == Levels(stop=D("316.66"), target=D("366.66"), trailing=D("339.50"))


def test_without_limits_there_are_no_levels() -> None:
    assert not levels(D(100), D(110), Limits(), BTC)
    assert levels(D(100), None, BOTH, BTC).trailing is None


def test_break_even_pays_for_both_fees_once_the_price_has_risen() -> None:
    asked = Limits(break_even_pct=D(1))
    assert levels(D(100), D("100.99"), asked, BTC).break_even is None
    level = levels(D(100), D(101), asked, BTC).break_even
    # 100 × 1.001 / 0.999 = 100.2002…, up to the tick.
    assert level == break_even_level(D(100), BTC) == D("100.21")
    fee = D("0.001")
    assert level * (1 - fee) >= 100 * (1 + fee) > (level - BTC.price_tick) * (1 - fee)


def test_break_even_never_sells_at_the_price_that_armed_it_with_a_loss() -> None:
    asked = Limits(break_even_pct=D("0.1"))
    assert levels(D(100), D("100.2"), asked, BTC).break_even is None
    assert levels(D(100), D("100.21"), asked, BTC).break_even == D("100.21")


def test_of_several_levels_the_way_down_meets_the_highest_first() -> None:
    found = Levels(stop=D(95), break_even=D("100.21"), trailing=D(99), target=D(110))
    assert found.floor == D("100.21")
    assert Levels(target=D(110)).floor is None
    assert reached(found, D(100)) is Code.BREAK_EVEN
    assert bool(Levels(break_even=D(1)))


@pytest.mark.parametrize(
    ("price", "code"),
    [("95", Code.STOP_LOSS), ("97", Code.TRAILING_STOP), ("110", Code.TAKE_PROFIT), ("100", None)],
)
def test_the_level_that_a_price_sets_off(price: str, code: Code | None) -> None:
    assert reached(Levels(stop=D(95), target=D(110), trailing=D(97)), D(price)) is code


def test_no_levels_are_never_set_off() -> None:
    assert reached(Levels(), D(1)) is None


def test_where_nothing_lies_on_the_way_down_no_stop_rests() -> None:
    assert stop_of(Levels(target=D(110))) is None
