"""Sums over a filtered list of trades: per mode and quote currency, never across them."""

from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

from django.db.models import Count, F, Q, QuerySet, Sum

from accounts.models import User
from bots.models import TradeLog
from bots.queries.shapes import TradeFilter
from exchanges.core.decimals import ZERO


@dataclass(frozen=True, slots=True)
class TradeTotals:
    """``fees`` counts those taken in the quote currency, ``bought`` and ``sold`` are notionals."""

    mode: str
    quote: str
    trades: int
    bought: Decimal
    sold: Decimal
    fees: Decimal
    pnl: Decimal | None


def trade_totals(user: User, wanted: TradeFilter) -> list[TradeTotals]:
    rows = (
        _filtered(user, wanted)
        .order_by("mode", "quote")
        .values_list("mode", "quote", "side")
        .annotate(
            n=Count("id"),
            notional=Sum(F("quantity") * F("price")),
            paid=Sum("fee", filter=Q(fee_asset=F("quote"))),
            profit=Sum("pnl"),
        )
    )
    groups = groupby(sorted(rows, key=lambda row: row[:2]), key=lambda row: row[:2])
    return [_totals(mode, quote, list(sides)) for (mode, quote), sides in groups]


def _totals(mode: str, quote: str, sides: list[tuple[str, str, str, int, Decimal, Decimal, Decimal]]) -> TradeTotals:
    notional = {side: value or ZERO for _, _, side, _, value, _, _ in sides}
    profits = [profit for *_, profit in sides if profit is not None]
    return TradeTotals(
        mode=mode,
        quote=quote,
        trades=sum(row[3] for row in sides),
        bought=notional.get("buy", ZERO),
        sold=notional.get("sell", ZERO),
        fees=sum((row[5] or ZERO for row in sides), ZERO),
        pnl=sum(profits, ZERO) if profits else None,
    )


def _filtered(user: User, wanted: TradeFilter) -> QuerySet[TradeLog]:
    trades = TradeLog.objects.for_user(user)
    given = {
        "run_id": wanted.bot_run_id,
        "symbol": wanted.symbol,
        "side": wanted.side,
        "mode": wanted.mode,
        "executed_at__gte": wanted.since,
        "executed_at__lt": wanted.until,
    }
    return trades.filter(**{name: value for name, value in given.items() if value not in ("", None)})
