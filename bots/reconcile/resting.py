"""Orders that rest: one look at the account's open orders instead of one question for each."""

from collections.abc import Iterable

from bots.core.order_state import OrderState
from bots.models import Order
from bots.reconcile.absence import same_id
from exchanges.core.errors import ExchangeFault, RateLimited
from exchanges.core.orders import OrderReport
from exchanges.core.port import Exchange

#: Fewer are asked about one by one.
SEVERAL = 2


def unmoved(rows: Iterable[Order], exchange: Exchange, fewest: int = SEVERAL) -> set[int]:
    """Ids of the orders that the exchange lists as open, with just as much filled as we have booked.

    The list only spares questions, it is never evidence of an end: whatever it does not show, or shows otherwise, is
    asked about. So is everything when the list cannot be had. Raises RateLimited.
    """
    waiting = [row for row in rows if row.rests and row.state in (OrderState.OPEN, OrderState.PARTIAL)]
    found: set[int] = set()
    for symbol in sorted({row.symbol for row in waiting}):
        mine = [row for row in waiting if row.symbol == symbol]
        if len(mine) >= fewest:
            found |= _listed(mine, symbol, exchange)
    return found


def _listed(rows: list[Order], symbol: str, exchange: Exchange) -> set[int]:
    try:
        reports = exchange.fetch_open_orders(symbol)
    except RateLimited:
        raise
    except ExchangeFault:
        return set()
    return {row.pk for row in rows if any(as_booked(row, report) for report in reports)}


def as_booked(row: Order, report: OrderReport) -> bool:
    """Whether this is the order's report, and our books know all that it tells."""
    known = report.exchange_order_id == row.exchange_order_id and same_id(row.client_order_id, report.client_order_id)
    return known and not report.status.final and report.filled == row.filled
