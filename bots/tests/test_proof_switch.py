"""How long an entry may outlive the kill switch in the proof, and what is told of it."""

from typing import Any

import pytest

from bots.tests.proof.switching import EACH_FAILURE, PROMPT, Switch
from bots.tests.proof.terms import Tally
from exchanges.core.errors import OrderNotFound, Unavailable


class Book:
    """An exchange with one entry in its book, and a clock."""

    def __init__(self) -> None:
        self.clock = 0.0
        self.entries: list[tuple[object, ...]] = [(7,)]
        self.trouble: Exception | None = None

    def second(self) -> float:
        return self.clock

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.entries if "status = 'open'" in sql else []

    def cancel_order(self, *_: object) -> None:
        if self.trouble is not None:
            raise self.trouble

    fetch_order = fetch_fills = fetch_open_orders = fetch_recent_orders = create_order = cancel_order


def engaged(book: Any) -> Switch:
    switch = Switch(book, 1)
    switch.engaged = True
    return switch


@pytest.mark.parametrize(("seconds", "late"), [(PROMPT, False), (PROMPT + 0.1, True)])
def test_an_entry_that_rests_for_longer_than_it_may_is_a_violation(seconds: float, late: bool) -> None:
    book = Book()
    switch = engaged(book)
    book.clock = seconds
    assert switch.look()
    book.entries = []
    book.clock = 60.0
    assert not switch.look()
    assert [wrong.startswith("switch: an entry rested for 10.1 s with 0") for wrong in switch.wrong()] == [True] * late


@pytest.mark.parametrize(("trouble", "allowed"), [(Unavailable(), PROMPT + EACH_FAILURE), (OrderNotFound(), PROMPT)])
def test_only_a_request_without_an_answer_gives_it_time(trouble: Exception, allowed: float) -> None:
    book = Book()
    switch = engaged(book)
    book.trouble = trouble
    with pytest.raises(type(trouble)):
        book.cancel_order()
    switch.look()
    assert switch.allowed == allowed


def test_what_still_rests_at_the_end_is_a_violation_however_short() -> None:
    assert engaged(Book()).wrong() == ["switch: entry 7 still rests"]
    assert Switch(Book(), 1).wrong() == ["switch: it was never engaged"]  # type: ignore[arg-type]


def test_the_tally_tells_both_kinds_apart() -> None:
    tally = Tally(rested=[[4.0, 0], [1.0, 0], [2.0, 0], [14.0, 2]])
    assert tally.told_rest() == {
        "answered": 3, "answered median": 2.0, "answered longest": 4.0,
        "unanswered": 1, "unanswered median": 14.0, "unanswered longest": 14.0,
    }  # fmt: skip
    total = Tally()
    total.add(tally)
    total.add_verdict("one", {"rested": [[3.0, 0]], "missed": [], "wrong": []} | dict.fromkeys(
        ("orders", "eligible", "acted", "incidents"), 0
    ))  # fmt: skip
    assert total.rested[-1] == [3.0, 0]
    assert Tally().told_rest() == {}
