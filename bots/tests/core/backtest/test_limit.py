"""Entries that rest: where they fill, when their time is over, and what protects them in the candle they fill in."""

from dataclasses import replace
from decimal import Decimal as D
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.core.backtest import engine, limit
from bots.core.backtest.terms import Outcome, Terms
from bots.core.codes import Code
from bots.core.limits import EntryType
from bots.tests.core.candles_cast import FREE, HOUR, candles, limits, signals, terms, walks

SECONDS = HOUR // 1000


def outcome(rows: list[tuple[float, ...]], entry: list[int], exit_: list[int] | None = None, **more: Any) -> Outcome:
    asked = {"entry_type": EntryType.LIMIT, "limit_offset_pct": D(2), "limit_timeout_seconds": SECONDS, **more}
    made, given_terms = candles(rows), terms(market=FREE, **asked)
    opinions = signals(len(rows), entry=entry, exit_=exit_ or [])
    found = engine.run(made, opinions, given_terms)
    assert found == limit.replay(made, opinions, given_terms)
    return found


FLAT = (100.0, 100.0, 100.0, 100.0)


@given(
    walks(),
    limits,
    st.sampled_from([D(0), D("0.3"), D(2), D(10)]),
    st.sampled_from([1, 60, SECONDS, 5 * SECONDS, 90 * SECONDS]),
    st.sampled_from([D(0), D(10)]),
)
@settings(max_examples=400, deadline=None)
def test_engine_equals_candle_by_candle_to_the_last_digit(walk, asked, offset, seconds, slippage) -> None:  # type: ignore[no-untyped-def]
    made, opinions = walk
    rests = replace(asked, entry_type=EntryType.LIMIT, limit_offset_pct=offset, limit_timeout_seconds=seconds)
    given_terms = Terms(D(1000), FREE, rests, slippage)
    assert engine.run(made, opinions, given_terms) == limit.replay(made, opinions, given_terms)


def test_a_low_that_reaches_the_limit_fills_at_it() -> None:
    found = outcome([FLAT, (100, 101, 97.5, 100), FLAT, FLAT], [0])
    assert found.open is not None
    assert (found.open.signal, found.open.entry, found.open.entry_price) == (0, 1, D("98.00"))


def test_an_open_under_the_limit_fills_at_the_open() -> None:
    found = outcome([FLAT, (100, 101, 99, 100), (97, 99, 96, 98), FLAT], [0], limit_timeout_seconds=2 * SECONDS)
    assert found.open is not None
    assert (found.open.entry, found.open.entry_price) == (2, D("97.0"))


@pytest.mark.parametrize(("low", "opened", "filled"), [(97, 100, False), (97, 98, True)])
def test_the_candle_that_opens_when_the_time_is_over_is_met_by_its_open_alone(
    low: float, opened: float, filled: bool
) -> None:
    found = outcome([FLAT, (100, 101, 99, 100), (opened, 101, low, 100), FLAT], [0])
    assert (found.open is not None) == filled


def test_an_entry_whose_time_is_over_is_decided_anew() -> None:
    found = outcome([FLAT, FLAT, (90, 90, 90, 90), (90, 91, 88, 90), FLAT], [0, 1])
    # The first waits for 98 and gets the open of 90 in its last instant; the second never follows.
    assert found.open is not None
    assert (found.open.signal, found.open.entry_price, len(found.denied)) == (0, D(90), 0)


def test_a_signal_while_an_entry_waits_is_denied() -> None:
    found = outcome([FLAT, FLAT, FLAT, FLAT, FLAT], [0, 1], limit_timeout_seconds=3 * SECONDS)
    assert [(one.candle, one.code) for one in found.denied] == [(2, Code.UNRESOLVED_ORDER)]


def test_the_stop_may_follow_in_the_candle_that_fills_and_the_target_may_not() -> None:
    rows = [FLAT, (100, 130, 90, 100), FLAT, FLAT]
    (trade,) = outcome(rows, [0], stop_loss_pct=D(5)).trades
    assert (trade.entry, trade.exit, trade.exit_price, trade.reason) == (1, 1, D("93.10"), Code.STOP_LOSS)
    found = outcome(rows, [0], take_profit_pct=D(10))
    assert (found.trades, found.open is not None) == ([], True)


def test_a_moving_stop_starts_from_the_close_of_the_candle_that_filled() -> None:
    rows = [FLAT, (100, 130, 97, 99), (99, 99, 96, 97), FLAT]
    (trade,) = outcome(rows, [0], trailing_stop_pct=D(2)).trades
    # 98 is paid; the high of 130 came before that as far as anybody knows; 99 less 2 % is 97.02.
    assert (trade.exit, trade.exit_price) == (2, D("97.02"))


def test_what_waited_pays_the_makers_fee() -> None:
    made = candles([FLAT, (100, 101, 97.5, 100), FLAT])
    market = replace(FREE, taker_fee=D("0.002"), maker_fee=D("0.001"))
    asked = terms(market=market, entry_type=EntryType.LIMIT, limit_offset_pct=D(2), limit_timeout_seconds=SECONDS)
    held = engine.run(made, signals(3, entry=[0], exit_=[]), asked).open
    assert held is not None
    assert held.fee == held.amount * held.entry_price * D("0.001")


def test_across_a_gap_the_time_goes_on() -> None:
    made = candles([FLAT, FLAT, (100, 100, 90, 90), FLAT])
    made.opened_at[2:] += 5 * HOUR
    asked = terms(market=FREE, entry_type=EntryType.LIMIT, limit_offset_pct=D(2), limit_timeout_seconds=2 * SECONDS)
    found = engine.run(made, signals(4, entry=[1], exit_=[]), asked)
    assert (found.open, found.trades) == (None, [])
