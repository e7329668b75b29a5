"""A fill is booked once, whatever is said how often, and everything that follows from it is a fold."""

from decimal import Decimal as D

import pytest
from django.db import IntegrityError, transaction

from bots import ledger
from bots.core.order_state import OrderState
from bots.models import BotRun, Fill, Order, RunPosition, TradeLog
from bots.tests.desk import Desk, after
from exchanges.core.orders import FillReport, Side


def report(trade_id: str, amount: str, price: str = "50000", *, side: Side = Side.BUY, fee: str = "0") -> FillReport:
    return FillReport(trade_id, "1", "BTC/USDT", side, D(amount), D(price), D(fee), "USDT", after(1))


def position(desk: Desk) -> RunPosition:
    return RunPosition.objects.get(run=desk.run)


def test_the_same_trade_is_booked_once(desk: Desk) -> None:
    order = desk.sent()
    first, second = report("a", "0.001"), report("b", "0.002")
    assert [ledger.record_fills(order, batch, after(2)).added for batch in ([first], [first, second], [second])] == [
        1,
        1,
        0,
    ]
    assert (order.filled, position(desk).amount, TradeLog.objects.count()) == (D("0.003"), D("0.003"), 2)


def test_the_database_refuses_a_trade_twice(desk: Desk) -> None:
    order = desk.sent()
    ledger.record_fills(order, [report("a", "0.001")], after(2))
    row = Fill.objects.values().get()
    with pytest.raises(IntegrityError), transaction.atomic():
        Fill.objects.create(**{**row, "id": row["id"] + 1})


def test_the_average_is_weighted(desk: Desk) -> None:
    order = desk.sent()
    ledger.record_fills(order, [report("a", "0.001", "50000"), report("b", "0.003", "51000")], after(2))
    assert order.average == D(50750)


def test_many_small_fills_add_up_exactly(desk: Desk) -> None:
    order = desk.sent()
    ledger.record_fills(order, [report(f"t{index}", "0.00001") for index in range(30)], after(2))
    assert Order.objects.get(pk=order.pk).filled == D("0.0003")


def test_the_cached_position_is_the_fold_of_the_fills(desk: Desk) -> None:
    order = desk.sent()
    fills = [report("a", "0.003", "50000", fee="0.1"), report("b", "0.002", "49000", side=Side.SELL, fee="0.2")]
    ledger.record_fills(order, fills, after(2))
    folded, row = ledger.refold(desk.run), position(desk)
    assert (row.amount, row.cash, row.realized, row.fees) == (
        folded.amount,
        folded.cash,
        folded.realized,
        folded.fees,
    )
    assert BotRun.objects.get(pk=desk.run.pk).held == D("0.001")


def test_a_losing_sale_counts_for_the_streak_and_a_winning_one_ends_it(desk: Desk) -> None:
    order = desk.sent()
    ledger.record_fills(order, [report("a", "0.003")], after(1))
    ledger.record_fills(order, [report("b", "0.001", "49000", side=Side.SELL)], after(2))
    assert (position(desk).loss_streak, position(desk).last_loss_at) == (1, after(1))
    ledger.record_fills(order, [report("c", "0.001", "51000", side=Side.SELL)], after(3))
    assert position(desk).loss_streak == 0


@pytest.mark.parametrize(
    ("state", "late"), [("OPEN", False), ("FILLED", False), ("CANCELED", True), ("REJECTED", True)]
)
def test_a_fill_of_an_ended_order_is_late_and_booked(desk: Desk, state: str, late: bool) -> None:
    order = desk.sent()
    Order.objects.filter(pk=order.pk).update(state=OrderState(state))
    found = ledger.record_fills(order, [report("a", "0.001")], after(2))
    assert (found.added, found.late, order.filled) == (1, late, D("0.001"))


def test_more_than_was_asked_for_is_booked_and_told(desk: Desk) -> None:
    order = desk.sent()
    found = ledger.record_fills(order, [report("a", str(order.amount + D("0.00001")))], after(2))
    assert found.overfilled
    assert order.filled > order.amount


def test_the_peak_begins_with_the_position(desk: Desk) -> None:
    order = desk.sent()
    ledger.record_fills(order, [report("a", "0.001", "50100")], after(2))
    assert position(desk).peak_price == D(50100)
    assert position(desk).opened_at == order.planned_at
