"""A position is the fold of its fills, and the equity identity holds for every price."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bots.core.position import FillFact, Position, book, fold
from exchanges.core.orders import Side

AT = datetime(2024, 1, 1, tzinfo=UTC)


def fill(side: Side, amount: str, price: str, fee: str = "0", asset: str = "USDT") -> FillFact:
    return FillFact(side, D(amount), D(price), D(fee), asset, AT)


def position_of(*fills: FillFact) -> Position:
    return fold(fills, "BTC", "USDT")


def test_buy_with_fee_in_quote_holds_all_and_pays_the_fee() -> None:
    held = position_of(fill(Side.BUY, "0.01", "50000", "0.5"))
    assert (held.amount, held.entry_price, held.fees, held.cash) == (D("0.01"), D(50000), D("0.5"), D("-500.5"))
    assert held.opened_at == AT


def test_buy_with_fee_in_base_holds_less_at_the_same_entry_price() -> None:
    held = position_of(fill(Side.BUY, "0.01", "50000", "0.00001", "BTC"))
    assert (held.amount, held.entry_price, held.fees) == (D("0.00999"), D(50000), D("0.5"))


def test_fee_in_a_third_asset_is_kept_apart() -> None:
    held = position_of(fill(Side.BUY, "1", "100", "0.1", "BNB"), fill(Side.SELL, "1", "110", "0.2", "BNB"))
    assert held.other_fees == {"BNB": D("0.3")}
    assert held.fees == 0


def test_zero_fee_in_a_third_asset_leaves_no_trace() -> None:
    assert position_of(fill(Side.BUY, "1", "100", "0", "BNB")).other_fees == {}


def test_sell_realizes_net_of_both_fees() -> None:
    opened = position_of(fill(Side.BUY, "2", "100", "0.2"))
    booked = book(opened, fill(Side.SELL, "1", "110", "0.11"), "BTC", "USDT")
    assert booked.pnl == D(10) - D("0.1") - D("0.11")
    assert booked.position.realized == D(10)
    assert booked.position.open_fees == D("0.1")


def test_flat_position_forgets_its_entry() -> None:
    held = position_of(fill(Side.BUY, "2", "100", "0.2"), fill(Side.SELL, "2", "90", "0.18"))
    assert (held.amount, held.entry_price, held.open_fees, held.opened_at) == (0, 0, 0, None)
    assert held.profit(D(90)) == D(-20) - D("0.38")


def test_sell_without_a_position_is_still_booked() -> None:
    booked = book(Position(), fill(Side.SELL, "1", "100", "0.1"), "BTC", "USDT")
    assert booked.position.amount == -1
    assert booked.pnl == D(100) - D("0.1")


def test_buy_after_an_overfill_that_stays_short_has_no_entry_price() -> None:
    short = book(Position(), fill(Side.SELL, "2", "100"), "BTC", "USDT").position
    assert book(short, fill(Side.BUY, "1", "100"), "BTC", "USDT").position.entry_price == 0


amounts = st.decimals("0.00001", "10", places=5)
prices = st.decimals("0.01", "90000", places=2)


@st.composite
def long_only_fills(draw: st.DrawFn) -> list[FillFact]:
    fills, held = [], D(0)
    for _ in range(draw(st.integers(1, 12))):
        price, asset = draw(prices), draw(st.sampled_from(["USDT", "BTC", "BNB"]))
        side = draw(st.sampled_from([Side.BUY, Side.SELL])) if held > D("0.0001") else Side.BUY
        amount = draw(amounts) if side is Side.BUY else (held * draw(st.sampled_from([D("0.5"), D(1)])))
        rate = D("0.001")
        fee = amount * rate if asset == "BTC" else amount * price * rate
        if side is Side.SELL and asset == "BTC":
            fee, asset = amount * price * rate, "USDT"
        fills.append(FillFact(side, amount, price, fee, asset, AT))
        held = fold(fills, "BTC", "USDT").amount
    return fills


@given(fills=long_only_fills(), price=prices)
def test_equity_identity_holds_for_any_fills_and_any_price(fills: list[FillFact], price: D) -> None:
    p = fold(fills, "BTC", "USDT")
    assert p.profit(price) == pytest.approx(p.realized + p.unrealized(price) - p.fees, abs=D("1e-9"))


@given(fills=long_only_fills(), cut=st.integers(0, 12))
def test_fold_in_two_parts_equals_fold_in_one(fills: list[FillFact], cut: int) -> None:
    head = fold(fills[:cut], "BTC", "USDT")
    assert fold(fills[cut:], "BTC", "USDT", head) == fold(fills, "BTC", "USDT")


@given(fills=long_only_fills())
def test_pnl_of_the_parts_adds_up_to_the_closed_profit(fills: list[FillFact]) -> None:
    position, total = Position(), D(0)
    for one in fills:
        booked = book(position, one, "BTC", "USDT")
        position, total = booked.position, total + (booked.pnl or 0)
    assert total == pytest.approx(position.realized - (position.fees - position.open_fees), abs=D("1e-9"))


def test_an_entry_begins_a_new_position_whatever_dust_is_left() -> None:
    later = AT + timedelta(days=1)
    first = FillFact(Side.BUY, D(1), D(100), D("0.001"), "BTC", AT, entered_at=AT - timedelta(seconds=1))
    sold = FillFact(Side.SELL, D("0.99"), D(110), D(0), "USDT", AT)
    again = FillFact(Side.BUY, D(1), D(120), D(0), "BTC", later, entered_at=later)
    dust = fold([first, sold], "BTC", "USDT")
    assert (dust.amount, dust.opened_at) == (D("0.009"), AT - timedelta(seconds=1))
    assert fold([again], "BTC", "USDT", dust).opened_at == later
