"""The drift report's arithmetic: the effects of all differences add up to the whole difference, whatever was done."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.core.backtest import engine
from bots.core.backtest.terms import Terms
from bots.core.codes import Code
from bots.core.drift import comparison
from bots.core.drift.comparison import compare
from bots.core.drift.terms import Cause, Lived, LiveFill, LiveOrder, Memory, Tape
from bots.core.limits import Limits
from bots.core.position import FillFact, fold
from bots.tests.core.candles_cast import PLAIN, STRICT, flat_candles, limits, signals, walks
from exchanges.core.candles import Candles, from_ms
from exchanges.core.fees import fee_of
from exchanges.core.market import Market
from exchanges.core.orders import Side
from strategies.core.signals import Signals

CAPITAL = D(1000)
NO_LIMITS, FLAT = Limits(), Memory()


def tape(walk: tuple[Candles, Signals], market: Market = PLAIN, limits: Limits = NO_LIMITS) -> Tape:
    candles, signals = walk
    return Tape(candles, signals, market, limits, int(np.diff(candles.opened_at).min()))


def lived(orders: Sequence[LiveOrder] = (), start: Memory = FLAT) -> Lived:
    return Lived(CAPITAL, start, orders, [])


def as_replayed(made: Candles, signals: Signals, market: Market, limits: Limits) -> list[LiveOrder]:
    """The orders of a run that traded exactly as the backtest."""
    outcome = engine.run(made, signals, Terms(CAPITAL, market, limits))
    facts = []
    for trade in outcome.trades:
        facts.append(
            (Side.BUY, trade.entry, trade.amount, trade.entry_price, trade.entry_fee, Code.SIGNAL_BUY, trade.signal)
        )
        leaving = trade.exit_signal
        facts.append(
            (Side.SELL, trade.exit, trade.amount, trade.exit_price, trade.fee - trade.entry_fee, trade.reason, leaving)
        )
    if (held := outcome.open) is not None:
        facts.append((Side.BUY, held.entry, held.amount, held.entry_price, held.fee, Code.SIGNAL_BUY, held.signal))
    return [
        LiveOrder(
            id=number, side=side, key=f"order:{number}", code=code.value,
            candle=None if signal is None else from_ms(int(made.opened_at[signal])),
            planned_at=from_ms(int(made.opened_at[at])), price=price, amount=amount, filled=amount, state="FILLED",
            fills=(LiveFill(from_ms(int(made.opened_at[at])), amount, price, fee, "USDT"),),
        )
        for number, (side, at, amount, price, fee, code, signal) in enumerate(facts)
    ]  # fmt: skip


def of_one_day(made: Candles, asked: Limits) -> Limits:
    """A report is about one day, so where the day began does not change on the way."""
    days = {from_ms(int(ms)).date() for ms in made.opened_at}
    return asked if len(days) == 1 else replace(asked, max_daily_loss=None)


@given(walks(), st.sampled_from([PLAIN, STRICT]), limits)
@settings(max_examples=120, deadline=None)
def test_a_day_that_went_as_the_backtest_has_no_drift(walk, market, limits):
    made, signals = walk
    limits = of_one_day(made, limits)
    orders = as_replayed(made, signals, market, limits)
    found = compare(lived(orders), tape(walk, market, limits))
    assert [row.cause for row in found.rows] == [Cause.SAME] * len(orders)
    assert (found.difference, found.remainder, found.unexplained) == (0, 0, 0)
    assert found.replay_trades == len(orders)


@st.composite
def tampered(draw: st.DrawFn) -> tuple[tuple[Candles, Signals], list[LiveOrder], Limits]:
    """The backtest's orders, of which some are left out, moved, cut, doubled, or cost another price or fee."""
    walk = draw(walks())
    made, signals = walk
    asked = of_one_day(made, draw(limits))
    orders: list[LiveOrder] = []
    held = D(0)
    for one in as_replayed(made, signals, PLAIN, asked):
        if draw(st.integers(0, 3)) == 0:
            continue
        (fill,) = one.fills
        price = fill.price * (1 + draw(st.sampled_from([D(0), D(0), D("0.001"), D("-0.002")])))
        amount = fill.amount * draw(st.sampled_from([D(1), D(1), D("0.5")]))
        amount = amount if one.side is Side.BUY else min(amount, held)
        if amount <= 0:
            continue
        fee = fee_of(amount * price, draw(st.sampled_from([D("0.001"), D("0.001"), D("0.002")])))
        at = fill.at + timedelta(seconds=draw(st.sampled_from([0, 0, 1, 7200, 90_000])))
        told = LiveFill(min(at, from_ms(int(made.opened_at[-1]))), amount, price, fee, "USDT")
        orders.append(LiveOrder(**{**{name: getattr(one, name) for name in LiveOrder.__slots__}, "fills": (told,)}))
        held += amount if one.side is Side.BUY else -amount
    return walk, orders, asked


@given(tampered())
@settings(max_examples=250, deadline=None)
def test_effects_add_up_to_the_whole_difference(case):
    walk, orders, asked = case
    made = walk[0]
    found = compare(lived(orders), tape(walk, PLAIN, asked))
    facts = [
        FillFact(one.side, fill.amount, fill.price, fill.fee, fill.fee_asset, fill.at)
        for one in sorted(orders, key=lambda one: one.fills[0].at) for fill in one.fills
    ]  # fmt: skip
    mark = D(repr(float(made.close[-1])))
    ledger = CAPITAL + fold(facts, "BTC", "USDT").profit(mark)
    outcome = engine.run(*walk, Terms(CAPITAL, PLAIN, asked))
    assert found.remainder == 0
    assert found.live_pnl - found.replay_pnl == sum((row.effect for row in found.rows), D(0))
    assert sum(found.effects().values(), D(0)) == found.difference
    assert found.live_pnl == ledger - CAPITAL
    assert found.replay_pnl == outcome.position.profit(mark)
    assert sum(found.counts().values()) == len(found.rows)


def test_what_costs_too_much_stands_in_the_remainder(monkeypatch):
    made = flat_candles([100, 101, 102, 103, 104, 105, 106, 107])
    said = signals(8, entry=[1, 4], exit_=[2, 5])
    asked = tape((made, said))
    whole = compare(lived(), asked)
    assert (len(whole.rows), whole.remainder) == (1, 0)
    monkeypatch.setattr(comparison, "MOST_VALUED", 1)
    bounded = compare(lived(), asked)
    assert bounded.difference == whole.difference == sum((row.effect for row in bounded.rows), bounded.remainder)
    assert bounded.remainder != 0


def test_a_pulse_that_says_no_ends_the_comparison():
    class Enough(Exception):
        pass

    def pulse() -> None:
        raise Enough

    with pytest.raises(Enough):
        compare(lived(), tape((flat_candles([100, 101, 102, 103]), signals(4, entry=[1]))), pulse)


def test_a_day_without_candles_cannot_be_compared():
    with pytest.raises(engine.NoCandles):
        compare(lived(), replace(tape((flat_candles([100, 101]), signals(2))), first=2))
