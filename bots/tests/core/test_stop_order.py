"""Where a stop that rests on the exchange stands, for how much, and when it has to be moved."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from bots.core.codes import Code
from bots.core.intent import Purpose
from bots.core.limits import Limits
from bots.core.protection import Levels
from bots.core.stop_order import Stop, misplaced, stop_intent, stop_of
from bots.tests.core.cast import BTC, HELD, holding
from exchanges.core.orders import OrderType, Side, StopStyle

AT = Stop(D("47500"), Code.STOP_LOSS)


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (Levels(), None),
        (Levels(target=D(120)), None),
        (Levels(stop=D(95)), Stop(D(95), Code.STOP_LOSS)),
        (Levels(stop=D(95), trailing=D(97)), Stop(D(97), Code.TRAILING_STOP)),
        (Levels(stop=D(95), break_even=D(101), trailing=D(97)), Stop(D(101), Code.BREAK_EVEN)),
        (Levels(stop=D(97), trailing=D(97)), Stop(D(97), Code.STOP_LOSS)),
    ],
)
def test_highest_level_on_the_way_down_is_the_stop(at: Levels, expected: Stop | None) -> None:
    assert stop_of(at) == expected


def test_stop_sells_all_that_is_held_and_rests() -> None:
    wish = stop_intent(holding(), AT, StopStyle.MARKET)
    assert (wish.purpose, wish.side, wish.type, wish.rests) == (Purpose.STOP, Side.SELL, OrderType.STOP_LOSS, True)
    assert (wish.amount, wish.stop_price, wish.limit_price) == (HELD.amount, D("47500"), None)
    assert wish.slot_leg == "exit"


@pytest.mark.parametrize(
    ("limits", "lowest"), [(Limits(), D("46550.00")), (Limits(price_band_pct=D(1)), D("47025.00"))]
)
def test_stop_with_a_limit_lies_a_band_under_it(limits: Limits, lowest: D) -> None:
    wish = stop_intent(holding(limits=limits), AT, StopStyle.LIMIT)
    assert (wish.stop_price, wish.limit_price) == (D("47500"), lowest)


def test_stop_is_moved_by_a_whole_tick_or_another_amount_only() -> None:
    held, tick = D("0.01"), BTC.price_tick
    assert not misplaced(AT.price, held, AT, held, BTC)
    assert not misplaced(AT.price - tick / 2, held, AT, held, BTC)
    assert misplaced(AT.price - tick, held, AT, held, BTC)
    assert misplaced(None, held, AT, held, BTC)
    assert misplaced(AT.price, held, AT, held * 2, BTC)
    # What cannot be sold, less than a step, moves nothing.
    assert not misplaced(AT.price, held, AT, held + BTC.amount_step / 2, BTC)
    assert misplaced(AT.price, D(1), AT, D(1), replace(BTC, max_amount=D("0.5")))
