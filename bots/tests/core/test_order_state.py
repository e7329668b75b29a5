"""The order's life is a table in which nothing is sent twice and every end is final."""

import pytest

from bots.core.order_state import FINAL, IN_FLIGHT, TRANSITIONS, UNSENT, IllegalTransition, OrderState, mermaid, require


def test_only_a_planned_order_is_ever_sent() -> None:
    assert [start for start, ends in TRANSITIONS.items() if OrderState.SENDING in ends] == [OrderState.PLANNED]


def test_final_states_have_no_way_out() -> None:
    assert all(not TRANSITIONS[state] for state in FINAL)
    assert all(TRANSITIONS[state] for state in OrderState if state not in FINAL)


def test_every_state_is_final_in_flight_or_planned() -> None:
    assert set(OrderState) == FINAL | IN_FLIGHT | {OrderState.PLANNED}
    assert {OrderState.PLANNED, OrderState.DENIED, OrderState.EXPIRED_UNSENT} == UNSENT


def test_every_state_can_be_reached() -> None:
    reached, edge = {OrderState.PLANNED}, [OrderState.PLANNED]
    while edge:
        for end in TRANSITIONS[edge.pop()]:
            if end not in reached:
                reached.add(end)
                edge.append(end)
    assert reached == set(OrderState)


def test_an_arrow_that_is_not_in_the_table_is_a_bug() -> None:
    require(OrderState.PLANNED, OrderState.SENDING)
    with pytest.raises(IllegalTransition, match="was SENDING"):
        require(OrderState.UNKNOWN, OrderState.SENDING)


def test_the_diagram_has_every_arrow() -> None:
    assert mermaid().count("-->") == sum(len(ends) for ends in TRANSITIONS.values()) + 1 + len(FINAL)
