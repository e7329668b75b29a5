from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal as D

import pytest

from bots.core.backtest.request import BacktestRequest, RequestError, asked_for, parse_request
from bots.core.limits import Limits
from bots.tests.core.cast import BTC
from strategies.core.strategy import StrategyRegistry
from strategies.library.registry import load_shipped

GIVEN = {
    "strategy": "rsi_cross",
    "exchange": "binance",
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "capital": "1000",
    "fee": "0.001",
}


def parsed(**given: object) -> BacktestRequest:
    load_shipped()
    return parse_request({**GIVEN, **given}, StrategyRegistry.get("rsi_cross"))


def test_request_survives_its_json():
    asked = parsed(
        params={"oversold_threshold": 25}, since="2020-01-01", until="2021-01-01T00:00:00+01:00", slippage=0.0005,
        limits={"stop_loss_pct": "5"},
    )  # fmt: skip
    assert asked.params == {"rsi_period": 14, "oversold": 25.0, "overbought": 70.0, "rsi_method": "cutler"}
    assert asked.until == datetime(2020, 12, 31, 23, tzinfo=UTC)
    assert asked.as_json()["until"] == "2020-12-31T23:00:00Z"
    assert parse_request(asked.as_json(), StrategyRegistry.get("rsi_cross")) == asked


def test_defaults_are_filled_in():
    asked = parsed()
    assert (asked.since, asked.until, asked.slippage, asked.limits) == (None, None, D(0), Limits())
    assert asked.params["rsi_period"] == 14


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(RequestError) as caught:
        parsed(
            capital="-1", fee="5", slippage="x", timeframe="7m", symbol="BTC", since="tomorrow",
            params={"rsi_period": 0, "nope": 1}, limits={"stop_loss_pct": 200, "other": 1},
        )  # fmt: skip
    assert caught.value.errors.keys() == {
        "capital", "fee", "slippage", "timeframe", "symbol", "since",
        "params.rsi_period", "params.nope", "limits.stop_loss_pct", "limits.other",
    }  # fmt: skip


@pytest.mark.parametrize("name", GIVEN.keys() - {"strategy"})
def test_missing_field_is_named(name):
    with pytest.raises(RequestError) as caught:
        parsed(**{name: None})
    assert caught.value.errors == {name: "Expected a value, was none."}


@pytest.mark.parametrize("value", ["nan", "inf", "1e-19", "1e15", "0", "ten", True])
def test_capital_is_a_sensible_amount(value):
    with pytest.raises(RequestError, match="capital"):
        parsed(capital=value)


def test_range_goes_forward():
    with pytest.raises(RequestError, match="after since"):
        parsed(since="2020-01-02", until="2020-01-02")


@pytest.mark.parametrize(
    "value", ["0001-01-01T00:00:00+14:00", datetime.max.replace(tzinfo=timezone(-timedelta(hours=1)))]
)
def test_time_that_no_calendar_has_in_utc_is_refused(value):
    with pytest.raises(RequestError, match="since: Expected an ISO-8601 time"):
        parsed(since=value)


def test_terms_take_the_fee_asked_for_and_the_market_s_steps():
    terms = parsed(fee="0.002", slippage="0.0005").terms(BTC)
    assert (terms.market.amount_step, terms.market.min_notional) == (BTC.amount_step, BTC.min_notional)
    assert (terms.fee, terms.slippage_bps, terms.market.fee_in_base) == (D("0.002"), D(5), False)
    assert parsed().terms().market.amount_step == D("1e-8")


def test_range_may_be_times_already():
    noon = datetime(2024, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert parsed(since=noon).since == datetime(2024, 1, 1, 12, tzinfo=UTC)


def test_stakes_do_not_wait_at_a_limit():
    load_shipped()
    with pytest.raises(RequestError) as caught:
        parse_request({**GIVEN, "limits": {"entry_type": "limit"}}, StrategyRegistry.get("dca"))
    assert caught.value.errors.keys() == {"limits.entry_type"}


def test_a_grid_that_no_market_takes_is_named():
    load_shipped()
    with pytest.raises(RequestError) as caught:
        asked_for(
            {**GIVEN, "strategy": "grid", "params": {"lower": 100, "upper": 200}, "limits": {"stop_loss_pct": "5"}}
        )
    assert any(name.startswith("limits.") for name in caught.value.errors)
