"""Decimals as plain text."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.decimals import plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1E-8", "0.00000001"),
        ("1.500", "1.5"),
        ("100", "100"),
        ("1E+3", "1000"),
        ("-0.0", "0"),
        ("0", "0"),
        ("-0.10", "-0.1"),
    ],
)
def test_text_has_no_exponent_and_no_needless_zeros(value: str, text: str) -> None:
    assert plain(Decimal(value)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=18))
def test_text_is_the_same_decimal(value: Decimal) -> None:
    assert Decimal(plain(value)) == value
    assert "E" not in plain(value)
