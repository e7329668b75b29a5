"""Bybit, whose stop orders stand among the others and keep their id, but are placed and called back apart."""

from collections.abc import Sequence
from typing import Any

from exchanges.adapters.stops_apart import StopsApart
from exchanges.core.orders import OrderReport, OrderRequest, OrderType


class BybitExchange(StopsApart):
    """One unified account on Bybit; all but stop orders is as everywhere."""

    def _order_params(self, order: OrderRequest) -> dict[str, Any]:
        params = super()._order_params(order)
        if order.type is OrderType.STOP_LOSS:
            # By the other name ccxt would send a direction and "reduce only", which spot does not know.
            params["triggerPrice"] = params.pop("stopLossPrice")
        return params

    def _reports(self, rows: Sequence[Any], symbol: str) -> list[OrderReport]:
        """An order that has just triggered is on its way into the book: should it stay so, it is in doubt, not open."""
        told = [row for row in rows if (row.get("info") or {}).get("orderStatus") != "Triggered"]
        return super()._reports(told, symbol)
