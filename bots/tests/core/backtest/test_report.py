import json
from datetime import UTC, datetime
from decimal import Decimal as D

import pytest

from accounts.management.base import jsonable
from bots.core.backtest import engine
from bots.core.backtest.report import Report, data_facts, report
from bots.tests.core.candles_cast import FREE, HOUR, candles, flat_candles, signals, terms
from exchanges.core.candle_pack import data_sha256

TRADE_FIELDS = [
    "signal_at", "entry_at", "exit_signal_at", "exit_at", "entry_price", "exit_price", "amount", "fee", "pnl",
    "return_pct", "candles_held", "exit_reason",
]  # fmt: skip
STATS_FIELDS = [
    "initial_cash", "final_equity", "return_pct", "buy_and_hold_close_to_close_pct", "max_drawdown_pct",
    "longest_drawdown_candles", "closed_trades", "winning_trades", "win_rate_pct", "profit_factor",
    "avg_trade_return_pct", "best_trade_pct", "worst_trade_pct", "net_pnl_closed", "fees_closed", "exposure_pct",
    "sharpe_daily_365", "sortino_daily_365",
]  # fmt: skip


def made_report(
    rows: list[tuple[float, float, float, float]], entry: list[int], exit_: list[int], **limits: object
) -> Report:
    made = candles(rows)
    made.opened_at[-1] += 2 * HOUR
    opinions = signals(len(rows), entry, exit_)
    asked = terms(market=FREE, **limits)
    facts = data_facts(engine.Window(made, opinions, made), "1h")
    return report(engine.run(made, opinions, asked), made, asked, facts)


def test_report_has_the_published_fields():
    document = made_report([(100, 100, 100, 100)] * 5, [0, 3], [1]).document()
    assert list(document) == [
        "stats", "trades", "open_position", "monthly_returns_pct", "denied", "data", "engine",
    ]  # fmt: skip
    assert list(document["stats"]) == STATS_FIELDS
    assert list(document["trades"][0]) == TRADE_FIELDS
    assert {"sha256", "candles", "gaps", "first", "last"} <= document["data"].keys()


def test_trade_row_tells_when_and_at_what_price():
    (row,) = made_report(
        [(100, 100, 100, 100), (100, 120, 100, 110), (110, 110, 110, 110), (1, 1, 1, 1)], [0], [1]
    ).trades
    assert (row.signal_at, row.entry_at) == (datetime(2024, 1, 1, 0, tzinfo=UTC), datetime(2024, 1, 1, 1, tzinfo=UTC))
    assert (row.exit_signal_at, row.exit_at) == (
        datetime(2024, 1, 1, 1, tzinfo=UTC),
        datetime(2024, 1, 1, 2, tzinfo=UTC),
    )
    assert (row.entry_price, row.exit_price, row.amount, row.pnl) == (D(100), D(110), D(10), D(100))
    assert (row.candles_held, row.exit_reason) == (1, "SIGNAL_SELL")


def test_protected_trade_has_no_exit_signal():
    (row,) = made_report(
        [(100, 100, 100, 100), (100, 100, 90, 95), (95, 95, 95, 95)], [0], [], stop_loss_pct=D(5)
    ).trades
    assert (row.exit_signal_at, row.exit_reason, row.exit_price) == (None, "STOP_LOSS", D(95))


def test_open_position_is_marked_at_the_last_close():
    held = made_report([(100, 100, 100, 100)] * 3 + [(100, 130, 100, 120)], [1], []).open_position
    assert held is not None
    assert (held.entry_price, held.mark_price, held.unrealized_pnl, held.candles_held) == (D(100), D(120), D(200), 2)
    assert held.return_pct == pytest.approx(20.0)


def test_denials_are_counted_by_code():
    made = made_report(
        [(100, 100, 100, 100), (100, 100, 100, 100), *[(90, 90, 90, 90)] * 4], [0, 2, 3], [1], cooldown_seconds=9000
    )
    assert dict(made.denied) == {"COOLDOWN": 2}


def test_data_facts_count_gaps_and_hash_the_warmup_too():
    made = flat_candles([1.0] * 10)
    made.opened_at[7:] += 4 * HOUR
    window = engine.Window(made[3:], signals(7), made)
    facts = data_facts(window, "1h")
    assert (facts.candles, facts.warmup_candles, facts.gaps, facts.missing) == (7, 3, 1, 4)
    assert facts.sha256 == data_sha256(made)
    assert data_facts(window, "1h", "known").sha256 == "known"


def test_document_is_json_without_exponents():
    document = made_report([(100, 100, 100, 100)] * 5, [0, 3], [1]).document()
    text = json.dumps(document, default=jsonable, allow_nan=False)
    assert json.loads(text)["stats"]["initial_cash"] == "1000"
    assert "E-" not in text
