"""Drift of orders that rest, a limit entry or a grid's lines: the replay is the backtest's, and all effects add up."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal as D
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bots.core.backtest import engine
from bots.core.backtest.terms import Outcome, Terms
from bots.core.drift.comparison import _walk, compare
from bots.core.drift.met import first_met
from bots.core.drift.state import DECIDED, MET, REACHED, Act, Place, Rests
from bots.core.drift.terms import Cause, Drift, Lived, LiveFill, LiveOrder, Memory, Tape
from bots.core.drift.walk import Step
from bots.core.intent import line_of
from bots.core.limits import EntryType, Limits
from bots.core.position import FillFact, Position, fold
from bots.tests.core.candles_cast import PLAIN, STRICT, candles, flat_candles, limits, signals, walks
from bots.tests.core.drift.test_comparison import CAPITAL, of_one_day, tape
from bots.tests.core.test_grid import limits as grid_limits
from bots.tests.core.test_grid import worked
from exchanges.core.candles import from_ms
from exchanges.core.decimals import ZERO, from_float
from exchanges.core.fees import fee_of
from exchanges.core.orders import Side
from strategies.core.plan import Grid

SECONDS = st.sampled_from([1, 60, 3600, 5 * 3600, 90 * 3600])
OFFSETS = st.sampled_from([D(0), D("0.3"), D(2), D(10)])


@st.composite
def patient(draw: st.DrawFn) -> Tape:
    """Entries that rest, on wild candles."""
    walk = draw(walks())
    asked = replace(
        of_one_day(walk[0], draw(limits)), entry_type=EntryType.LIMIT,
        limit_offset_pct=draw(OFFSETS), limit_timeout_seconds=draw(SECONDS),
    )  # fmt: skip
    return tape(walk, PLAIN, asked)


@st.composite
def lines(draw: st.DrawFn) -> Tape:
    """A grid on wild candles, with a stop now and then."""
    walk = draw(worked())
    return tape(walk, draw(st.sampled_from([PLAIN, STRICT])), of_one_day(walk[0], draw(grid_limits)))


def steps_of(asked: Tape) -> list[Step]:
    walk = _walk(asked, CAPITAL, CAPITAL)
    return list(walk.run(walk.begin(Memory()), (asked.first, MET)))


def outcome_of(asked: Tape) -> Outcome:
    return engine.run(asked.candles, asked.signals, Terms(CAPITAL, asked.market, asked.limits))


def facts_of(steps: Sequence[Step]) -> list[tuple[Any, ...]]:
    made = [(step.place[0], act) for step in steps for act in step.acts if act.fact is not None]
    return [(at, *told(act)) for at, act in made]


def told(act: Act) -> tuple[Any, ...]:
    assert act.fact is not None
    return act.fact.side, act.fact.price, act.fact.amount, act.fact.fee


@given(lines())
@settings(max_examples=200, deadline=None)
def test_the_replay_of_a_grid_is_the_backtests(asked: Tape) -> None:
    outcome, steps = outcome_of(asked), steps_of(asked)
    fills = [(fill.candle, fill.side, fill.price, fill.amount, fill.fee) for fill in outcome.fills]
    assert sorted(facts_of(steps)) == sorted(fills)
    mark = from_float(float(asked.candles.close[-1]))
    ended = steps[-1].state.position if steps else Memory().position
    assert ended.profit(mark) == outcome.position.profit(mark)


@given(patient())
@settings(max_examples=200, deadline=None)
def test_the_replay_of_entries_that_rest_is_the_backtests(asked: Tape) -> None:
    outcome = outcome_of(asked)
    expected = []
    for trade in outcome.trades:
        expected.append((trade.entry, Side.BUY, trade.entry_price, trade.amount, trade.entry_fee))
        expected.append((trade.exit, Side.SELL, trade.exit_price, trade.amount, trade.fee - trade.entry_fee))
    if (held := outcome.open) is not None:
        expected.append((held.entry, Side.BUY, held.entry_price, held.amount, held.fee))
    assert facts_of(steps_of(asked)) == expected


class Written:
    """The orders of a run that did exactly what the steps say: placed, filled, called back."""

    def __init__(self, asked: Tape, steps: Sequence[Step]) -> None:
        self.tape, self.orders = asked, list[LiveOrder]()
        self.standing: dict[str, int] = {}
        for step in steps:
            for act in step.acts:
                self.told(act, step.place)

    def at(self, place: Place) -> datetime:
        return from_ms(int(self.tape.candles.opened_at[place[0]]))

    def told(self, act: Act, place: Place) -> None:
        if act.clears:
            for leg in list(self.standing):
                self.called_back(leg, place)
        if act.waited and act.fact is not None:
            number = self.standing.pop(act.leg)
            self.orders[number] = self.filled(self.orders[number], act, place)
        elif act.fact is not None or act.rests is not None:
            self.called_back(act.leg, place)
            self.orders.append(self.placed(act, place))
            if act.rests is not None:
                self.standing[act.leg] = len(self.orders) - 1

    def called_back(self, leg: str, place: Place) -> None:
        if leg in self.standing:
            number = self.standing.pop(leg)
            self.orders[number] = replace(self.orders[number], state="CANCELED", ended_at=self.at(place))

    def placed(self, act: Act, place: Place) -> LiveOrder:
        of_candle = place[1] == DECIDED
        until = None if act.rests is None or act.rests.until is None else act.rests.until
        last = from_ms(int(self.tape.candles.opened_at[-1])) + timedelta(days=1)
        opened = [from_ms(int(ms)) for ms in self.tape.candles.opened_at]
        amount, limit = (act.rests.amount, act.rests.limit) if act.rests else (told(act)[2], told(act)[1])
        order = LiveOrder(
            id=len(self.orders) + 1, side=act.side, key=f"order:{len(self.orders)}", code=act.code.value,
            candle=opened[place[0] - 1] if of_candle else None, planned_at=self.at(place), price=limit, amount=amount,
            filled=D(0), state="OPEN", leg=act.leg or ("entry" if act.side is Side.BUY else "exit"),
            rests=of_candle and not act.clears and (self.tape.limits.entries_rest or line_of(act.leg) is not None),
            limit=limit, rest_until=None if until is None else opened[until] if until < len(opened) else last,
        )  # fmt: skip
        return order if act.fact is None else self.filled(order, act, place)

    def filled(self, order: LiveOrder, act: Act, place: Place) -> LiveOrder:
        _, price, amount, fee = told(act)
        fill = LiveFill(self.at(place), amount, price, fee, "USDT")
        return replace(order, fills=(fill,), filled=amount, state="FILLED")


def lived_by(asked: Tape) -> list[LiveOrder]:
    return Written(asked, steps_of(asked)).orders


def checked(found: Drift, asked: Tape, orders: Sequence[LiveOrder]) -> Drift:
    """What holds of every report: all effects add up, and both ends are the ledger's and the backtest's."""
    mark = from_float(float(asked.candles.close[-1]))
    facts = [
        FillFact(one.side, fill.amount, fill.price, fill.fee, fill.fee_asset, fill.at)
        for one in orders for fill in one.fills
    ]  # fmt: skip
    assert found.remainder == 0
    assert found.difference == sum((row.effect for row in found.rows), ZERO) == sum(found.effects().values(), ZERO)
    assert found.live_pnl == fold(facts, "BTC", "USDT").profit(mark)
    assert found.replay_pnl == outcome_of(asked).position.profit(mark)
    assert sum(found.counts().values()) == len(found.rows)
    return found


@given(st.one_of(lines(), patient()))
@settings(max_examples=300, deadline=None)
def test_a_day_that_went_as_the_backtest_has_no_drift(asked: Tape) -> None:
    orders = lived_by(asked)
    found = checked(compare(Lived(CAPITAL, Memory(), orders, []), asked), asked, orders)
    filled = [order for order in orders if order.fills]
    assert [row.cause for row in found.rows] == [Cause.SAME] * len(filled)
    assert (found.difference, found.unexplained, found.replay_trades) == (0, 0, len(filled))


def test_a_day_with_an_exit_that_was_refused_has_no_drift() -> None:
    made = flat_candles([3.9, 3.9, 3.45, 3.45, 3.45, 4.2])
    opinions = replace(signals(6, exit_=[2, 3]), plan=Grid((D("3.5"), D(4), D("4.5"))))
    asked = tape((made, opinions), STRICT)
    orders = lived_by(asked)
    found = checked(compare(Lived(CAPITAL, Memory(), orders, []), asked), asked, orders)
    assert [row.cause for row in found.rows] == [Cause.SAME] * 2


@st.composite
def tampered(draw: st.DrawFn) -> tuple[Tape, list[LiveOrder]]:
    """Orders left out, asked for otherwise, filled late, in part, dearer or not at all, and called back."""
    asked = draw(st.one_of(lines(), patient()))
    orders, held = list[LiveOrder](), D(0)
    for one in lived_by(asked):
        if draw(st.integers(0, 4)) == 0:
            continue
        limit = (one.limit or one.price) * draw(st.sampled_from([D(1), D(1), D("0.99")]))
        changed = replace(one, limit=limit, fills=())
        fate = draw(st.sampled_from(["as it was", "as it was", "in part", "late", "unfilled", "called back", "dearer"]))
        if fate == "called back":
            changed = replace(
                changed, ended_at=one.planned_at + timedelta(hours=draw(st.integers(0, 9))), why="the run stops"
            )
        for fill in one.fills if fate not in ("unfilled", "called back") else ():
            amount = fill.amount * (D("0.5") if fate == "in part" else 1)
            amount = amount if one.side is Side.BUY else min(amount, held)
            if amount <= 0:
                continue
            at = fill.at + timedelta(hours=draw(st.integers(0, 30)) if fate == "late" else 0)
            price = fill.price * (D("1.003") if fate == "dearer" else 1)
            at = min(at, from_ms(int(asked.candles.opened_at[-1])))
            fee = fee_of(amount * price, draw(st.sampled_from([D("0.001"), D("0.001"), D("0.002")])))
            changed = replace(changed, fills=(LiveFill(at, amount, price, fee, "USDT"),), filled=amount)
            held += amount if one.side is Side.BUY else -amount
        orders.append(changed)
    return asked, orders


@given(tampered())
@settings(max_examples=400, deadline=None)
def test_effects_add_up_whatever_was_done(case: tuple[Tape, list[LiveOrder]]) -> None:
    asked, orders = case
    checked(compare(Lived(CAPITAL, Memory(), orders, []), asked), asked, orders)


def test_what_rests_is_found_beyond_the_first_stretch_of_candles() -> None:
    prices = [100.0] * 200
    prices[150] = 90.0
    standing = [Rests("entry", Side.BUY, D(1), D(95))]
    assert first_met(standing, flat_candles(prices), (1, REACHED), 200) == (150, MET)
    assert first_met(standing, flat_candles(prices), (151, MET), 200) is None


def test_an_exit_that_is_worth_less_than_the_least_order_is_left_alone() -> None:
    plan = Grid((D(95), D(100), D(105)))
    made = flat_candles([100, 90, 70, 70])
    asked = tape((made, replace(signals(4, exit_=[1]), plan=plan)), replace(PLAIN, min_notional=D(400)))
    walk = _walk(asked, CAPITAL, CAPITAL)
    held = replace(walk.begin(Memory()), position=Position(D(5), D(100), opened_at=walk.time(0)))
    assert walk.asks(held, 2) == []


def unchanged(asked: Tape) -> list[tuple[Any, ...]]:
    """What was filled on a day that went as its replay, of which the report tells no difference."""
    orders = lived_by(asked)
    found = checked(compare(Lived(CAPITAL, Memory(), orders, []), asked), asked, orders)
    assert {row.cause for row in found.rows} == {Cause.SAME}
    assert found.difference == 0
    return [(at, side, price) for at, side, price, *_ in facts_of(steps_of(asked))]


PATIENT = Limits(entry_type=EntryType.LIMIT, limit_offset_pct=D(1), limit_timeout_seconds=7200, stop_loss_pct=D(5))


def test_an_entry_that_rested_and_its_stop_in_the_same_candle_have_no_drift() -> None:
    rows = [(100, 100, 100, 100), (100, 100, 98, 99), (99, 99, 93, 93), (93, 93, 93, 93), (93, 93, 85, 90),
            (90, 90, 90, 90)]  # fmt: skip
    asked = tape((candles(rows), signals(6, entry=[0, 3])), limits=PATIENT)
    assert unchanged(asked) == [
        (1, Side.BUY, D(99)),
        (2, Side.SELL, D("94.05")),
        (4, Side.BUY, D("92.07")),
        (4, Side.SELL, D("87.4665")),
    ]


def test_an_entry_whose_time_is_over_before_the_price_comes_is_never_filled() -> None:
    rows = [(100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 100, 100), (100, 100, 98, 98), (98, 98, 98, 98)]
    asked = tape((candles(rows), signals(5, entry=[0])), limits=PATIENT)
    assert steps_of(asked)[-1].state.resting["entry"].until == 3
    assert facts_of(steps_of(asked)) == []


def test_a_day_of_entries_that_the_protections_forbid_has_no_drift() -> None:
    # Bought at 100 and 80, sold at 80 and 60: a third buy is denied by how far the peak of all closes is away.
    made = flat_candles([100, 100, 120, 80, 80, 60, 60, 60])
    forbidding = Limits(max_drawdown_pct=D(40), max_orders_per_minute=1)
    asked = tape((made, signals(8, entry=[0, 3, 5], exit_=[2, 4])), limits=forbidding)
    assert unchanged(asked) == [
        (1, Side.BUY, D(100)), (3, Side.SELL, D(80)), (4, Side.BUY, D(80)), (5, Side.SELL, D(60)),
    ]  # fmt: skip


def test_a_target_that_is_nearly_touched_and_then_reached_has_no_drift() -> None:
    rows = [(100, 100, 100, 100), (100, 104.99, 100, 100), (100, 106, 100, 100), (100, 100, 100, 100)]
    asked = tape((candles(rows), signals(4, entry=[0])), limits=Limits(take_profit_pct=D(5)))
    assert unchanged(asked) == [(1, Side.BUY, D(100)), (2, Side.SELL, D(105))]


def test_a_trailing_stop_rises_with_the_highs_before_its_candle_alone() -> None:
    # The high of candle 2 would lift the stop over its low; whether it came before the low, nobody knows.
    rows = [(100, 100, 100, 100), (100, 100, 100, 100), (100, 120, 99, 119), (119, 119, 110, 110), (110,) * 4]
    asked = tape((candles(rows), signals(5, entry=[0])), limits=Limits(trailing_stop_pct=D(5)))
    assert unchanged(asked) == [(1, Side.BUY, D(100)), (3, Side.SELL, D(114))]


def test_a_grid_that_leaves_its_range_and_comes_back_has_no_drift() -> None:
    made = candles([(99, 99, 99, 99), (99, 99, 89, 89), (88, 88, 80, 80), (79, 79, 79, 79), (96, 96, 96, 96),
                    (96, 96, 94, 96), (96, 101, 96, 101)])  # fmt: skip
    opinions = replace(signals(7, exit_=[2], ready=[0, 1, 2, 4, 5, 6]), plan=Grid((D(90), D(95), D(100))))
    assert unchanged(tape((made, opinions))) == [
        (1, Side.BUY, D(95)), (1, Side.BUY, D(90)), (3, Side.SELL, D(79)), (5, Side.BUY, D(95)), (6, Side.SELL, D(100)),
    ]  # fmt: skip
