"""Stops, targets and trailing stops: where they are, and which one a price sets off."""

from decimal import Decimal as D

import pytest

from bots.core.codes import Code
from bots.core.limits import Limits
from bots.core.protection import Levels, levels, reached
from bots.tests.core.cast import BTC

BOTH = Limits(stop_loss_pct=D(5), take_profit_pct=D(10), trailing_stop_pct=D(3))


def test_levels_are_rounded_down_to_the_tick() -> None:
    found = levels(D("333.33"), D("350.01"), BOTH, BTC)
    assert found == Levels(stop=D("316.66"), target=D("366.66"), trailing=D("339.50"))


def test_without_limits_there_are_no_levels() -> None:
    assert not levels(D(100), D(110), Limits(), BTC)
    assert levels(D(100), None, BOTH, BTC).trailing is None


@pytest.mark.parametrize(
    ("price", "code"),
    [("95", Code.STOP_LOSS), ("97", Code.TRAILING_STOP), ("110", Code.TAKE_PROFIT), ("100", None)],
)
def test_the_level_that_a_price_sets_off(price: str, code: Code | None) -> None:
    assert reached(Levels(stop=D(95), target=D(110), trailing=D(97)), D(price)) is code


def test_no_levels_are_never_set_off() -> None:
    assert reached(Levels(), D(1)) is None
