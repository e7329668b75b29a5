"""A drift report's sums by cause, and the document that is kept of it."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal as D

from bots.core.drift.terms import CAUSE_MEANING, Cause, Drift, Leg, Row, as_document
from bots.core.order_state import OrderState
from exchanges.core.orders import Side

AT = datetime(2024, 1, 15, 12, 30, tzinfo=UTC)
BOUGHT = Leg(AT, Side.BUY, D("104.50"), D("9.0"), D("0.9405"), "USDT", "SIGNAL_BUY", 1, "FILLED", "entry")
DEARER = Row(
    cause=Cause.PRICE, why="Filled 48 bps worse.", candle=AT, live=BOUGHT,
    replayed=replace(BOUGHT, price=D(104), order=None, state=""),
    effect=D("-4.75"), parts={Cause.PRICE: D("-4.50"), Cause.FEE: D("-0.25")},
    facts={"slippage_bps": 48.0769, "price_seen": D("104.2"), "state": OrderState.FILLED, "fee_assets": ("BTC", "USDT"),
           "since": AT},
)  # fmt: skip
MISSED = Row(
    cause=Cause.FEE, why="", candle=None, live=None, replayed=BOUGHT, effect=D(-1), parts={Cause.FEE: D(-1)},
    code="DATA_GAP", repeated=3,
)  # fmt: skip
FOUND = Drift((DEARER, MISSED), D("10.25"), D(16), D(0), D("110.0"), 7, 2)


def test_effects_are_summed_by_the_cause_of_each_part() -> None:
    assert FOUND.effects() == {"PRICE": D("-4.50"), "FEE": D("-1.25")}
    assert sum(FOUND.effects().values()) == FOUND.difference


def test_rows_are_counted_by_their_own_cause() -> None:
    assert (FOUND.counts(), FOUND.unexplained) == ({"PRICE": 1, "FEE": 1}, 0)
    assert replace(FOUND, rows=(replace(MISSED, cause=Cause.UNEXPLAINED), DEARER)).unexplained == 1


def test_a_document_holds_the_days_figures_as_text() -> None:
    document = as_document(FOUND)
    del document["rows"]
    assert document == {
        "live_pnl": "10.25", "replay_pnl": "16", "difference": "-5.75", "remainder": "0", "mark": "110",
        "candles": 7, "replay_trades": 2, "effects": {"PRICE": "-4.5", "FEE": "-1.25"},
        "counts": {"PRICE": 1, "FEE": 1},
    }  # fmt: skip


def test_a_row_of_a_document_holds_both_sides_and_the_facts() -> None:
    live = {
        "at": "2024-01-15T12:30:00Z", "side": "buy", "price": "104.5", "amount": "9", "fee": "0.9405",
        "fee_asset": "USDT", "code": "SIGNAL_BUY", "order": 1, "state": "FILLED", "leg": "entry",
    }  # fmt: skip
    facts = {
        "slippage_bps": 48.0769, "price_seen": "104.2", "state": "FILLED", "fee_assets": ["BTC", "USDT"],
        "since": "2024-01-15T12:30:00Z",
    }  # fmt: skip
    assert as_document(FOUND)["rows"][0] == {
        "cause": "PRICE", "why": "Filled 48 bps worse.", "candle": "2024-01-15T12:30:00Z", "live": live,
        "replayed": {**live, "price": "104", "order": None, "state": ""}, "effect": "-4.75",
        "parts": {"PRICE": "-4.5", "FEE": "-0.25"}, "code": "", "facts": facts, "repeated": 1,
    }  # fmt: skip


def test_a_side_that_was_not_traded_is_nothing_in_the_document() -> None:
    row = as_document(FOUND)["rows"][1]
    assert (row["candle"], row["live"], row["code"], row["repeated"]) == (None, None, "DATA_GAP", 3)


def test_a_document_comes_back_from_json_as_it_was() -> None:
    document = as_document(FOUND)
    assert json.loads(json.dumps(document)) == document


def test_every_cause_has_a_meaning() -> None:
    assert set(CAUSE_MEANING) == set(Cause)
