"""Candles over the API: closed ones only, from the store or the exchange, with indicators."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import numpy as np
import pytest
import time_machine

from accounts.models import User
from bots.testing import scripted_candles
from exchanges import candle_store, market_data
from exchanges.core.candles import Candles, to_ms
from strategies.core.indicators import rsi_cutler
from tradingbot.tests.api_client import ApiClient, fields, problem

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)
DEMO = "/api/v1/candles?exchange=demo&symbol=BTC/USDT&timeframe=1m"
FIRST = datetime(2024, 1, 15, tzinfo=UTC)


@pytest.fixture
def api(alice: User):
    with time_machine.travel(NOW, tick=False):
        yield ApiClient(alice)


def test_the_newest_closed_candles_come_oldest_first(api: ApiClient) -> None:
    shown = api.get(f"{DEMO}&limit=3").json()
    assert shown["columns"] == ["opened_at", "open", "high", "low", "close", "volume"]
    assert [row[0] for row in shown["items"]] == [to_ms(datetime(2026, 3, 1, 11, m, tzinfo=UTC)) for m in (57, 58, 59)]
    assert all(isinstance(value, str) and D(value) > 0 for row in shown["items"] for value in row[1:])
    assert (shown["exchange"], shown["symbol"], shown["timeframe"], shown["next"]) == ("demo", "BTC/USDT", "1m", None)


def test_a_stretch_is_paged_forwards(api: ApiClient) -> None:
    stretch = f"{DEMO}&since=2026-03-01T10:00:30Z&until=2026-03-01T10:08:00Z"
    rows, path = [], f"{stretch}&limit=3"
    while path:
        page = api.get(path).json()
        rows += page["items"]
        path = f"{stretch}&limit=3&cursor={page['next']}" if page["next"] else ""
    minutes = [datetime.fromtimestamp(row[0] / 1000, UTC).minute for row in rows]
    assert minutes == [1, 2, 3, 4, 5, 6, 7]
    assert api.get(f"{stretch}&limit=500").json()["items"] == rows


@pytest.mark.parametrize(
    "stretch",
    [
        "since=2030-01-01T00:00:00Z",
        "since=2026-03-01T10:00:00Z&until=2026-03-01T09:00:00Z",
        "until=1960-01-01T00:00:00Z",
    ],
)
def test_a_stretch_without_candles_is_empty(api: ApiClient, stretch: str) -> None:
    assert api.get(f"{DEMO}&{stretch}").json()["items"] == []


def test_an_indicator_is_right_from_its_first_row(api: ApiClient) -> None:
    few = api.get(f"{DEMO}&limit=5&indicators=rsi(14),%20ema(10),rsi_wilder").json()
    many = api.get(f"{DEMO}&limit=400&indicators=rsi(14),ema(10),rsi_wilder(14)").json()
    assert few["columns"][6:] == ["rsi(14)", "ema(10)", "rsi_wilder(14)"]
    assert few["items"] == many["items"][-5:]
    candles = market_data.closed_candles("demo", "BTC/USDT", "1m", 40, NOW)
    assert few["items"][-1][6] == round(float(rsi_cutler(candles.close, 14)[-1]), 8)


def test_stored_candles_answer_without_the_exchange(api: ApiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    candles = scripted_candles([1] * 50, [float(100 + i) for i in range(50)])
    candle_store.save("recorded", "BTC/USDT", "1m", candles, "a test", NOW)

    def never(*args: object) -> None:
        raise AssertionError("The exchange was asked.")

    monkeypatch.setattr(market_data, "closed_candles", never)
    path = "/api/v1/candles?exchange=recorded&symbol=BTC/USDT&timeframe=1m&since=2020-01-01T00:00:00Z"
    shown = api.get(f"{path}&until=2024-01-15T00:50:00Z&limit=30&indicators=sma(3)").json()
    assert [row[4] for row in shown["items"]] == [str(100 + i) for i in range(30)]
    assert [row[6] for row in shown["items"]][:4] == [None, None, 101.0, 102.0]
    rest = api.get(f"{path}&until=2024-01-15T00:50:00Z&limit=30&indicators=sma(3)&cursor={shown['next']}").json()
    assert [row[6] for row in rest["items"]] == [float(129 + i) for i in range(20)]
    assert rest["next"] is None


def test_a_gap_stays_a_gap(api: ApiClient) -> None:
    whole = scripted_candles([1] * 10)
    kept = np.r_[0:3, 7:10]
    columns = (getattr(whole, name)[kept] for name in ("opened_at", "open", "high", "low", "close", "volume"))
    candle_store.save("recorded", "BTC/USDT", "1m", Candles(*columns), "a test", NOW)
    path = "/api/v1/candles?exchange=recorded&symbol=BTC/USDT&timeframe=1m"
    shown = api.get(f"{path}&since=2024-01-15T00:00:00Z&until=2024-01-15T00:10:00Z").json()
    assert len(shown["items"]) == 6
    assert shown["items"][3][0] == to_ms(FIRST + timedelta(minutes=7))


@pytest.mark.parametrize(
    ("query", "code", "place"),
    [
        ("exchange=mtgox&symbol=BTC/USDT&timeframe=1m", "unknown_exchange", "query.exchange"),
        ("exchange=demo&symbol=X/Y&timeframe=1m", "unknown_symbol", "query.symbol"),
        ("exchange=demo&symbol=BTC/USDT&timeframe=7m", "unknown_timeframe", "query.timeframe"),
        ("exchange=demo&symbol=BTC/USDT&timeframe=1m&indicators=magic(3)", "invalid_indicators", "query.indicators"),
        ("exchange=demo&symbol=BTC/USDT&timeframe=1m&limit=501", "invalid", "query.limit"),
        ("exchange=demo&symbol=BTC/USDT", "invalid", "query.timeframe"),
    ],
)
def test_what_cannot_be_shown_is_named(api: ApiClient, query: str, code: str, place: str) -> None:
    assert fields(problem(api.get(f"/api/v1/candles?{query}"), 422, code)) == [place]
