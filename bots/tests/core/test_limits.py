"""Limits come in as JSON, name what is wrong with them, and the tightest wins."""

from decimal import Decimal as D

import pytest

from bots.core import limits
from bots.core.limits import LimitError, Limits, parse_limits, tightest


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


def test_of_pauses_and_least_profits_the_larger_is_the_tighter() -> None:
    first = Limits(cooldown_seconds=60, low_profit_pct=D(1), stop_loss_guard_minutes=10, max_loss_streak=3)
    second = Limits(cooldown_seconds=90, low_profit_pct=D("0.5"), stop_loss_guard_minutes=30, max_loss_streak=2)
    assert tightest([first, second]) == Limits(
        cooldown_seconds=90, low_profit_pct=D(1), stop_loss_guard_minutes=30, max_loss_streak=2
    )
