"""Recorded markets through the commands, against the same computed once more by hand."""

import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from fractions import Fraction
from statistics import NormalDist
from typing import Any

import pytest
from django.core.management import call_command

from bots.tests.by_hand import (
    Lived,
    Market,
    Rule,
    breakout,
    daily_returns,
    lived,
    mean_reversion,
    return_pct,
    rsi_cross,
    sharpe,
    statistics,
)
from tradingbot.tests.places import DATA_DIR, NO_DATA

pytestmark = pytest.mark.skipif(not DATA_DIR.is_dir(), reason=NO_DATA)


def reported(command: str, strategy: str, name: str, timeframe: str, *more: str) -> dict[str, Any]:
    out = io.StringIO()
    market = ("--exchange", "binance", "--symbol", "BTC/USDT", "--timeframe", timeframe)
    money = ("--capital", "1000", "--fee", "0.001", "--csv", str(DATA_DIR / name))
    call_command(command, "--strategy", strategy, *market, *money, *more, "--json", stdout=out)
    document: dict[str, Any] = json.loads(out.getvalue())
    return document


def stamp(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


SHORT = [("btcusdt_1h_binance_2024-01_2024-04.csv", "1h"), ("xrpeth_1m_freqtrade_2019-10.csv", "1m")]
LONG = [
    ("btcusdt_1h_binance_2017-08_2019-12.csv", "1h"),
    ("btcusdt_1h_binance_2020-01_2023-12.csv", "1h"),
    ("btcperp_1m_2022-01.csv", "1m"),
    ("ethbtc_5m_freqtrade_2018-01.csv", "5m"),
    ("unittestbtc_1m_freqtrade_2017-11.csv", "1m"),
]


@pytest.mark.parametrize("rule", [rsi_cross, mean_reversion, breakout])
@pytest.mark.parametrize(
    ("name", "timeframe"), [*SHORT, *(pytest.param(*one, marks=pytest.mark.nightly) for one in LONG)]
)
def test_report_of_a_recorded_market_is_what_the_rules_say(
    name: str, timeframe: str, rule: Callable[[Market], Rule]
) -> None:
    market = Market(name)
    made, report = lived(market, rule(market)), reported("backtest_run", rule.__name__, name, timeframe)
    assert len(made.trades) > 10
    assert [(t["entry_at"], t["exit_at"]) for t in report["trades"]] == [
        (stamp(market.opened_at[trade.entry]), stamp(market.opened_at[trade.exit])) for trade in made.trades
    ]
    for trade, told in zip(made.trades, report["trades"], strict=True):
        assert (Fraction(told["entry_price"]), Fraction(told["exit_price"])) == (trade.price, trade.exit_price)
        assert told["return_pct"] == pytest.approx(return_pct(trade), abs=1e-9)
        assert float(Fraction(told["pnl"]) - trade.pnl) == pytest.approx(0, abs=1e-9)
    for figure, value in statistics(market, made).items():
        assert float(report["stats"][figure]) == pytest.approx(value, rel=1e-9, abs=1e-9), figure


GRID = {"rsi_period": [7, 14, 21], "oversold": [25, 30], "overbought": [65, 75]}


def test_sweep_ranks_walks_and_doubts_as_its_definitions_say() -> None:
    name, timeframe = SHORT[0]
    market = Market(name)
    options = ("--grid", json.dumps(GRID), "--walk-forward", "3", "--in-sample", "0.6", "--top", "12")
    told = reported("sweep_run", "rsi_cross", name, timeframe, *options)
    rules = {
        (period, low, high): rsi_cross(market, period, low, high)
        for period in GRID["rsi_period"]
        for low in GRID["oversold"]
        for high in GRID["overbought"]
    }
    whole = {which: lived(market, rule) for which, rule in rules.items()}
    ratios = {which: sharpe(daily_returns(market, made)) for which, made in whole.items()}
    order = sorted(ratios, key=lambda which: -ratios[which])
    assert [tuple(row["params"][one] for one in GRID) for row in told["rows"]] == order
    for row, which in zip(told["rows"], order, strict=True):
        assert row["agrees"] is True
        for figure, value in statistics(market, whole[which]).items():
            assert float(row["exact"][figure]) == pytest.approx(value, rel=1e-9, abs=1e-9), figure
            if row["stats"].get(figure) is not None:
                assert row["stats"][figure] == pytest.approx(value, rel=1e-6, abs=1e-3), figure
    expected = deflated(daily_returns(market, whole[order[0]]), list(ratios.values()))
    assert told["deflated_sharpe_probability"] == pytest.approx(expected, abs=1e-6)
    walk_by_hand(market, rules, told["walk_forward"])


def deflated(daily: list[float], ratios: list[float]) -> float:
    """Bailey and Lopez de Prado (2014), equation by equation, in daily terms."""
    tries, days = [ratio / math.sqrt(365) for ratio in ratios], len(daily)
    mean = math.fsum(daily) / days
    moments = [math.fsum((r - mean) ** power for r in daily) / days for power in (2, 3, 4)]
    skew, kurtosis = moments[1] / moments[0] ** 1.5, moments[2] / moments[0] ** 2
    ratio, centre = sharpe(daily) / math.sqrt(365), math.fsum(tries) / len(tries)
    variance = math.fsum((one - centre) ** 2 for one in tries) / (len(tries) - 1)
    normal, gamma = NormalDist(), 0.5772156649015329
    highest = (1 - gamma) * normal.inv_cdf(1 - 1 / len(tries)) + gamma * normal.inv_cdf(1 - 1 / (len(tries) * math.e))
    error = math.sqrt(1 - skew * ratio + (kurtosis - 1) / 4 * ratio**2)
    return normal.cdf((ratio - math.sqrt(variance) * highest) * math.sqrt(days - 1) / error)


def walk_by_hand(market: Market, rules: dict[tuple[int, int, int], Rule], told: dict[str, Any]) -> None:
    """Chosen on each fold's first candles alone, judged on the next; the judged parts lie end to end to the last."""

    def index(moment: str) -> int:
        return market.opened_at.index(int(datetime.fromisoformat(moment).timestamp() * 1000))

    def scored(rule: Rule, span: dict[str, str]) -> tuple[float, Lived]:
        first, end = index(span["first"]), index(span["last"]) + 1
        made = lived(market, rule, first, end)
        return sharpe(daily_returns(market, made, first)) if made.held else -math.inf, made

    tested = [(index(fold["test"]["first"]), index(fold["test"]["last"])) for fold in told["folds"]]
    assert tested[-1][1] == len(market.open) - 1
    chain = 1.0
    for number, fold in enumerate(told["folds"]):
        assert index(fold["train"]["last"]) + 1 == tested[number][0]
        assert number == 0 or tested[number][0] == tested[number - 1][1] + 1
        trained = {which: scored(rule, fold["train"])[0] for which, rule in rules.items()}
        best = max(trained, key=lambda which: trained[which])
        assert tuple(fold["params"][one] for one in GRID) == best
        assert fold["in_sample"] == pytest.approx(trained[best], rel=1e-6)
        outside, made = scored(rules[best], fold["test"])
        assert fold["out_of_sample"] == pytest.approx(outside, rel=1e-6)
        growth = float(made.equity[-1]) / 1000
        assert fold["out_of_sample_return_pct"] == pytest.approx(100 * (growth - 1), abs=1e-6)
        chain *= growth
    assert len(told["folds"]) == 3
    assert told["return_pct"] == pytest.approx(100 * (chain - 1), abs=1e-6)
