from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import User
from bots.templatetags import figures

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DECIMALS = st.decimals(min_value=-(10**15), max_value=10**15, places=18)


@pytest.mark.parametrize(
    ("value", "quote", "text"),
    [
        (D("1234.5"), "USDT", "1,234.50"),
        (D("-1234.567"), "USDT", "\u22121,234.57"),
        (D("-0.001"), "USDT", "0.00"),
        (D("0"), "BTC", "0"),
        (D("0.000012340000"), "BTC", "0.00001234"),
        (D("1E+3"), "ETH", "1,000"),
        (None, "USDT", "—"),
    ],
)
def test_money_is_in_cents_for_money_of_account_and_fine_otherwise(value, quote, text):
    assert figures.money(value, quote) == text


@pytest.mark.parametrize(
    ("value", "parts"),
    [(D("12.3"), ("gain", "▲", "+12.30")), (D("-0.5"), ("loss", "▼", "\u22120.50"))],
)
def test_signed_money_says_its_sign_by_word_shape_and_colour(value, parts):
    text = figures.signed(value, "USDT")
    assert all(part in text for part in parts)


def test_signed_money_that_rounds_to_zero_is_neutral():
    assert figures.signed(D("-0.0001"), "USDT") == "0.00"
    assert figures.signed(None) == "—"


@given(DECIMALS)
def test_no_figure_ever_has_an_exponent_or_a_negative_zero(value):
    for text in (
        figures.money(value, "USDT"),
        figures.money(value, "BTC"),
        figures.amount(value),
        figures.price(value),
        figures.exact(value),
        figures.plain_signed(value, "USDT"),
    ):
        assert "E" not in text
        assert text.strip("\u22120.,") or not text.startswith("\u2212")


@pytest.mark.parametrize(
    ("value", "tick", "text"),
    [
        (D("64000.1"), None, "64,000.10"),
        (D("64000.1"), D("0.1"), "64,000.1"),
        (D("3.14159265"), None, "3.1416"),
        (D("3.1"), None, "3.10"),
        (D("0.00001234"), None, "0.00001234"),
        (None, None, "—"),
    ],
)
def test_a_price_goes_to_its_tick_or_to_about_seven_digits(value, tick, text):
    assert figures.price(value, tick) == text


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [(D("0.5"), None, "0.5"), (D("0.5"), D("0.001"), "0.5"), (D("1500"), None, "1,500"), (None, None, "—")],
)
def test_an_amount_has_no_trailing_zeros(value, step, text):
    assert figures.amount(value, step) == text


def test_percent_is_of_a_fraction():
    assert figures.percent(D("0.12345")) == "12.34\u202f%"
    assert "+1.50" in figures.signed_percent(D("0.015"))
    assert figures.percent(None) == figures.signed_percent(None) == "—"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (61, "1 min"), (3_600, "1 h"), (3_720, "1 h 2 min"), (90_000, "1 d 1 h")],
)
def test_a_span_names_the_largest_unit_that_fits(seconds, text):
    assert figures.span(seconds) == text
    assert figures.span(timedelta(seconds=seconds)) == text


def test_an_age_carries_its_instant():
    text = figures.age(NOW - timedelta(seconds=12), NOW)
    assert 'datetime="2026-03-01T11:59:48.000Z"' in text
    assert ">12 s ago<" in text
    assert figures.age(None, NOW) == "—"


def test_an_age_in_the_future_is_not_negative():
    assert ">0 s ago<" in figures.age(NOW + timedelta(seconds=5), NOW)


def test_until_says_when_or_that_it_is_due():
    assert ">in 5 s<" in figures.until(NOW + timedelta(seconds=5), NOW)
    assert ">due now<" in figures.until(NOW - timedelta(seconds=5), NOW)
    assert figures.until(None, NOW) == "—"


def test_utc_says_so():
    assert "12:00:00 UTC</time>" in figures.utc(NOW)
    assert "12:00</time>" in figures.utc(NOW, "minute")
    assert figures.utc(None) == "—"


@pytest.mark.parametrize(
    ("code", "text"), [("rsi_cross", "RSI cross"), ("NO_SIGNAL", "No signal"), ("macd_cross", "MACD cross"), ("", "")]
)
def test_a_code_reads_as_words(code, text):
    assert figures.words(code) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("candle:2026-03-01T12:00:00Z:signal", "Signal of the candle that opened 2026-03-01 12:00:00 UTC"),
        ("accepted as 1", "Accepted as 1"),
    ],
)
def test_a_cause_reads_as_a_sentence(text, said):
    assert figures.cause(text) == said


def test_an_indicator_is_short_where_it_is_large():
    assert [figures.reading(value) for value in (69.4368, 1.5, 0.00012345, None)] == [
        "69.44",
        "1.50",
        "0.00012345",
        "—",
    ]


def test_patience_is_two_candles_and_half_a_minute():
    assert figures.patience("1m") == 150


def test_share_of_nothing_is_unknown():
    assert figures.share(D(1), D(0)) is None
    assert figures.share(D(1), D(4)) == D("0.25")
    assert figures.times(None, D(1)) is None


def test_one_reads_of_oneself_as_you():
    assert figures.who("user:7", User(pk=7)) == "you"
    assert figures.who("user:8", User(pk=7)) == "user:8"
