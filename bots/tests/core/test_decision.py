"""Flat looks only at the entry rule, holding only at the exit rule, and every outcome has its reason."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from bots.core.codes import Code
from bots.core.decision import Decided, Opinion, decide, entry_intent, exit_intent, hold
from bots.core.intent import OrderIntent, Purpose
from bots.core.limits import Limits
from bots.core.position import Position
from bots.core.risk import Gate, Situation
from bots.tests.core.cast import AT, BTC, flat, holding
from exchanges.core.orders import OrderType, Side
from strategies.core.plan import Grid
from strategies.core.signals import Action


def opinion(*, entry: bool = False, exit_: bool = False, ready: bool = True) -> Opinion:
    return Opinion(AT, D(50000), entry, exit_, ready, 0.5, "flat reason.", "holding reason.", {"rsi": 31.2})


@pytest.mark.parametrize(
    ("said", "now", "action", "code"),
    [
        (opinion(ready=False, entry=True), flat(), Action.HOLD, Code.WARMING_UP),
        (opinion(), flat(), Action.HOLD, Code.NO_SIGNAL),
        (opinion(exit_=True), flat(), Action.HOLD, Code.NO_POSITION_TO_SELL),
        (opinion(entry=True), flat(), Action.BUY, Code.SIGNAL_BUY),
        (opinion(entry=True, exit_=True), flat(), Action.BUY, Code.SIGNAL_BUY),
        (opinion(), holding(), Action.HOLD, Code.NO_SIGNAL),
        (opinion(entry=True), holding(), Action.HOLD, Code.ALREADY_IN_POSITION),
        (opinion(entry=True, exit_=True), holding(), Action.SELL, Code.SIGNAL_SELL),
        (opinion(entry=True), flat(gate=Gate.HALTED), Action.BUY, Code.TRADING_HALTED),
        (opinion(exit_=True), holding(gate=Gate.HALTED), Action.SELL, Code.TRADING_HALTED),
    ],
)
def test_decision_for_each_opinion_and_situation(said: Opinion, now: Situation, action: Action, code: Code) -> None:
    decided = decide(said, now)
    assert (decided.action, decided.code) == (action, code)
    assert (decided.intent is not None) == (code in (Code.SIGNAL_BUY, Code.SIGNAL_SELL))
    assert decided.reason.startswith("holding" if now.position.amount else "flat")


def test_a_denial_keeps_the_strategys_reason_and_adds_its_own() -> None:
    decided = decide(opinion(entry=True), flat(paused=True))
    assert decided.reason.startswith("flat reason. Denied: ")


def test_dust_counts_as_flat() -> None:
    dust = flat(position=Position(amount=D("0.000009"), entry_price=D(50000)))
    assert decide(opinion(entry=True), dust).code is Code.SIGNAL_BUY


def test_hold_says_nothing_when_an_order_is_wanted() -> None:
    assert hold(opinion(entry=True), holding=False) is None
    assert isinstance(hold(opinion(entry=True), holding=True), Decided)


def test_an_entry_is_all_in_within_the_band() -> None:
    intent = entry_intent(flat())
    assert intent == OrderIntent(Purpose.ENTRY, Side.BUY, OrderType.LIMIT, D("0.01998"), D(50000), limit_price=D(51000))


def test_an_entry_never_locks_more_than_is_free() -> None:
    intent = entry_intent(flat(free=D(1000)))
    assert intent.limit_price is not None
    assert D(50000) <= intent.limit_price < D(51000)
    assert intent.amount * intent.limit_price <= D(1000)


def test_an_entry_uses_the_smaller_of_cash_and_free() -> None:
    assert entry_intent(flat(free=D(500))).amount == D("0.00998")
    assert entry_intent(flat(cash=D(100), free=D(500))).amount == D("0.00199")
    assert entry_intent(flat(free=D(0))).amount == 0


def test_an_exit_sells_all_that_fits_the_step() -> None:
    intent = exit_intent(holding(position=Position(amount=D("0.009994"), entry_price=D(50000))))
    assert (intent.amount, intent.limit_price) == (D("0.00999"), D(49000))


def test_a_small_exit_keeps_its_limit_above_the_minimum_notional() -> None:
    small = holding(position=Position(amount=D("0.0001"), entry_price=D(50000)), price=D("50010"))
    intent = exit_intent(small)
    assert intent.limit_price is not None
    assert intent.amount * intent.limit_price >= BTC.min_notional


def test_an_exit_of_nothing_has_no_amount() -> None:
    assert exit_intent(flat()).amount == 0


def test_the_band_of_the_limits_is_used() -> None:
    assert entry_intent(flat(limits=Limits(price_band_pct=D(1)))).limit_price == D(50500)


def test_a_limit_intent_knows_its_notional_and_slot() -> None:
    intent = entry_intent(flat())
    assert intent.notional == D(999)
    assert (intent.slot_leg, replace(intent, leg="grid:1:buy").slot_leg) == ("entry", "grid:1:buy")


def test_a_grid_never_buys_with_all_of_its_money() -> None:
    decided = decide(replace(opinion(entry=True), plan=Grid((D(90), D(110)))), flat())
    assert (decided.action, decided.code, decided.intent) == (Action.HOLD, Code.NO_SIGNAL, None)
