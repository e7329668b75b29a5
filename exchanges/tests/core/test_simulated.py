"""Matching: what fills, at which price, at what cost, and that nothing is ever made from nothing."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.core.decimals import ZERO
from exchanges.core.errors import InvalidRequest
from exchanges.core.fees import fee_for, fee_of
from exchanges.core.market import Market
from exchanges.core.orders import OrderRequest, OrderType, ReportStatus, Side
from exchanges.core.simulated import (
    Point,
    SimulationModel,
    WorkingOrder,
    advance,
    affordable,
    balance_changes,
    check,
    fill_price,
    funds_needed,
    spent,
    triggers,
)
from exchanges.core.slippage import slipped

AT = datetime(2026, 1, 1, tzinfo=UTC)
MARKET = Market("BTC/USDT", "BTC", "USDT", Decimal("0.001"), Decimal("0.01"), maker_fee=Decimal("0.0005"))
KIND = SimulationModel()
RICH = Decimal(10**9)

amounts = st.integers(1, 10**7).map(lambda n: n * MARKET.amount_step)
prices = st.integers(1, 10**8).map(lambda n: n * MARKET.price_tick)
sides = st.sampled_from(Side)


def point(low: str, open_: str, high: str, volume: str | None = None, minute: int = 0) -> Point:
    at = AT + timedelta(minutes=minute)
    return Point(at, Decimal(open_), Decimal(high), Decimal(low), None if volume is None else Decimal(volume))


def order(side: Side = Side.BUY, amount: str = "2", **changes: object) -> WorkingOrder:
    return replace(WorkingOrder(side, OrderType.MARKET, Decimal(amount)), **changes)  # type: ignore[arg-type]


def limit(side: Side, price: str, *, immediate: bool = False) -> WorkingOrder:
    return order(side, type=OrderType.LIMIT, limit_price=Decimal(price), immediate=immediate)


def stop(side: Side, price: str, limit_price: str | None = None) -> WorkingOrder:
    limited = None if limit_price is None else Decimal(limit_price)
    return order(side, type=OrderType.STOP_LOSS, stop_price=Decimal(price), limit_price=limited)


@pytest.mark.parametrize(
    ("working", "candle", "expected"),
    [
        (order(), point("90", "100", "110"), "100"),
        (limit(Side.BUY, "105"), point("90", "100", "110"), "100"),
        (limit(Side.BUY, "95"), point("90", "100", "110"), "95"),
        (limit(Side.BUY, "90"), point("90", "100", "110"), "90"),
        (limit(Side.BUY, "89"), point("90", "100", "110"), None),
        (limit(Side.SELL, "95"), point("90", "100", "110"), "100"),
        (limit(Side.SELL, "105"), point("90", "100", "110"), "105"),
        (limit(Side.SELL, "111"), point("90", "100", "110"), None),
        (limit(Side.BUY, "95", immediate=True), point("90", "100", "110"), None),
        (limit(Side.BUY, "101", immediate=True), point("90", "100", "110"), "100"),
        (stop(Side.SELL, "95"), point("90", "100", "110"), "95"),
        (stop(Side.SELL, "95"), point("80", "90", "92"), "90"),
        (stop(Side.SELL, "85"), point("90", "100", "110"), None),
        (stop(Side.BUY, "105"), point("90", "100", "110"), "105"),
        (stop(Side.BUY, "105"), point("106", "107", "110"), "107"),
        (stop(Side.SELL, "95", "94"), point("90", "100", "110"), None),
        (replace(stop(Side.SELL, "95", "94"), triggered=True), point("90", "93", "96"), "94"),
    ],
)
def test_price_of_a_fill_within_a_candle(working: WorkingOrder, candle: Point, expected: str | None) -> None:
    assert fill_price(working, candle, MARKET, KIND) == (None if expected is None else Decimal(expected))


def test_triggers_only_a_stop() -> None:
    assert triggers(stop(Side.SELL, "95"), point("95", "100", "110"))
    assert not triggers(limit(Side.SELL, "95"), point("90", "100", "110"))


def test_stop_limit_triggers_first_and_fills_later() -> None:
    first = advance(stop(Side.SELL, "95", "94"), [point("90", "100", "101")], MARKET, KIND, RICH)
    assert (first.status, first.order.triggered, first.executions) == (ReportStatus.OPEN, True, ())
    then = advance(
        first.order, [point("90", "93", "93.5", minute=1), point("92", "93", "96", minute=2)], MARKET, KIND, RICH
    )
    assert then.status is ReportStatus.CLOSED
    assert [each.price for each in then.executions] == [Decimal(94)]
    assert then.executions[0].at == AT + timedelta(minutes=2)


def test_maker_fee_is_paid_only_for_having_waited() -> None:
    waited = advance(limit(Side.BUY, "95"), [point("90", "100", "110")], MARKET, KIND, RICH).executions[0]
    taken = advance(limit(Side.BUY, "105"), [point("90", "100", "110")], MARKET, KIND, RICH).executions[0]
    assert waited.fee == Decimal("0.095")
    assert taken.fee == Decimal("0.2")


def test_model_fee_replaces_the_markets() -> None:
    done = advance(order(), [point("1", "100", "200")], MARKET, SimulationModel(fee=Decimal("0.01")), RICH)
    assert done.executions[0].fee == Decimal(2)


def test_volume_share_splits_the_order_over_candles() -> None:
    model = SimulationModel(volume_share=Decimal("0.5"))
    points = [point("9", "10", "11", "1", 0), point("9", "11", "12", "0", 1), point("9", "12", "13", "99", 2)]
    done = advance(order(amount="2"), points, MARKET, model, RICH)
    assert [(each.amount, each.price) for each in done.executions] == [
        (Decimal("0.5"), Decimal(10)),
        (Decimal("1.5"), Decimal(12)),
    ]
    partly = advance(order(amount="2"), points[:2], MARKET, model, RICH)
    assert (partly.status, partly.order.filled) == (ReportStatus.OPEN, Decimal("0.5"))


def test_immediate_order_partly_filled_expires_with_its_fill() -> None:
    model = SimulationModel(volume_share=Decimal("0.5"))
    done = advance(limit(Side.BUY, "20", immediate=True), [point("9", "10", "11", "1")], MARKET, model, RICH)
    assert (done.status, done.order.filled) == (ReportStatus.EXPIRED, Decimal("0.5"))


def test_order_without_funds_expires_unfilled() -> None:
    done = advance(order(), [point("9", "10", "11")], MARKET, KIND, ZERO)
    assert (done.status, done.executions) == (ReportStatus.EXPIRED, ())


def test_order_that_met_no_price_stays_open() -> None:
    assert advance(order(), [], MARKET, KIND, RICH).status is ReportStatus.OPEN


@pytest.mark.parametrize(
    ("side", "bps", "expected"), [(Side.BUY, "10", "100.11"), (Side.SELL, "10", "99.90"), (Side.BUY, "0", "100.005")]
)
def test_slippage_is_against_us_and_on_the_tick(side: Side, bps: str, expected: str) -> None:
    assert slipped(Decimal("100.005"), side, Decimal(bps), MARKET) == Decimal(expected)


def test_slippage_never_breaks_a_limit() -> None:
    model = SimulationModel(slippage_bps=Decimal(100))
    assert fill_price(limit(Side.BUY, "100.5"), point("90", "100", "110"), MARKET, model) == Decimal("100.5")
    assert fill_price(limit(Side.SELL, "99.5"), point("90", "100", "110"), MARKET, model) == Decimal("99.5")


def test_fee_is_half_even_at_the_twelfth_decimal() -> None:
    assert fee_of(Decimal("0.0000000025"), Decimal("0.001")) == Decimal("2E-12")
    assert fee_of(Decimal("0.0000000035"), Decimal("0.001")) == Decimal("4E-12")


def test_fee_in_base_is_for_buys_only() -> None:
    bought = fee_for(MARKET, Side.BUY, Decimal(2), Decimal(100), Decimal("0.001"), in_base=True)
    sold = fee_for(MARKET, Side.SELL, Decimal(2), Decimal(100), Decimal("0.001"), in_base=True)
    assert bought == (Decimal("0.002"), "BTC")
    assert sold == (Decimal("0.2"), "USDT")


def test_funds_needed_are_the_reserve_of_each_kind() -> None:
    price = Decimal(100)
    assert funds_needed(order(), price, MARKET, KIND) == Decimal("200.2")
    assert funds_needed(order(), None, MARKET, KIND) == ZERO
    assert funds_needed(order(Side.SELL), None, MARKET, KIND) == Decimal(2)
    assert funds_needed(limit(Side.BUY, "90"), price, MARKET, KIND) == Decimal("180.18")
    assert funds_needed(stop(Side.BUY, "110"), price, MARKET, KIND) == Decimal("220.22")
    assert funds_needed(order(), price, MARKET, SimulationModel(fee_in_base=True)) == Decimal(200)
    assert funds_needed(order(), price, MARKET, SimulationModel(slippage_bps=Decimal(100))) == Decimal("202.202")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"type": OrderType.STOP_LOSS}, "a stop price for a stop order only, was stop_loss with None"),
        ({"stop_price": Decimal(90)}, "a stop price for a stop order only, was market with 90"),
        ({"limit_price": Decimal(90)}, "a market order without a limit price"),
        ({"type": OrderType.LIMIT}, "a limit order with its limit price"),
        ({"immediate": True}, "immediate-or-cancel on a limit order only, was market"),
        ({"amount": Decimal("0.0015")}, "an amount in steps of 0.001, was 0.0015"),
        ({"amount": Decimal(0)}, "an amount in steps of 0.001, was 0"),
        ({"amount": Decimal("0.009")}, "an amount of at least 0.01, was 0.009"),
        ({"amount": Decimal(101)}, "an amount of at most 100, was 101"),
    ],
)
def test_check_names_what_the_rules_forbid(changes: dict[str, Any], words: str) -> None:
    ruled = replace(MARKET, min_amount=Decimal("0.01"), max_amount=Decimal(100))
    asked = OrderRequest("x", "BTC/USDT", Side.BUY, OrderType.MARKET, Decimal(1), AT)
    check(asked, ruled, Decimal(100))
    with pytest.raises(InvalidRequest, match=re.escape(words)):
        check(replace(asked, **changes), ruled, Decimal(100))


def test_check_accepts_what_the_rules_allow() -> None:
    request = OrderRequest("0" * 32, "BTC/USDT", Side.BUY, OrderType.MARKET, Decimal("0.001"), AT)
    check(request, MARKET, None)
    check(replace(request, side=Side.SELL, type=OrderType.STOP_LOSS, stop_price=Decimal(90)), MARKET, Decimal(100))
    with pytest.raises(InvalidRequest, match="would trigger at once"):
        check(replace(request, type=OrderType.STOP_LOSS, stop_price=Decimal(90)), MARKET, Decimal(100))


models = st.builds(
    SimulationModel,
    fee=st.none() | st.integers(0, 50).map(lambda n: Decimal(n) / 1000),
    slippage_bps=st.integers(0, 50).map(Decimal),
    fee_in_base=st.booleans(),
    volume_share=st.none() | st.just(Decimal("0.25")),
)


@st.composite
def candles(draw: st.DrawFn) -> Point:
    low, open_, high = sorted(draw(st.tuples(prices, prices, prices)))
    return Point(AT, open_, high, low, draw(st.none() | st.integers(0, 10**6).map(Decimal)))


@st.composite
def orders(draw: st.DrawFn) -> WorkingOrder:
    kind = draw(st.sampled_from(OrderType))
    limited = kind is OrderType.LIMIT or (kind is OrderType.STOP_LOSS and draw(st.booleans()))
    return WorkingOrder(
        draw(sides), kind, draw(amounts),
        limit_price=draw(prices) if limited else None,
        stop_price=draw(prices) if kind is OrderType.STOP_LOSS else None,
        immediate=kind is OrderType.LIMIT and draw(st.booleans()),
    )  # fmt: skip


@given(orders(), st.lists(candles(), max_size=6), models, st.integers(0, 10**13).map(Decimal))
def test_any_order_keeps_within_amount_limit_and_funds(
    working: WorkingOrder, points: list[Point], model: SimulationModel, funds: Decimal
) -> None:
    done = advance(working, points, MARKET, model, funds)
    filled = sum((each.amount for each in done.executions), ZERO)
    assert filled == done.order.filled <= working.amount
    assert (done.status is ReportStatus.CLOSED) == (filled == working.amount)
    assert all(each.amount > 0 and each.amount % MARKET.amount_step == 0 for each in done.executions)
    assert sum((spent(working.side, each, MARKET) for each in done.executions), ZERO) <= funds + Decimal("1e-9")
    if working.limit_price is not None:
        sign = 1 if working.side is Side.BUY else -1
        assert all(sign * each.price <= sign * working.limit_price for each in done.executions)
    if working.immediate:
        assert len(done.executions) <= 1
        assert not points or done.status.final


@given(orders(), st.lists(candles(), max_size=6), models)
def test_meeting_points_one_by_one_is_the_same_as_all_at_once(
    working: WorkingOrder, points: list[Point], model: SimulationModel
) -> None:
    whole = advance(working, points, MARKET, model, RICH * RICH)
    current, status, executions = working, ReportStatus.OPEN, []
    for each in points:
        if not status.final:
            step = advance(current, [each], MARKET, model, RICH * RICH)
            current, status = step.order, step.status
            executions += step.executions
    assert (current, status, tuple(executions)) == (whole.order, whole.status, whole.executions)


@given(sides, amounts, prices, models)
def test_balance_changes_conserve_value_but_for_the_fee(
    side: Side, amount: Decimal, price: Decimal, model: SimulationModel
) -> None:
    working = WorkingOrder(side, OrderType.MARKET, amount)
    [execution] = advance(working, [Point.of(AT, price)], MARKET, model, RICH * RICH).executions
    changes = balance_changes(side, execution, MARKET)
    fee = execution.fee * (execution.price if execution.fee_asset == "BTC" else 1)
    assert changes["USDT"] + changes["BTC"] * execution.price == -fee
    assert execution.fee >= 0


@given(sides, prices, st.integers(0, 10**12).map(lambda n: Decimal(n) / 100), models)
def test_affordable_amount_is_the_largest_that_is_paid_for(
    side: Side, price: Decimal, funds: Decimal, model: SimulationModel
) -> None:
    working = WorkingOrder(side, OrderType.MARKET, RICH)
    amount = affordable(working, price, funds, MARKET, model)
    more = replace(working, amount=amount + MARKET.amount_step)
    plain_model = replace(model, slippage_bps=ZERO)
    assert funds_needed(replace(working, amount=amount), price, MARKET, plain_model) <= funds
    assert funds_needed(more, price, MARKET, plain_model) > funds
