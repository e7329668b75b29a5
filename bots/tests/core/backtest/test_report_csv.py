"""Reports as tables of text: what stands in every cell."""

import numpy as np
import pytest

from bots.core.backtest.report import TradeRow
from bots.core.backtest.report_csv import FIGURES, equity_points, equity_table, sweep_table, trade_table
from bots.core.backtest.request import asked_for
from bots.core.backtest.study import report_of
from bots.core.result_pack import pack_document, pack_equity, unpack_document
from bots.tests.core.candles_cast import flat_candles
from strategies.library.registry import load_shipped
from strategies.tests.places import synthetic

ASKED = {
    "strategy": "ema_cross",
    "exchange": "x",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "capital": "1000",
    "fee": "0.001",
}


def test_every_closed_trade_is_a_row_of_its_report():
    load_shipped()
    report = report_of(asked_for(ASKED), synthetic(800))
    kept = unpack_document(pack_document({"trades": [trade._asdict() for trade in report.trades]})[0])
    table = trade_table(kept)
    rows = list(table.rows)
    assert table.columns == TradeRow._fields
    assert len(rows) == len(report.trades) > 0
    first = dict(zip(table.columns, rows[0], strict=True))
    assert (first["amount"], first["entry_price"]) == (str(report.trades[0].amount), str(report.trades[0].entry_price))
    assert first["entry_at"].endswith("Z")


def test_what_a_trade_lacks_is_an_empty_cell():
    trade = dict.fromkeys(TradeRow._fields, "1") | {"exit_signal_at": None}
    (row,) = trade_table({"trades": [trade]}).rows
    assert [cell for name, cell in zip(TradeRow._fields, row, strict=True) if cell != "1"] == [""]


def test_equity_tells_its_fall_from_the_peak_and_buying_and_holding():
    packed = pack_equity(flat_candles([100, 110, 90]), np.array([1000.0, 1200.0, 900.0]))
    points = list(equity_points(packed, "1000"))
    assert [point["equity"] for point in points] == ["1000", "1200", "900"]
    assert [point["drawdown_pct"] for point in points] == [0, 0, 25]
    assert [point["buy_and_hold"] for point in points] == ["1000", "1100", "900"]
    table = equity_table(packed, "1000")
    assert list(table.rows) == [[str(point[name]) for name in table.columns] for point in points]


def test_first_equity_below_the_capital_is_a_fall():
    (point,) = equity_points(pack_equity(flat_candles([100]), np.array([990.0])), "1000")
    assert point["drawdown_pct"] == pytest.approx(1)


def test_ranking_shows_the_exact_figures_where_there_are_some():
    rough = {"rank": 2, "params": {"fast": 5}, "stats": dict.fromkeys(FIGURES, 1.5)}
    sure = {
        "rank": 1,
        "params": {"fast": 3, "limits.stop_loss_pct": "2"},
        "stats": dict.fromkeys(FIGURES, 0),
        "exact": dict.fromkeys(FIGURES, 7) | {FIGURES[-1]: None},
    }
    table = sweep_table({"rows": [sure, rough]})
    assert list(table.columns) == ["rank", "fast", "limits.stop_loss_pct", *FIGURES, "exact"]
    first, second = table.rows
    assert first == ["1", "3", "2", *["7"] * (len(FIGURES) - 1), "", "true"]
    assert second == ["2", "5", "", *["1.5"] * len(FIGURES), "false"]
    assert not any(name.endswith("_daily") for name in FIGURES)
