"""Each cause from what was written down: journal, orders, signs of life and stored candles, one at a time."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest

from bots.core.breaker import ClosedTrade
from bots.core.codes import Code
from bots.core.drift.comparison import compare
from bots.core.drift.terms import Cause, Heard, Lived, LiveFill, LiveOrder, Memory, Row, Tape
from bots.core.limits import Limits
from bots.core.position import Position
from bots.core.sizing import all_in_amount
from bots.tests.core.candles_cast import HOUR, PLAIN, flat_candles, signals
from exchanges.core.candles import Candles, from_ms
from exchanges.core.fees import fee_of
from exchanges.core.orders import Side
from strategies.core.plan import Scaling

PRICES = [100, 100, 100, 104, 104, 103, 108, 110]
MADE = flat_candles(PRICES)
STEP = timedelta(hours=1)
ALL_IN = all_in_amount(D(1000), D(104), PLAIN)


def opened(index: int) -> datetime:
    return from_ms(int(MADE.opened_at[index]))


def tape(made: Candles = MADE, entry: tuple[int, ...] = (2,), exit_: tuple[int, ...] = (), **limits: Any) -> Tape:
    return Tape(made, signals(len(made), entry, exit_), PLAIN, Limits(**limits), HOUR)


def heard(index: int, code: str, action: str = "BUY", late: float = 1.0, **facts: Any) -> Heard:
    return Heard(opened(index), opened(index + 1) + timedelta(seconds=late), action, code, "It says so.", **facts)


def order(index: int, fills: tuple[tuple[float, D], ...] = (), **facts: Any) -> LiveOrder:
    """A buy of candle 2 unless told otherwise; ``fills`` are (candle, price), of nine coins together."""
    share = D(9) / max(len(fills), 1)
    told = tuple(
        LiveFill(opened(0) + at * STEP, share, price, fee_of(share * price, D("0.001")), "USDT") for at, price in fills
    )
    given: dict[str, Any] = {
        "id": 1, "side": Side.BUY, "key": f"candle:{opened(index):%Y-%m-%dT%H:%M:%SZ}:signal", "code": "SIGNAL_BUY",
        "candle": opened(index), "planned_at": opened(index + 1) + timedelta(seconds=1), "price": D(104),
        "amount": D(9), "filled": D(9) if fills else D(0), "state": "FILLED" if fills else "OPEN", "fills": told,
    }  # fmt: skip
    return LiveOrder(**{**given, **facts})


#: A row for every candle, so that somebody was always at work.
AWAKE = [heard(index, "NO_SIGNAL", "HOLD", close=D(PRICES[index])) for index in range(len(PRICES) - 1) if index != 2]


def told(rows: list[Heard] = (), orders: list[LiveOrder] = (), asked: Tape | None = None, **facts: Any) -> list[Row]:  # type: ignore[assignment]
    lived = Lived(D(1000), facts.pop("start", Memory()), list(orders), [*AWAKE, *rows], **facts)
    found = compare(lived, asked or tape())
    assert found.remainder == 0
    return list(found.rows)


JOURNAL = [
    ("DATA_GAP", Cause.LATE_DATA),
    ("DATA_STALE", Cause.LATE_DATA),
    ("VENUE_MAINTENANCE", Cause.OUTAGE),
    ("TRADING_HALTED", Cause.OUTAGE),
    ("RUN_PAUSED", Cause.MANUAL),
    ("COOLDOWN", Cause.DENIED),
    ("NOT_ARMED", Cause.DENIED),
]


@pytest.mark.parametrize(("code", "cause"), JOURNAL)
def test_a_row_of_the_journal_says_why_nothing_was_bought(code: str, cause: Cause) -> None:
    (row,) = told([heard(2, code)])
    assert (row.cause, row.code, row.live) == (cause, code, None)


def test_a_run_that_was_still_warming_up_knew_too_little() -> None:
    (row,) = told([heard(2, "WARMING_UP", "HOLD")])
    assert (row.cause, row.code) == (Cause.LATE_DATA, "WARMING_UP")


def test_a_candle_that_nobody_saw_while_others_were_seen_was_not_there() -> None:
    (row,) = told(signs=[opened(3) + timedelta(minutes=5 * minute) for minute in range(13)])
    assert row.cause is Cause.LATE_DATA
    assert "was not there" in row.why


def test_a_silence_without_end_is_an_outage() -> None:
    lived = Lived(D(1000), Memory(), [], [])
    (row,) = compare(lived, tape()).rows
    assert (row.cause, "the beginning to the end" in row.why) == (Cause.OUTAGE, True)


STATES = [
    ({"state": "DENIED", "reject_code": "DAILY_LOSS"}, Cause.DENIED, "DAILY_LOSS"),
    ({"state": "DENIED", "reject_code": "TRADING_HALTED"}, Cause.OUTAGE, "TRADING_HALTED"),
    ({"state": "REJECTED", "reject_code": "INSUFFICIENT_FREE"}, Cause.DENIED, "INSUFFICIENT_FREE"),
    ({"state": "REJECTED"}, Cause.DENIED, "ORDER_REJECTED"),
    ({"state": "REJECTED", "reject_code": "VENUE_BANNED"}, Cause.OUTAGE, "VENUE_BANNED"),
    ({"state": "EXPIRED"}, Cause.PARTIAL_FILL, ""),
    ({"state": "FILLED"}, Cause.OUTAGE, ""),
    ({"state": "EXPIRED_UNSENT"}, Cause.OUTAGE, ""),
    ({"state": "UNKNOWN"}, Cause.OUTAGE, ""),
]


@pytest.mark.parametrize(("facts", "cause", "code"), STATES)
def test_an_orders_end_says_why_nothing_was_bought(facts: dict[str, str], cause: Cause, code: str) -> None:
    (row,) = told([heard(2, "SIGNAL_BUY", order=1)], [order(2, **facts)])
    assert (row.cause, row.code, row.facts["state"]) == (cause, code, facts["state"])


def test_an_order_that_was_planned_late_follows_a_late_candle() -> None:
    late = order(2, ((3.5, D(104)),), planned_at=opened(3) + timedelta(minutes=30), key="candle:x:signal:retry:1")
    alive = [opened(3) + timedelta(minutes=5 * minute) for minute in range(13)]
    (row,) = told([], [late], signs=alive)
    assert (row.cause, row.live is None, row.replayed is None) == (Cause.LATE_DATA, False, False)
    (silent,) = told([], [late])
    assert silent.cause is Cause.OUTAGE


def test_an_order_that_the_exchange_filled_late_is_a_partial_fill() -> None:
    (row,) = told([heard(2, "SIGNAL_BUY", order=1)], [order(2, ((4.5, D(104)),))])
    assert (row.cause, row.facts["seconds_late"]) == (Cause.PARTIAL_FILL, 1.0)


def test_a_later_try_follows_from_what_denied_the_first() -> None:
    again = order(2, ((4.5, D(104)),), key="candle:x:signal:retry:1")
    (row,) = told([heard(2, "CLOCK_SKEW")], [again])
    assert (row.cause, row.code) == (Cause.DENIED, "CLOCK_SKEW")


def test_the_parts_of_one_order_are_one_trade() -> None:
    (row,) = told([heard(2, "SIGNAL_BUY", order=1)], [order(2, ((3.0, D(104)), (5.2, D(103))), amount=ALL_IN)])
    assert (row.cause, row.live.amount if row.live else 0) == (Cause.PARTIAL_FILL, 9)


def test_a_trade_on_another_days_candle_is_late() -> None:
    other = order(2, ((1.5, D(100)),), candle=opened(0) - timedelta(days=1))
    (row,) = told([heard(2, "NO_SIGNAL", "HOLD")], [other], tape(entry=()))
    assert (row.cause, "of another day" in row.why) == (Cause.LATE_DATA, True)


def test_a_trade_on_a_candle_that_is_not_stored_is_late_data() -> None:
    holed = Candles(*(getattr(MADE, name)[[0, 1, 3, 4, 5, 6, 7]] for name in Candles.__slots__))
    (row,) = told([], [order(2, ((3.0, D(104)),))], tape(holed, entry=()))
    assert (row.cause, "not stored" in row.why) == (Cause.LATE_DATA, True)


def test_a_trade_that_todays_limits_forbid_is_denied_to_the_replay() -> None:
    (row,) = told([heard(2, "SIGNAL_BUY")], [order(2, ((3.0, D(104)),))], tape(max_order_notional=D(10)))
    assert (row.cause, row.code) == (Cause.DENIED, "MAX_NOTIONAL_ORDER")


def test_a_trade_before_enough_candles_are_stored_is_late_data() -> None:
    cold = replace(tape(), signals=signals(len(MADE), (2,), (), ready=()))
    (row,) = told([heard(2, "SIGNAL_BUY")], [order(2, ((3.0, D(104)),))], cold)
    assert (row.cause, row.code) == (Cause.LATE_DATA, "WARMING_UP")


def whole(base: LiveOrder, at: float, amount: D, price: int, **facts: Any) -> LiveOrder:
    """The order, filled in full at once."""
    fill = LiveFill(opened(0) + at * STEP, amount, D(price), fee_of(amount * price, D("0.001")), "USDT")
    return replace(base, amount=amount, filled=amount, fills=(fill,), state="FILLED", price=D(price), **facts)


def bought() -> LiveOrder:
    return whole(order(2), 3.0, ALL_IN, 104)


def sold(at: float, price: int, code: str) -> LiveOrder:
    given = {"id": 2, "side": Side.SELL, "key": f"risk:{code}:1", "code": code, "candle": None}
    return whole(order(2, **given), at, ALL_IN, price, planned_at=opened(0) + at * STEP)


def test_less_free_money_is_told() -> None:
    poorer = whole(order(2), 3.0, all_in_amount(D(999), D(104), PLAIN), 104, free=D(1000))
    (row,) = told([heard(2, "SIGNAL_BUY")], [poorer])
    assert (row.cause, row.effect == row.parts[Cause.FUNDS]) == (Cause.FUNDS, True)


def test_an_amount_that_leaves_room_for_the_fee_of_then_is_a_fee() -> None:
    amount = all_in_amount(D(1000), D(104), replace(PLAIN, taker_fee=D("0.002")))
    dearer = whole(order(2), 3.0, amount, 104)
    dearer = replace(dearer, fills=(replace(dearer.fills[0], fee=fee_of(amount * 104, D("0.002"))),))
    (row,) = told([heard(2, "SIGNAL_BUY")], [dearer])
    assert (row.cause, set(row.parts)) == (Cause.FEE, {Cause.FEE})


def test_an_amount_that_nothing_explains_is_unexplained() -> None:
    (row,) = told([heard(2, "SIGNAL_BUY")], [order(2, ((3.0, D(104)),))])
    assert (row.cause, row.facts["asked"], row.facts["replayed"]) == (Cause.UNEXPLAINED, 9, ALL_IN)


def test_a_stop_whose_price_is_not_in_the_candle_is_late_data() -> None:
    rows = told([heard(2, "SIGNAL_BUY")], [bought(), sold(4.5, 90, "STOP_LOSS")])
    assert [row.cause for row in rows] == [Cause.SAME, Cause.LATE_DATA]
    assert rows[1].facts["price"] == 90


def test_a_stop_that_the_candle_does_not_set_off_is_unexplained() -> None:
    rows = told([heard(2, "SIGNAL_BUY")], [bought(), sold(4.5, 104, "STOP_LOSS")])
    assert [row.cause for row in rows] == [Cause.SAME, Cause.UNEXPLAINED]


def fallen(close: float) -> Candles:
    """Candle 4 falls to 90, and closes where told."""
    low, end = MADE.low.copy(), MADE.close.copy()
    low[4], end[4] = 90.0, close
    return replace(MADE, low=low, close=end)


def at_work() -> list[datetime]:
    return [opened(0) + timedelta(minutes=5 * minute) for minute in range(12 * len(PRICES))]


UNSOLD = [
    (103.5, [], Cause.LATE_DATA, "STOP_LOSS"),
    (91.0, [], Cause.UNEXPLAINED, "STOP_LOSS"),
    (91.0, [Heard(None, opened(4) + STEP / 2, "SELL", "VENUE_BANNED", "No.")], Cause.OUTAGE, "VENUE_BANNED"),
    (91.0, [Heard(None, opened(4) + STEP / 2, "HOLD", "EXCHANGE_UNAVAILABLE", "No.")], Cause.OUTAGE,
     "EXCHANGE_UNAVAILABLE"),
]  # fmt: skip


@pytest.mark.parametrize(("close", "rows", "cause", "code"), UNSOLD)
def test_a_stop_that_did_not_sell_is_told(close: float, rows: list[Heard], cause: Cause, code: str) -> None:
    awake = [replace(row, close=None) for row in AWAKE]
    lived = Lived(D(1000), Memory(), [bought()], [*awake, heard(2, "SIGNAL_BUY"), *rows], at_work())
    found = compare(lived, tape(fallen(close), stop_loss_pct=D(5)))
    assert [(row.cause, row.code) for row in found.rows][1:] == [(cause, code)]
    assert found.remainder == 0


def test_a_stop_order_that_was_refused_is_told() -> None:
    awake = [replace(row, close=None) for row in AWAKE]
    refused = replace(sold(4.5, 95, "STOP_LOSS"), fills=(), filled=D(0), state="REJECTED", reject_code="MIN_NOTIONAL")
    lived = Lived(D(1000), Memory(), [bought(), refused], [*awake, heard(2, "SIGNAL_BUY")], at_work())
    found = compare(lived, tape(fallen(91.0), stop_loss_pct=D(5)))
    assert (found.rows[1].cause, found.rows[1].code) == (Cause.DENIED, "MIN_NOTIONAL")


def test_a_stop_that_nobody_watched_is_an_outage() -> None:
    lived = Lived(D(1000), Memory(), [bought()], [heard(2, "SIGNAL_BUY")])
    found = compare(lived, tape(fallen(91.0), stop_loss_pct=D(5)))
    assert found.rows[1].cause is Cause.OUTAGE


def test_a_stop_on_a_corrected_candle_is_late_data() -> None:
    lived = Lived(D(1000), Memory(), [bought()], [*AWAKE, heard(2, "SIGNAL_BUY")], at_work())
    found = compare(lived, tape(fallen(91.0), stop_loss_pct=D(5)))
    assert (found.rows[1].cause, found.rows[1].facts["recorded_close"]) == (Cause.LATE_DATA, 104)


def test_a_stop_that_sold_a_candle_later_is_one_trade_with_the_replays() -> None:
    awake = [replace(row, close=None) for row in AWAKE]
    lived = Lived(
        D(1000), Memory(), [bought(), sold(5.2, 103, "STOP_LOSS")], [*awake, heard(2, "SIGNAL_BUY")], at_work()
    )
    found = compare(lived, tape(fallen(103.5), stop_loss_pct=D(5)))
    assert [row.cause for row in found.rows] == [Cause.SAME, Cause.LATE_DATA]
    assert found.rows[1].live is not None
    assert found.rows[1].replayed is not None


def test_codes_of_causes_are_the_journals() -> None:
    assert {code for code, _ in JOURNAL} <= set(Code)


def test_a_candle_that_was_seen_otherwise_asked_for_nothing_then() -> None:
    (row,) = told([heard(2, "NO_SIGNAL", "HOLD", close=D(90))])
    assert (row.cause, row.code, row.facts["recorded_close"]) == (Cause.LATE_DATA, "NO_SIGNAL", 90)


def test_parts_in_one_candle_are_filled_at_their_average() -> None:
    parts = order(2, ((3.1, D(104)), (3.2, D(106))), amount=ALL_IN)
    (row,) = told([heard(2, "SIGNAL_BUY", order=1)], [parts])
    assert row.live is not None
    assert (row.live.amount, row.live.price) == (9, 105)


def test_a_stop_in_a_candle_that_was_corrected_since_is_late_data() -> None:
    seen = heard(4, "NO_SIGNAL", "HOLD", close=D(95))
    rows = told([heard(2, "SIGNAL_BUY"), seen], [bought(), sold(4.5, 104, "STOP_LOSS")])
    assert [row.cause for row in rows] == [Cause.SAME, Cause.LATE_DATA]


def test_a_second_order_follows_from_the_first_that_failed() -> None:
    refused = order(2, state="REJECTED", reject_code="INSUFFICIENT_FREE")
    again = order(2, ((4.5, D(104)),), id=2, key="candle:x:signal:retry:1")
    (row,) = told([heard(2, "SIGNAL_BUY", order=1)], [refused, again])
    assert (row.cause, row.code) == (Cause.DENIED, "INSUFFICIENT_FREE")


def test_an_indicator_that_was_not_known_then_is_late_data() -> None:
    rsi = np.full(len(MADE), np.nan)
    unknown = replace(tape(), signals=replace(tape().signals, indicators={"rsi": rsi}))
    known = replace(tape(), signals=replace(tape().signals, indicators={"rsi": rsi.copy()}))
    known.signals.indicators["rsi"][2] = 30.0
    seen = heard(2, "NO_SIGNAL", "HOLD", indicators={"rsi": None})
    (same,) = told([seen], [], unknown)
    (other,) = told([seen], [], known)
    assert (same.cause, other.cause, other.facts["stored"]) == (Cause.UNEXPLAINED, Cause.LATE_DATA, 30.0)


def test_a_fee_that_differs_by_its_rounding_is_the_same() -> None:
    exact = bought()
    fill = replace(exact.fills[0], fee=exact.fills[0].fee + D("1e-12"))
    (row,) = told([heard(2, "SIGNAL_BUY", order=1)], [replace(exact, fills=(fill,))])
    assert (row.cause, row.effect) == (Cause.SAME, -D("1e-12"))


def test_a_candle_seen_late_because_the_exchange_did_not_answer_is_an_outage() -> None:
    unanswered, late = heard(2, "EXCHANGE_UNAVAILABLE", "HOLD"), heard(2, "DATA_STALE", late=3600)
    (row,) = told([unanswered, late], signs=at_work())
    assert (row.cause, row.code, row.facts) == (Cause.OUTAGE, "EXCHANGE_UNAVAILABLE", {})


def test_a_candle_seen_late_while_somebody_was_at_work_is_late_data() -> None:
    (row,) = told([heard(2, "DATA_STALE", late=3600)], signs=at_work())
    assert (row.cause, row.code, row.why) == (Cause.LATE_DATA, "DATA_STALE", "It says so.")
    assert row.facts == {"seconds_late": 3600}


def test_a_candle_seen_late_after_a_silence_is_an_outage_with_its_stretch() -> None:
    (row,) = told([heard(2, "DATA_STALE", late=7200)])
    assert (row.cause, row.code, row.facts) == (Cause.OUTAGE, "DATA_STALE", {"seconds_late": 7200})
    assert row.why == "Nothing was written down from 02:00:01 to 04:00:01 UTC: nobody was at work."


@pytest.mark.parametrize(
    ("late", "cause", "why"),
    [
        (600.0, Cause.LATE_DATA, "The candle was seen late."),
        (1.0, Cause.UNEXPLAINED, "It saw the same candle and decided: It says so."),
    ],
)
def test_a_further_stake_is_missed_by_a_candle_that_was_seen_late(late: float, cause: Cause, why: str) -> None:
    held = Position(D(4), D(110), cash=D(-440), opened_at=opened(0) - STEP)
    staking = replace(tape(), signals=replace(tape().signals, plan=Scaling(2, D(1))))
    seen = heard(2, "ALREADY_IN_POSITION", "HOLD", late=late)
    (row,) = told([seen], [], staking, start=Memory(held, stakes=(D(110),)), signs=at_work())
    assert (row.cause, row.code, row.why, row.live) == (cause, "ALREADY_IN_POSITION", why, None)


def test_a_stake_that_was_filled_in_parts_cost_their_average() -> None:
    made = flat_candles([106, 106, 106, 106, 106, 104.5, 104.5, 104.5])
    both = tape(made, entry=(2, 4))
    staking = replace(both, signals=replace(both.signals, plan=Scaling(2, D(1))))
    # At 104 the first part alone would ask for 102.96 or less; 104.94 is one percent under what both cost.
    orders = [order(2, ((3.0, D(104)), (3.0, D(108)))), order(4, ((5.0, D("104.5")),), id=2)]
    rows = told([heard(4, "SIGNAL_BUY", order=2)], orders, staking)
    assert [row.replayed is not None for row in rows] == [True, True]


def test_a_journal_that_was_pruned_cannot_tell_any_more() -> None:
    (row,) = told(pruned=True)
    assert (row.cause, row.why) == (
        Cause.UNEXPLAINED, "The journal of that day was pruned: it cannot tell any more.",
    )  # fmt: skip


def test_a_position_that_a_person_closed_is_manual() -> None:
    rows = told([heard(2, "SIGNAL_BUY")], [bought(), sold(4.5, 104, "MANUAL_CLOSE")])
    assert [(row.cause, row.code) for row in rows] == [(Cause.SAME, ""), (Cause.MANUAL, "MANUAL_CLOSE")]
    assert (rows[1].why, rows[1].replayed) == ("A person asked for the position to be closed.", None)


def test_a_position_that_a_person_closed_as_its_stop_was_due_is_manual() -> None:
    orders = [bought(), sold(4.5, 95, "MANUAL_CLOSE")]
    lived = Lived(D(1000), Memory(), orders, [*AWAKE, heard(2, "SIGNAL_BUY")], at_work())
    found = compare(lived, tape(fallen(91.0), stop_loss_pct=D(5)))
    assert [(row.cause, row.code) for row in found.rows][1:] == [(Cause.MANUAL, "MANUAL_CLOSE")]


def test_a_trade_on_a_candle_that_was_corrected_since_is_late_data() -> None:
    (row,) = told([heard(2, "SIGNAL_BUY", close=D(90))], [order(2, ((3.0, D(104)),))], tape(entry=()))
    assert (row.cause, row.code, row.replayed) == (Cause.LATE_DATA, "SIGNAL_BUY", None)
    assert row.why == "The candle closed at 90 when it was seen; stored is 100."


def test_a_trade_after_losses_of_days_before_is_denied_to_the_replay() -> None:
    lost = ClosedTrade(opened(0) - 2 * STEP, opened(0) - STEP, D(-10), Code.SIGNAL_SELL)
    (row,) = told(
        [heard(2, "SIGNAL_BUY")], [order(2, ((3.0, D(104)),))], tape(cooldown_seconds=86_400),
        start=Memory(trades=(lost,)),
    )  # fmt: skip
    assert (row.cause, row.code, row.replayed) == (Cause.DENIED, "COOLDOWN", None)
    assert row.why.endswith("The pause after the last losing trade has not passed.")


@pytest.mark.parametrize(
    ("recorded", "cause", "why"),
    [
        (55.0, Cause.LATE_DATA, "rsi was 55.0 when it was seen; of the stored candles it is 30.0."),
        (30.00000001, Cause.UNEXPLAINED, "It saw the same candle and decided: It says so."),
    ],
)
def test_an_indicator_is_another_one_beyond_its_rounding(recorded: float, cause: Cause, why: str) -> None:
    known = replace(tape(), signals=replace(tape().signals, indicators={"rsi": np.full(len(MADE), 30.0)}))
    (row,) = told([heard(2, "NO_SIGNAL", "HOLD", indicators={"rsi": recorded})], [], known)
    assert (row.cause, row.why) == (cause, why)


@pytest.mark.parametrize(
    ("close", "cause", "why"),
    [
        (D(105), Cause.LATE_DATA, "The candle in which it was filled is stored otherwise than it was seen."),
        (D("104.1"), Cause.PRICE, "Filled 96.1538 bps worse than at the candle's open."),
    ],
)
def test_another_price_is_the_candles_where_it_was_corrected_by_as_much(close: D, cause: Cause, why: str) -> None:
    awake = [row for row in AWAKE if row.candle != opened(3)]
    seen = [heard(2, "SIGNAL_BUY"), heard(3, "NO_SIGNAL", "HOLD", close=close)]
    dearer = whole(order(2), 3.0, all_in_amount(D(1000), D(105), PLAIN), 105)
    (row,) = compare(Lived(D(1000), Memory(), [dearer], [*awake, *seen]), tape()).rows
    assert (row.cause, row.why, row.facts["slippage_bps"]) == (cause, why, 96.1538)
    assert row.facts.get("recorded_close") == (close if cause is Cause.LATE_DATA else None)


def test_a_trade_that_the_stored_candle_does_not_ask_for_is_unexplained() -> None:
    (row,) = told([heard(2, "SIGNAL_BUY")], [order(2, ((3.0, D(104)),))], tape(entry=()))
    assert (row.cause, row.code, row.replayed) == (Cause.UNEXPLAINED, "SIGNAL_BUY", None)
    assert row.why == "The stored candle asks for no such trade."


def test_a_trade_that_the_exchange_filled_later_is_told_so_though_the_replay_makes_none() -> None:
    (row,) = told([heard(2, "SIGNAL_BUY")], [order(2, ((4.5, D(104)),))], tape(entry=()))
    assert (row.cause, row.facts, row.replayed) == (Cause.PARTIAL_FILL, {"seconds_late": 1.0}, None)
    assert row.why == "The exchange filled the order only later."


def test_another_price_is_told_with_the_one_that_was_seen() -> None:
    dearer = replace(whole(order(2), 3.0, ALL_IN, 105), price=D("104.5"))
    (row,) = told([heard(2, "SIGNAL_BUY")], [dearer])
    assert (row.cause, row.facts) == (Cause.PRICE, {"slippage_bps": 96.1538, "price_seen": D("104.5")})


def test_a_sell_of_another_amount_that_nothing_explains_is_unexplained() -> None:
    part = {"id": 2, "side": Side.SELL, "key": "order:2", "code": "SIGNAL_SELL"}
    rows = told(
        [heard(2, "SIGNAL_BUY")], [bought(), whole(order(4, **part), 5.0, D(4), 103)], tape(exit_=(4,)),
    )  # fmt: skip
    assert [row.cause for row in rows] == [Cause.SAME, Cause.UNEXPLAINED]
    assert rows[1].why == f"It asked for 4, the replay for {ALL_IN:f}."


def test_a_stop_that_sold_at_the_open_of_a_candle_that_buys_again_belongs_to_the_one_before() -> None:
    again = whole(order(3), 4.02, D("9.5"), 104, id=3, key="order:3")
    rows = told([heard(2, "SIGNAL_BUY")], [bought(), sold(4.01, 104, "STOP_LOSS"), again], tape(entry=(2, 3)))
    assert [(row.live.code, row.candle) for row in rows if row.live is not None] == [
        ("SIGNAL_BUY", opened(2)), ("STOP_LOSS", opened(3)), ("SIGNAL_BUY", opened(3)),
    ]  # fmt: skip
