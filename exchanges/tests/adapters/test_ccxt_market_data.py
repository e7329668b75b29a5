"""Candles, markets and imports of the ccxt adapter."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from django.test import override_settings

from exchanges.adapters.ccxt_clients import CLIENTS_PER_THREAD, _clients, client_for, deep_merge
from exchanges.adapters.ccxt_exchange import CcxtExchange
from exchanges.core.candles import Candles, gaps, to_ms
from exchanges.core.errors import UnknownSymbol, UnknownTimeframe
from exchanges.tests.conftest import AT
from exchanges.tests.loopback import LoopbackExchange
from exchanges.tests.loopback.__main__ import read_csv
from exchanges.tests.loopback.faults import http_error
from exchanges.vault import Credentials
from tradingbot.tests.places import DATA_DIR, NO_DATA

MINUTE = 60_000
RECORDED = DATA_DIR / "btcusdt_1h_binance_2024-01_2024-04.csv"


def minutes(start: datetime, count: int, without: range = range(0)) -> Candles:
    first = to_ms(start)
    return Candles.from_rows([[first + i * MINUTE, 1, 2, 1, 1.5, i] for i in range(count) if i not in without])


def test_long_stretch_is_paged_without_gap_or_overlap(loopback: LoopbackExchange):
    start = AT.replace(second=0) - timedelta(minutes=2500)
    loopback.load_candles("BTC/USDT", "1m", minutes(start, 2501))

    found = CcxtExchange("binance", AT).fetch_candles("BTC/USDT", "1m", start, 5000)

    assert len(found) == 2501
    assert gaps(found, "1m") == []
    assert np.array_equal(found.volume[:-1], np.arange(2500))
    assert len(loopback.requests("GET", "/api/v3/klines")) == 3


def test_limit_counts_from_the_start(loopback: LoopbackExchange):
    start = AT.replace(second=0) - timedelta(minutes=2500)
    loopback.load_candles("BTC/USDT", "1m", minutes(start, 2501))

    found = CcxtExchange("binance", AT).fetch_candles("BTC/USDT", "1m", start + timedelta(seconds=1), 1200)

    assert len(found) == 1200
    assert int(found.opened_at[0]) == to_ms(start) + MINUTE
    params = [row["params"] for row in loopback.requests("GET", "/api/v3/klines")]
    assert [(row["limit"], "startTime" in row) for row in params] == [("1000", True), ("200", True)]


def test_gap_stays_a_gap(loopback: LoopbackExchange):
    start = AT.replace(second=0) - timedelta(minutes=3000)
    loopback.load_candles("BTC/USDT", "1m", minutes(start, 3001, range(10, 1800)))

    found = CcxtExchange("binance", AT).fetch_candles("BTC/USDT", "1m", start, 5000)

    assert gaps(found, "1m") == [(to_ms(start) + 10 * MINUTE, 1790)]
    assert int(found.opened_at[-1]) == to_ms(AT.replace(second=0))


def test_candles_of_the_future_are_none(loopback: LoopbackExchange):
    assert len(CcxtExchange("binance", AT).fetch_candles("BTC/USDT", "1m", AT + timedelta(hours=1), 10)) == 0


@pytest.mark.skipif(not RECORDED.is_file(), reason=NO_DATA)
def test_recorded_candles_come_through_to_the_last_digit(loopback: LoopbackExchange):
    recorded = read_csv(RECORDED)
    loopback.load_candles("BTC/USDT", "1h", recorded)

    found = CcxtExchange("binance", AT).fetch_candles("BTC/USDT", "1h", datetime(2024, 1, 1, tzinfo=UTC), 1500)

    closed = found.closed(AT, "1h")
    assert len(closed) > 700
    assert closed.rows() == recorded.closed(AT, "1h").rows()


def test_unknown_symbol_and_timeframe_are_named(loopback: LoopbackExchange):
    with pytest.raises(UnknownSymbol, match="NOPE/USDT"):
        CcxtExchange("binance", AT).fetch_candles("NOPE/USDT", "1m", AT, 10)
    with pytest.raises(UnknownTimeframe, match=r"1m.*'7m'"):
        CcxtExchange("binance", AT).fetch_candles("BTC/USDT", "7m", AT, 10)


def test_markets_that_cannot_be_refreshed_stay_as_they_were(
    loopback: LoopbackExchange, monkeypatch: pytest.MonkeyPatch
):
    assert "BTC/USDT" in CcxtExchange("binance", AT).markets()
    monkeypatch.setattr("exchanges.adapters.ccxt_clients.MARKETS_SECONDS", -1.0)
    loopback.faults.add(http_error("GET /api/v3/exchangeInfo", 502))

    assert "BTC/USDT" in CcxtExchange("binance", AT).markets()
    assert len(loopback.requests("GET", "/api/v3/exchangeInfo")) == 2


def test_only_the_latest_credentials_are_kept(loopback: LoopbackExchange, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("exchanges.adapters.ccxt_clients.CLIENTS_PER_THREAD", 2)
    first = client_for("binance", Credentials("key-one", "secret"))
    assert client_for("binance", Credentials("key-one", "secret")) is first
    client_for("binance", Credentials("key-two", "secret"))
    client_for("binance", Credentials("key-one", "changed"))

    assert len(_clients.by_key) == 2
    assert client_for("binance", Credentials("key-one", "secret")) is not first
    assert CLIENTS_PER_THREAD == 64


def test_overrides_go_deep_and_cannot_switch_safety_off(loopback: LoopbackExchange):
    unsafe = {"verbose": True, "enableRateLimit": False, "timeout": 60_000, "options": {"maxRetriesOnFailure": 3}}
    with override_settings(EXCHANGE_OVERRIDES={"binance": deep_merge(loopback.overrides()["binance"], unsafe)}):
        api = client_for("binance", None).api

    assert (api.verbose, api.enableRateLimit, api.timeout) == (False, True, 10_000)
    assert api.options["maxRetriesOnFailure"] == 0
    assert api.urls["api"]["public"].startswith(loopback.url)
    assert api.urls["api"]["fapiPublic"].startswith("https://")


def test_ccxt_is_not_imported_before_it_is_needed():
    code = (
        "import django, sys; django.setup(); import exchanges.connect, exchanges.operations, exchanges.queries; "
        "raise SystemExit('ccxt' in sys.modules)"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "tradingbot.settings"}
    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **environment}, check=False)

    assert done.returncode == 0
