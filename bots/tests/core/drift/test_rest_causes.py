"""Why an order that rests came to another end than the replay's, one cause at a time."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from bots.core.drift.causes import Evidence
from bots.core.drift.comparison import compare
from bots.core.drift.rest_causes import RestEvidence
from bots.core.drift.state import Rests
from bots.core.drift.terms import Cause, Heard, Lived, LiveFill, LiveOrder, Memory
from bots.core.limits import EntryType
from bots.core.position import Position
from bots.core.sizing import all_in_amount
from bots.tests.core.candles_cast import PLAIN, candles, signals
from bots.tests.core.drift.test_causes import MADE, at_work, heard, opened, order, tape
from exchanges.core.fees import fee_of
from exchanges.core.orders import Side
from strategies.core.plan import Grid

OURS = Rests("entry", Side.BUY, D(9), D(103))


def resting(**facts: Any) -> LiveOrder:
    return order(2, **{"rests": True, "leg": "entry", "limit": D(103), "state": "OPEN", **facts})


def evidence(*rows: Heard, silent: bool = False) -> RestEvidence:
    lived = Lived(D(1000), Memory(), [], rows, [] if silent else at_work())
    return RestEvidence(Evidence(lived, tape()))


ASKED = [
    (resting(limit=D(102)), OURS, Cause.PRICE),
    (resting(), None, Cause.PRICE),
    (resting(amount=D(8), free=D(800)), OURS, Cause.FUNDS),
    (resting(amount=D(8)), OURS, Cause.UNEXPLAINED),
    (resting(amount=D(8), free=D(2000)), OURS, Cause.UNEXPLAINED),
]


@pytest.mark.parametrize(("lived", "ours", "cause"), ASKED)
def test_an_order_that_was_asked_for_otherwise_is_told(lived: LiveOrder, ours: Rests | None, cause: Cause) -> None:
    found = evidence().asked_otherwise(lived, ours, 3)
    assert (found.cause, found.facts["limit"]) == (cause, lived.limit)


def test_a_limit_from_a_candle_that_was_corrected_is_late_data() -> None:
    seen = heard(2, "SIGNAL_BUY", close=D(90))
    assert evidence(seen).asked_otherwise(resting(limit=D(102)), OURS, 3).cause is Cause.LATE_DATA


@pytest.mark.parametrize(("state", "cause"), [("OPEN", Cause.PARTIAL_FILL), ("UNKNOWN", Cause.OUTAGE)])
def test_what_the_exchange_did_not_fill_is_told(state: str, cause: Cause) -> None:
    found = evidence().unfilled(resting(state=state), 4)
    assert (found.cause, found.facts["state"], found.facts["low"]) == (cause, state, 104)
    assert evidence().unfilled(None, 4).cause is Cause.PARTIAL_FILL
    assert evidence(heard(4, "NO_SIGNAL", "HOLD", close=D(1))).unfilled(resting(), 4).cause is Cause.LATE_DATA


def test_what_the_stored_candle_does_not_fill_is_told() -> None:
    over = resting(rest_until=opened(4))
    assert evidence().reached(over, D(90), 4, over=False).cause is Cause.LATE_DATA
    assert evidence().reached(over, D(104), 4, over=True).cause is Cause.LATE_DATA
    assert evidence(silent=True).reached(over, D(104), 4, over=True).cause is Cause.OUTAGE
    assert evidence().reached(resting(), D(104), 4, over=True).cause is Cause.LATE_DATA
    assert evidence().reached(over, D(104), 4, over=False).cause is Cause.UNEXPLAINED
    assert evidence(heard(4, "NO_SIGNAL", "HOLD", close=D(1))).reached(over, D(104), 4, over=False).cause is (
        Cause.LATE_DATA
    )


ENDS = [
    ("the run is paused", Cause.MANUAL, "RUN_PAUSED"),
    ("kill switch", Cause.OUTAGE, "TRADING_HALTED"),
    ("an exit comes first", Cause.PARTIAL_FILL, ""),
    ("", Cause.PARTIAL_FILL, ""),
]


@pytest.mark.parametrize(("why", "cause", "code"), ENDS)
def test_an_end_is_told_by_who_called_it_back(why: str, cause: Cause, code: str) -> None:
    found = evidence().ended(resting(why=why, state="CANCELED"))
    assert (found.cause, found.code, found.facts["state"]) == (cause, code, "CANCELED")


#: Falls through the line at 95 on candle 2, and comes back over 100 on candle 4.
FALL = candles([(99, 99, 99, 99), (99, 99, 98, 98), (98, 98, 94, 96), (96, 97, 96, 97), (97, 101, 97, 101),
                (101, 101, 101, 101)])  # fmt: skip
LINES = Grid((D(90), D(95), D(100)))


def line(number: int, side: Side, at: int, limit: int, **facts: Any) -> LiveOrder:
    """An order of line ``number``, asked for by the candle before ``at``."""
    given: dict[str, Any] = {
        "id": number + 1, "side": side, "key": f"order:{number}:{side}", "code": f"SIGNAL_{side.upper()}",
        "candle": opened(at - 1), "planned_at": opened(at), "price": D(99), "amount": D(5), "filled": D(0),
        "state": "OPEN", "leg": f"grid:{number}", "rests": True, "limit": D(limit),
    }  # fmt: skip
    return LiveOrder(**{**given, **facts})


def filled(base: LiveOrder, hours: float, amount: D, price: int) -> LiveOrder:
    fee = fee_of(amount * price, D("0.001"))
    fill = LiveFill(opened(0) + hours * timedelta(hours=1), amount, D(price), fee, "USDT")
    return replace(base, fills=(*base.fills, fill), filled=base.filled + amount)


#: The orders of a grid that does as its replay, with half of the money in each line.
SHARE = all_in_amount(D(500), D(95), PLAIN)
LOW = line(0, Side.BUY, 1, 90, amount=all_in_amount(D(500), D(90), PLAIN))
HIGH = line(1, Side.BUY, 1, 95, amount=SHARE)
SELL = line(1, Side.SELL, 3, 100, id=5, amount=SHARE)
SOLD = filled(SELL, 4.5, SHARE, 100)
SOLD_LATER = replace(SOLD, candle=opened(3), planned_at=opened(4))


def of_grid(*orders: LiveOrder, start: Memory | None = None) -> list[Any]:
    asked = replace(tape(FALL), signals=replace(signals(len(FALL)), plan=LINES))
    found = compare(Lived(D(1000), start or Memory(), orders, [], at_work()), asked)
    assert found.remainder == 0
    assert found.difference == sum(row.effect for row in found.rows)
    return list(found.rows)


def told(rows: list[Any]) -> list[tuple[Any, ...]]:
    """The cause of each, and how much the run and the replay traded."""
    return [(row.cause, *(leg and (leg.side, leg.amount) for leg in (row.live, row.replayed))) for row in rows]


def test_a_line_that_was_filled_in_parts_is_one_trade() -> None:
    whole = line(1, Side.BUY, 1, 95, amount=D("5.25788"))
    low = line(0, Side.BUY, 1, 90, amount=D("5.55"))
    parts = filled(filled(whole, 2.2, D(2), 95), 2.4, D("3.25788"), 95)
    rows = of_grid(low, parts)
    told = next(row for row in rows if row.live is not None)
    assert (told.live.amount, told.live.leg) == (D("5.25788"), "grid:1")


def test_what_rested_and_was_held_when_the_day_began_is_taken_up() -> None:
    lot = Position(D(5), D(95), open_fees=D("0.475"), cash=-D("475.475"), fees=D("0.475"), opened_at=opened(0))
    sell = line(1, Side.SELL, 1, 100, planned_at=opened(0) - timedelta(hours=3))
    start = Memory(position=lot, lots={1: lot}, resting=(sell,))
    sold = filled(sell, 4.5, D(5), 100)
    rows = of_grid(sold, start=start)
    assert [row.cause for row in rows if row.live is not None] == [Cause.SAME]


def test_an_entry_of_before_the_day_that_was_called_back_is_told() -> None:
    made = tape(FALL, entry=(), entry_type=EntryType.LIMIT, limit_offset_pct=D(1), limit_timeout_seconds=7200)
    entry = resting(limit=D(95), planned_at=opened(0) - timedelta(hours=1), candle=None, rest_until=opened(5))
    start = Memory(resting=(entry,))
    gone = replace(entry, ended_at=opened(1) + timedelta(minutes=5), why="the run is paused", state="CANCELED")
    (row,) = compare(Lived(D(1000), start, [gone], [], at_work()), made).rows
    assert (row.cause, row.code, row.live) == (Cause.MANUAL, "RUN_PAUSED", None)
    assert row.replayed is not None
    assert row.replayed.price == 95
    assert len(MADE) == 8


def test_a_line_that_was_filled_below_the_stored_range_is_late_data() -> None:
    rows = of_grid(filled(LOW, 2.5, LOW.amount, 90), filled(HIGH, 2.2, SHARE, 95))
    deep = next(row for row in rows if row.live is not None and row.live.leg == "grid:0")
    assert (deep.cause, deep.code, deep.replayed) == (Cause.LATE_DATA, "SIGNAL_BUY", None)
    assert (deep.why, deep.facts["low"]) == ("Its price, 90, is not in the stored candle.", 94)


@pytest.mark.parametrize(("signs", "cause"), [(at_work(), Cause.LATE_DATA), ([], Cause.OUTAGE)])
def test_an_entry_that_was_filled_after_its_time_was_called_back_late(signs: list[datetime], cause: Cause) -> None:
    made = tape(FALL, entry=(), entry_type=EntryType.LIMIT, limit_offset_pct=D(1), limit_timeout_seconds=7200)
    entry = resting(limit=D(95), planned_at=opened(0) - timedelta(hours=1), candle=None, rest_until=opened(1))
    lived = Lived(D(1000), Memory(resting=(entry,)), [filled(entry, 2.5, D(9), 95)], [], signs)
    (row,) = compare(lived, made).rows
    assert (row.cause, row.replayed) == (cause, None)
    assert row.why == "It rested longer than it was to: it was called back late."


def test_a_sell_and_a_buy_at_one_place_are_each_compared_with_their_own_line() -> None:
    late = replace(LOW, candle=opened(2), planned_at=opened(3))
    rows = of_grid(late, filled(HIGH, 2.2, SHARE, 95), SOLD)
    assert told(rows) == [
        (Cause.SAME, (Side.BUY, SHARE), (Side.BUY, SHARE)), (Cause.SAME, (Side.SELL, SHARE), (Side.SELL, SHARE)),
    ]  # fmt: skip
    assert [row.effect for row in rows] == [0, 0]


def test_a_line_that_the_exchange_filled_a_candle_later_is_one_trade() -> None:
    rows = of_grid(LOW, filled(HIGH, 3.5, SHARE, 95), SOLD_LATER)
    assert told(rows) == [
        (Cause.PARTIAL_FILL, (Side.BUY, SHARE), (Side.BUY, SHARE)),
        (Cause.SAME, (Side.SELL, SHARE), (Side.SELL, SHARE)),
    ]
    assert rows[0].why == "The candle reached its limit, and the exchange did not fill it, or not all of it, then."


def test_a_line_that_was_filled_over_two_candles_is_told_with_what_came_first() -> None:
    rows = of_grid(LOW, filled(filled(HIGH, 2.2, D(2), 95), 3.4, SHARE - 2, 95), SOLD_LATER)
    assert told(rows) == [
        (Cause.PARTIAL_FILL, (Side.BUY, SHARE), (Side.BUY, SHARE)),
        (Cause.SAME, (Side.SELL, SHARE), (Side.SELL, SHARE)),
    ]
    assert rows[0].why == f"Of {SHARE} only 2 were filled."


def test_an_order_that_the_replay_puts_in_the_place_of_a_lost_one_makes_no_difference() -> None:
    lost = replace(HIGH, ended_at=opened(2), state="CANCELED", why="the exchange ended it")
    anew = filled(replace(HIGH, id=7, candle=opened(1), planned_at=opened(2)), 2.2, SHARE, 95)
    again = replace(HIGH, id=9, candle=opened(4), planned_at=opened(5))
    for orders in ((LOW, lost, anew, SOLD), (LOW, lost, anew, SOLD, again)):
        rows = of_grid(*orders)
        assert [(row.cause, row.effect) for row in rows] == [(Cause.SAME, 0), (Cause.SAME, 0)]
        assert told(rows) == [
            (Cause.SAME, (Side.BUY, SHARE), (Side.BUY, SHARE)),
            (Cause.SAME, (Side.SELL, SHARE), (Side.SELL, SHARE)),
        ]


def test_a_line_that_todays_limits_forbid_is_denied_to_the_replay() -> None:
    asked = replace(tape(FALL, max_position_notional=D(10)), signals=replace(signals(len(FALL)), plan=LINES))
    at_once = filled(line(1, Side.BUY, 1, 101), 1.0, D(5), 99)
    bought = compare(Lived(D(1000), Memory(), [at_once], [], at_work()), asked).rows[0]
    assert (bought.cause, bought.code, bought.replayed) == (Cause.DENIED, "MAX_EXPOSURE_SYMBOL", None)
    assert bought.why == (
        "The replay is denied it under the limits as they are now: The position would be larger than allowed."
    )
