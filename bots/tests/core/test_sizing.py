"""Amounts are floored to the step and never cost more than there is."""

from dataclasses import replace
from decimal import Decimal as D

from hypothesis import given
from hypothesis import strategies as st

from bots.core import sizing
from exchanges.core.market import Market

BTC = Market("BTC/USDT", "BTC", "USDT", D("0.00001"), D("0.01"), D("0.00001"), None, D(5))


def test_all_in_floors_to_the_step() -> None:
    assert sizing.all_in_amount(D(1000), D(50000), BTC) == D("0.01998")


def test_all_in_without_money_or_price_is_nothing() -> None:
    assert sizing.all_in_amount(D(0), D(50000), BTC) == 0
    assert sizing.all_in_amount(D(10), D(0), BTC) == 0


def test_amounts_stop_at_the_markets_largest() -> None:
    small = replace(BTC, max_amount=D("0.001"))
    assert sizing.all_in_amount(D(1000), D(50000), small) == D("0.001")
    assert sizing.closing_amount(D(1), small) == D("0.001")


def test_closing_leaves_dust_below_the_step() -> None:
    assert sizing.closing_amount(D("0.019979"), BTC) == D("0.01997")
    assert sizing.closing_amount(D(-1), BTC) == 0


def test_dust_counts_as_flat() -> None:
    assert sizing.flat(D("0.00009"), D(50000), BTC)
    assert not sizing.flat(D("0.0002"), D(50000), BTC)


@given(cash=st.decimals("0.01", "1e6", places=2), price=st.decimals("0.01", "1e5", places=2))
def test_all_in_never_costs_more_than_the_cash(cash: D, price: D) -> None:
    amount = sizing.all_in_amount(cash, price, BTC)
    assert amount * price * (1 + BTC.taker_fee) <= cash
    assert (amount + BTC.amount_step) * price * (1 + BTC.taker_fee) > cash
