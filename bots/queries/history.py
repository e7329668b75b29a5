"""What happened: trades, decisions, orders and fills, newest first, paged by id."""

from collections.abc import Iterator
from typing import Any

from django.db.models import QuerySet

from accounts.models import User
from bots.models import Decision, Fill, Order, TradeLog
from bots.queries.shapes import DecisionView, FillView, OrderEventView, OrderView, Page, TradeFilter, TradeView


def _page(rows: QuerySet[Any], view: Any, limit: int, before: int | None) -> Page:
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows.order_by("-id")[: limit + 1])
    return Page([view(row) for row in found[:limit]], found[limit - 1].pk if len(found) > limit else None)


def _trades(user: User | None, wanted: TradeFilter) -> QuerySet[TradeLog]:
    trades = TradeLog.objects.select_related("order")
    if user is not None:
        trades = trades.filter(user_id=user.pk)
    given = {
        "run_id": wanted.bot_run_id,
        "symbol": wanted.symbol,
        "side": wanted.side,
        "mode": wanted.mode,
        "executed_at__gte": wanted.since,
        "executed_at__lt": wanted.until,
    }
    return trades.filter(**{name: value for name, value in given.items() if value not in ("", None)})


def trades_of(
    user: User | None, wanted: TradeFilter | None = None, *, limit: int = 100, before: int | None = None
) -> Page:
    return _page(_trades(user, wanted or TradeFilter()), trade_view, limit, before)


def all_trades(user: User | None, wanted: TradeFilter | None = None) -> Iterator[TradeView]:
    """Every trade of the filter, newest first, without holding them in memory."""
    for row in _trades(user, wanted or TradeFilter()).order_by("-id").iterator(chunk_size=1000):
        yield trade_view(row)


def trade_view(row: TradeLog) -> TradeView:
    return TradeView(
        id=row.pk,
        bot_run_id=row.run_id,
        symbol=row.symbol,
        side=row.side,
        quantity=row.quantity,
        price=row.price,
        fee=row.fee,
        fee_asset=row.fee_asset,
        pnl=row.pnl,
        order_client_id=row.order.client_order_id,
        executed_at=row.executed_at,
        mode=row.mode,
        quote=row.quote,
    )


def decisions_of(run_id: int, *, limit: int = 100, before: int | None = None, changes_only: bool = False) -> Page:
    """``changes_only`` leaves out the rows that only say that nothing was asked for."""
    rows = Decision.objects.filter(run_id=run_id).select_related("order")
    if changes_only:
        rows = rows.exclude(code__in=["NO_SIGNAL", "WARMING_UP", "ALREADY_IN_POSITION", "NO_POSITION_TO_SELL"])
    return _page(rows, decision_view, limit, before)


def decision_view(row: Decision) -> DecisionView:
    return DecisionView(
        id=row.pk,
        at=row.at,
        candle_opened_at=row.candle_opened_at,
        close=row.close,
        action=row.action,
        code=row.code,
        reason=row.reason,
        confidence=row.confidence,
        indicators=row.indicators,
        order_client_id=row.order.client_order_id if row.order else None,
    )


def _orders(user: User | None) -> QuerySet[Order]:
    orders = Order.objects.prefetch_related("events")
    return orders if user is None else orders.for_user(user)


def orders_of(run_id: int | None, user: User | None, *, limit: int = 100, before: int | None = None) -> Page:
    rows = _orders(user)
    return _page(rows if run_id is None else rows.filter(run_id=run_id), order_view, limit, before)


def order_of(user: User | None, order_id: int) -> OrderView:
    """Raises Order.DoesNotExist for a stranger's as for a missing one."""
    return order_view(_orders(user).get(pk=order_id))


def order_view(row: Order) -> OrderView:
    events = [OrderEventView(e.at, e.from_state, e.to_state, e.cause, e.actor) for e in row.events.all()]
    return OrderView(
        id=row.pk,
        bot_run_id=row.run_id,
        client_order_id=row.client_order_id,
        exchange_order_id=row.exchange_order_id,
        symbol=row.symbol,
        purpose=row.purpose,
        side=row.side,
        type=row.type,
        amount=row.amount,
        price=row.limit_price,
        state=row.state,
        filled=row.filled,
        average=row.average,
        reject_code=row.reject_code,
        reject_detail=row.reject_detail,
        created_at=row.planned_at,
        ended_at=row.ended_at,
        events=events,
        stop_price=row.stop_price,
        rests=row.rests,
        rest_until=row.rest_until,
    )


def fills_of(run_id: int, *, limit: int = 100, before: int | None = None) -> Page:
    return _page(Fill.objects.filter(run_id=run_id).select_related("order"), fill_view, limit, before)


def fill_view(row: Fill) -> FillView:
    return FillView(
        id=row.pk,
        trade_id=row.trade_id,
        order_client_id=row.order.client_order_id,
        symbol=row.symbol,
        side=row.side,
        amount=row.amount,
        price=row.price,
        fee=row.fee,
        fee_asset=row.fee_asset,
        executed_at=row.executed_at,
    )
