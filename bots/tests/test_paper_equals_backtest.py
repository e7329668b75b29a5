"""Law 2: recorded candles, ticked one by one through the live path, give the backtest's trades to the last digit."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from typing import Any

import numpy as np
import pytest

from accounts.models import User
from bots import rounds
from bots.core.backtest import engine
from bots.core.backtest.terms import Terms
from bots.core.limits import parse_limits
from bots.models import BotRun, TradeLog
from bots.testing import MARKET, Stage, staged, start_run
from exchanges.core import demo
from exchanges.core.candle_csv import read_candle_csv
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from strategies import queries as strategies
from tradingbot.tests.places import DATA_DIR, NO_DATA

NOW = datetime(2026, 1, 1, tzinfo=UTC)
Fact = tuple[str, datetime, D, D, D, D | None]


def recorded(name: str, since: datetime, count: int) -> Candles:
    path = DATA_DIR / name
    if not path.is_file():
        pytest.skip(NO_DATA)
    candles, _ = read_candle_csv(path, "1h", NOW)
    return candles.since(since)[:count]


def synthetic(count: int) -> Candles:
    return demo.candles("BTC/USDT", "1h", to_ms(datetime(2025, 6, 1, tzinfo=UTC)), count)


def ticked(user: User, stage: Stage, **wanted: Any) -> BotRun:
    """Every candle's close as the live path sees it; orders that waited out a gap are settled at its end."""
    run = start_run(user, timeframe=stage.timeframe, **wanted)
    step = timeframe_ms(stage.timeframe)
    opens = stage.candles.opened_at
    for index in range(len(opens) - 1):
        rounds.whole_round(from_ms(int(opens[index]) + step))
        if opens[index + 1] - opens[index] > step:
            rounds.whole_round(from_ms(int(opens[index + 1])))
    return run


def facts_of_run(run: BotRun) -> list[Fact]:
    rows = TradeLog.objects.filter(run=run).order_by("id")
    return [(row.side, row.executed_at, row.price, row.quantity, row.fee, row.pnl) for row in rows]


def facts_of_backtest(candles: Candles, strategy: str, params: dict[str, Any], limits: dict[str, Any]) -> list[Fact]:
    signals = strategies.rebuild(strategy, params).signals(candles)
    outcome = engine.run(candles, signals, Terms(D(1000), MARKET, parse_limits(limits)))
    facts: list[Fact] = []

    def at(index: int) -> datetime:
        return from_ms(int(candles.opened_at[index]))

    for trade in outcome.trades:
        facts.append(("buy", at(trade.entry), trade.entry_price, trade.amount, trade.entry_fee, None))
        exit_fee = trade.fee - trade.entry_fee
        facts.append(("sell", at(trade.exit), trade.exit_price, trade.amount, exit_fee, trade.pnl))
    if (held := outcome.open) is not None:
        facts.append(("buy", at(held.entry), held.entry_price, held.amount, held.fee, None))
    return facts


def compare(
    user: User, patch: Any, candles: Candles, strategy: str, params: dict[str, Any], limits: dict[str, Any]
) -> int:
    with staged(Stage(candles, timeframe="1h"), patch) as stage:
        run = ticked(user, stage, strategy=strategy, params=params, limits=limits)
    lived = facts_of_run(run)
    assert lived == facts_of_backtest(candles, strategy, params, limits)
    return len(lived)


#: Rests three candles long a little under the market.
LIMIT = {"entry_type": "limit", "limit_offset_pct": "0.4", "limit_timeout_seconds": 10_800}

CASES = [
    ("rsi_cross", {"rsi_method": "cutler"}, {}),
    ("rsi_cross", {"rsi_method": "wilder", "oversold": 40, "overbought": 60}, {}),
    ("mean_reversion", {}, {"cooldown_seconds": 7200, "max_loss_streak": 3}),
    ("rsi_cross", {"rsi_method": "cutler", "oversold": 40, "overbought": 60}, LIMIT),
]


#: Hours, and the trades' least number in them; the longer walk is the same law over more of the market.
GAPLESS = [(300, 5), pytest.param(500, 8, marks=pytest.mark.nightly)]


@pytest.mark.parametrize(("hours", "least"), GAPLESS)
@pytest.mark.parametrize(("strategy", "params", "limits"), CASES)
def test_ticks_of_a_gapless_recording_trade_as_the_backtest(
    alice: User,
    monkeypatch: pytest.MonkeyPatch,
    strategy: str,
    params: dict[str, Any],
    limits: dict[str, Any],
    hours: int,
    least: int,
) -> None:
    candles = recorded("btcusdt_1h_binance_2024-01_2024-04.csv", datetime(2024, 1, 1, tzinfo=UTC), hours)
    assert compare(alice, monkeypatch.setattr, candles, strategy, params, limits) >= least


#: Days into February 2018, hours, and the least number of trades before and after the exchange's 33 hours away.
OUTAGE = [(4, 150, 6), pytest.param(0, 400, 12, marks=pytest.mark.nightly)]


def around_the_outage(days: int, hours: int) -> Candles:
    since = datetime(2018, 2, 1, tzinfo=UTC) + timedelta(days=days)
    candles = recorded("btcusdt_1h_binance_2017-08_2019-12.csv", since, hours)
    assert np.diff(candles.opened_at).max() > 30 * timeframe_ms("1h")
    return candles


@pytest.mark.parametrize(("days", "hours", "least"), OUTAGE)
def test_ticks_across_an_outage_trade_as_the_backtest(
    alice: User, monkeypatch: pytest.MonkeyPatch, days: int, hours: int, least: int
) -> None:
    params = {"rsi_method": "cutler", "oversold": 45, "overbought": 55}
    candles = around_the_outage(days, hours)
    assert compare(alice, monkeypatch.setattr, candles, "rsi_cross", params, {}) >= least


@pytest.mark.parametrize(("days", "hours", "least"), OUTAGE)
def test_entries_that_rest_across_an_outage_trade_as_the_backtest(
    alice: User, monkeypatch: pytest.MonkeyPatch, days: int, hours: int, least: int
) -> None:
    params = {"rsi_method": "cutler", "oversold": 60, "overbought": 65}
    candles = around_the_outage(days, hours)
    assert compare(alice, monkeypatch.setattr, candles, "rsi_cross", params, LIMIT) >= least


def test_stops_that_rest_on_the_exchange_sell_inside_candles_as_the_backtest(
    alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    candles = recorded("btcusdt_1h_binance_2024-01_2024-04.csv", datetime(2024, 1, 8, tzinfo=UTC), 260)
    params, limits = {"rsi_method": "cutler", "oversold": 45, "overbought": 70}, {"stop_loss_pct": "1.5"}
    assert facts_of_backtest(candles, "rsi_cross", params, limits) != facts_of_backtest(
        candles, "rsi_cross", params, {}
    )
    assert compare(alice, monkeypatch.setattr, candles, "rsi_cross", params, {**limits, "stop_on_exchange": True}) >= 6


def test_ticks_of_a_synthetic_market_trade_as_the_backtest(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    params = {"rsi_method": "wilder", "oversold": 45, "overbought": 55}
    assert compare(alice, monkeypatch.setattr, synthetic(250), "rsi_cross", params, {}) >= 6
