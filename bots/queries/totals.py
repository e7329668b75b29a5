"""Sums over a filtered list of trades: per mode and quote currency, never across them."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from accounts.models import User
from bots.queries.history import all_trades
from bots.queries.money import fee_in_quote
from bots.queries.shapes import TradeFilter, TradeView
from exchanges.core.decimals import ZERO


@dataclass(slots=True)
class TradeTotals:
    """``bought`` and ``sold`` are notionals, ``pnl`` that of the sells; fees in quote (a third coin's are left out)."""

    mode: str
    quote: str
    trades: int = 0
    bought: Decimal = ZERO
    sold: Decimal = ZERO
    fees: Decimal = ZERO
    pnl: Decimal | None = None

    def add(self, trade: TradeView) -> None:
        notional = trade.quantity * trade.price
        self.trades += 1
        self.bought += notional if trade.side == "buy" else ZERO
        self.sold += notional if trade.side == "sell" else ZERO
        self.fees += fee_in_quote(trade.fee, trade.fee_asset, trade.price, trade.symbol, trade.quote)
        if trade.pnl is not None:
            self.pnl = (self.pnl or ZERO) + trade.pnl


def trade_totals(user: User, wanted: TradeFilter) -> list[TradeTotals]:
    """One pass over every trade of the filter: the database cannot add exact decimals everywhere."""
    return summed(all_trades(user, wanted))


def summed(trades: Iterable[TradeView]) -> list[TradeTotals]:
    groups: dict[tuple[str, str], TradeTotals] = {}
    for trade in trades:
        key = (trade.mode, trade.quote)
        if key not in groups:
            groups[key] = TradeTotals(*key)
        groups[key].add(trade)
    return [groups[key] for key in sorted(groups)]
