"""What an intent says of itself: what it may cost, which slot it takes, and whether it begins a position."""

from decimal import Decimal as D
from typing import Any

import pytest

from bots.core.intent import OrderIntent, Purpose, line_of
from exchanges.core.orders import OrderType, Side


def intent(purpose: Purpose = Purpose.ENTRY, **facts: Any) -> OrderIntent:
    """Two coins at a market of 100."""
    side = Side.BUY if purpose is Purpose.ENTRY else Side.SELL
    return OrderIntent(purpose, side, OrderType.LIMIT, D(2), D(100), **facts)


@pytest.mark.parametrize(
    ("purpose", "leg", "begins"),
    [
        (Purpose.ENTRY, "", True),
        (Purpose.ENTRY, "dca:1", True),
        (Purpose.ENTRY, "dca:2", False),
        (Purpose.ENTRY, "grid:0", False),
        (Purpose.EXIT, "", False),
        (Purpose.EXIT, "grid:0", False),
        (Purpose.STOP, "", False),
    ],
)
def test_an_entry_begins_a_position_unless_it_adds_to_one(purpose: Purpose, leg: str, begins: bool) -> None:
    assert intent(purpose, leg=leg).begins_position is begins


@pytest.mark.parametrize(
    ("purpose", "leg", "slot"),
    [
        (Purpose.ENTRY, "", "entry"),
        (Purpose.EXIT, "", "exit"),
        (Purpose.STOP, "", "exit"),
        (Purpose.EXIT, "grid:3", "grid:3"),
    ],
)
def test_a_stop_takes_the_slot_of_an_exit_and_a_leg_its_own(purpose: Purpose, leg: str, slot: str) -> None:
    assert intent(purpose, leg=leg).slot_leg == slot


@pytest.mark.parametrize(
    ("facts", "notional"),
    [({}, 200), ({"limit_price": D(90)}, 200), ({"rests": True}, 200), ({"limit_price": D(90), "rests": True}, 180)],
)
def test_only_an_order_that_rests_is_worth_its_limit(facts: dict[str, Any], notional: int) -> None:
    assert intent(**facts).notional == notional


@pytest.mark.parametrize(("leg", "line"), [("grid:0", 0), ("grid:12", 12), ("dca:2", None), ("entry", None)])
def test_a_line_is_read_from_a_grids_leg_alone(leg: str, line: int | None) -> None:
    assert line_of(leg) == line
