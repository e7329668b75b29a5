"""Limits come in as JSON, name what is wrong with them, and the tightest wins."""

from dataclasses import replace
from decimal import Decimal as D

import pytest

from bots.core import limits
from bots.core.limits import EntryType, LimitError, Limits, completed, parse_limits, tightest


def test_limits_are_read_from_text_and_numbers() -> None:
    read = parse_limits({"max_daily_loss": "12.5", "cooldown_seconds": 60, "stop_loss_pct": 5, "max_exposure": None})
    assert read == Limits(max_daily_loss=D("12.5"), cooldown_seconds=60, stop_loss_pct=D(5))


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("max_loss", "1", "Expected one of"),
        ("max_daily_loss", "abc", "Expected a number"),
        ("max_daily_loss", True, "Expected a number"),
        ("max_daily_loss", [1], "Expected a number"),
        ("max_daily_loss", "-1", "positive"),
        ("max_daily_loss", "NaN", "positive"),
        ("max_daily_loss", "1e30", "positive"),
        ("stop_loss_pct", "100", "less than 100"),
        ("cooldown_seconds", "1.5", "whole"),
        ("cooldown_seconds", 10**12, "at most 315532800"),
        ("low_profit_minutes", 10**12, "at most 5258880"),
    ],
)
def test_a_wrong_limit_is_named(name: str, value: object, told: str) -> None:
    with pytest.raises(LimitError) as caught:
        parse_limits({name: value})
    assert told in caught.value.errors[name]
    assert name in str(caught.value)


def test_all_wrong_limits_are_named_at_once() -> None:
    with pytest.raises(LimitError) as caught:
        parse_limits({"a": 1, "max_exposure": 0})
    assert set(caught.value.errors) == {"a", "max_exposure"}


def test_the_tightest_of_all_levels_wins() -> None:
    platform = Limits(max_order_notional=D(100), max_loss_streak=5)
    run = Limits(max_order_notional=D(500), max_loss_streak=3, cooldown_seconds=9)
    assert tightest([platform, run]) == Limits(max_order_notional=D(100), max_loss_streak=3, cooldown_seconds=9)


def test_limits_survive_json_and_schema_names_each() -> None:
    given = Limits(max_daily_loss=D("12.50"), max_open_orders=2)
    assert parse_limits(given.as_json()) == given
    assert set(limits.json_schema()["properties"]) == set(limits.HELP)


def test_how_orders_are_sent_is_read_and_the_first_word_counts() -> None:
    read = parse_limits({"entry_type": "limit", "limit_offset_pct": "0", "stop_on_exchange": "true"})
    assert read == Limits(entry_type=EntryType.LIMIT, limit_offset_pct=D(0), stop_on_exchange=True)
    assert parse_limits(read.as_json()) == read
    assert parse_limits({"stop_on_exchange": False}) == Limits()
    assert tightest([Limits(entry_type=EntryType.MARKET), read]).entry_type is EntryType.MARKET
    assert tightest([Limits(), read]).entries_rest


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("entry_type", "stop", "market or limit"),
        ("stop_on_exchange", "perhaps", "true or false"),
        ("limit_offset_pct", "100", "less than 100"),
        ("limit_timeout_seconds", "0", "positive"),
    ],
)
def test_a_wrong_way_to_send_orders_is_named(name: str, value: object, told: str) -> None:
    with pytest.raises(LimitError, match=told):
        parse_limits({name: value})


def test_a_limit_entry_waits_for_one_candle_unless_it_is_told_otherwise() -> None:
    asked = Limits(entry_type=EntryType.LIMIT)
    assert completed(asked, 3600).limit_timeout_seconds == 3600
    assert completed(replace(asked, limit_timeout_seconds=60), 3600).limit_timeout_seconds == 60
    assert completed(Limits(stop_loss_pct=D(5)), 3600) == Limits(stop_loss_pct=D(5))
    assert completed(Limits(stop_loss_pct=D(5)), 3600, several=True) == Limits(stop_loss_pct=D(5))
    with pytest.raises(LimitError) as caught:
        completed(replace(asked, stop_on_exchange=True), 3600, several=True)
    assert set(caught.value.errors) == {"entry_type", "stop_on_exchange"}
    with pytest.raises(LimitError, match="limit_timeout_seconds"):
        completed(Limits(limit_timeout_seconds=60), 3600)


def test_of_pauses_and_least_profits_the_larger_is_the_tighter() -> None:
    first = Limits(cooldown_seconds=60, low_profit_pct=D(1), stop_loss_guard_minutes=10, max_loss_streak=3)
    second = Limits(cooldown_seconds=90, low_profit_pct=D("0.5"), stop_loss_guard_minutes=30, max_loss_streak=2)
    assert tightest([first, second]) == Limits(
        cooldown_seconds=90, low_profit_pct=D(1), stop_loss_guard_minutes=30, max_loss_streak=2
    )
