"""Money, times, ids and cursors as JSON writes them."""

import contextlib
import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from accounts.auth import NotFound
from exchanges.schemas import Cursor, Money, NextCursor, Number, ObjectId, Utc, cursor_text, object_id, z_text

MONEY, UTC_TIME, CURSOR, NEXT = (TypeAdapter(kind) for kind in (Money, Utc, Cursor, NextCursor))
EXACT = st.decimals(-(10**18) + 1, 10**18 - 1, places=18, allow_nan=False, allow_infinity=False)


@given(EXACT)
def test_money_comes_back_as_it_went(value):
    text = json.loads(MONEY.dump_json(value))
    assert "e" not in text.lower()
    assert MONEY.validate_python(text) == value


@pytest.mark.parametrize(
    "value", [1.0, 0.1, True, None, "1e3", "", ".5", "5.", "+5", "NaN", "-inf", "1_0", "٣", b"1", []]
)
def test_what_is_no_money_is_refused(value):
    with pytest.raises(ValidationError, match="Expected a decimal string"):
        MONEY.validate_python(value)


def test_the_kind_of_a_wrong_value_is_named_and_not_the_value():
    with pytest.raises(ValidationError, match="was a JSON float"):
        MONEY.validate_python(1.5)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_as_it_went(at):
    text = json.loads(UTC_TIME.dump_json(at))
    assert text.endswith("Z")
    assert UTC_TIME.validate_python(text) == at


def test_a_time_of_another_zone_is_the_same_instant():
    at = UTC_TIME.validate_python("2026-03-01T14:00:00+02:00")
    assert (at, at.tzinfo) == (datetime(2026, 3, 1, 12, tzinfo=UTC), UTC)
    assert z_text(datetime(2026, 3, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    "text",
    ["2026-03-01", "1700000000", "2026-03-01T12:00:00", "0001-01-01T00:00:00+14:00", "x", "9999-12-31T23:59-12:00"],
)
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(ValidationError, match="Expected"):
        UTC_TIME.validate_python(text)


@given(st.integers(0, 2**63 - 1))
def test_a_cursor_leads_back_to_its_place(position):
    assert CURSOR.validate_python(NEXT.validate_python(position)) == position


@given(st.text(max_size=30))
def test_a_cursor_of_nobodys_is_refused(text):
    with contextlib.suppress(ValidationError):
        assert cursor_text(CURSOR.validate_python(text)) == text


@pytest.mark.parametrize(
    "text", ["0", "-1", "", "1.0", "٣", "1e3", " 1", "1 ", "me", "9223372036854775808", "9" * 30, -1]
)
def test_an_id_that_no_object_has_is_not_found(text):
    with pytest.raises(NotFound):
        object_id(text)


def test_an_id_is_a_number():
    assert object_id("9223372036854775807") == object_id(2**63 - 1) == 2**63 - 1
    for wrong in (True, "1", 1.0, None):
        with pytest.raises(ValidationError):
            TypeAdapter(ObjectId).validate_python(wrong)


def test_an_undefined_number_is_null():
    number = TypeAdapter(Number)
    assert [number.validate_python(value) for value in (float("nan"), float("inf"), None, 1.5)] == [
        None,
        None,
        None,
        1.5,
    ]


def test_money_is_a_decimal_and_never_a_float():
    assert MONEY.validate_python(5) == Decimal(5)
    assert isinstance(MONEY.validate_python(5), Decimal)
