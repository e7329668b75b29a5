"""Everything a run does that may end in an order: settle, look, decide, place, submit, settle."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bots import connect, leases, orders, reconcile
from bots.core.decision import Decided
from bots.core.order_state import OrderState
from bots.core.risk import Situation
from bots.models import BotRun, Mode, Order
from bots.orders import Cause, Placed
from bots.situation import Ambient
from exchanges import market_data
from exchanges.core.decimals import ZERO
from exchanges.core.market import Market
from exchanges.core.port import Exchange

QUOTE_MAX_AGE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Acted:
    """``placed`` is None when another worker holds the run."""

    placed: Placed | None
    order: Order | None = None


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:64]


def act(
    run: BotRun, cause: Cause, choose: Callable[[Situation], Decided | None], at: datetime, *, stale: bool = False
) -> Acted:
    """One lease, facts first, one decision, at most one order. Raises ExchangeFault; then nothing was decided."""
    actor = worker_name()
    with leases.leased(run, actor, at) as epoch:
        if epoch is None:
            return Acted(None)
        exchange = connect.open_account(run.account, at)
        market = market_data.market(run.exchange, run.symbol, at)
        settle_open_orders(run, exchange, actor, at)
        ambient = look(run, exchange, market, at, stale=stale)
        _send_what_is_planned(run, epoch, exchange, market, ambient, actor, at)
        placed = orders.decide_and_place(run.pk, epoch, cause, choose, market, ambient, at)
        if placed.order is not None:
            _send(placed.order, epoch, exchange, market, ambient, actor, at)
        return Acted(placed, placed.order)


def settle_open_orders(run: BotRun, exchange: Exchange, actor: str, at: datetime) -> None:
    for order in run.orders.live().exclude(state=OrderState.PLANNED).select_related("run", "account"):
        reconcile.settle(order, exchange, actor, at)


def look(run: BotRun, exchange: Exchange, market: Market, at: datetime, *, stale: bool = False) -> Ambient:
    """What only the exchange knows, asked before any lock is taken."""
    quote = exchange.fetch_quote(run.symbol)
    old = abs(at - quote.at) > QUOTE_MAX_AGE
    if run.mode == Mode.PAPER:
        # A paper wallet is the run's own: its money is what the ledger says.
        return Ambient(quote, None, stale or old)
    balances = exchange.fetch_balances()
    free = balances[market.quote].free if market.quote in balances else ZERO
    return Ambient(quote, free, stale or old, exchange.fetch_time() - at)


def _send_what_is_planned(
    run: BotRun, epoch: int, exchange: Exchange, market: Market, ambient: Ambient, actor: str, at: datetime
) -> None:
    """Orders that a dead worker wrote down and never sent: sent now if still fresh, else ended unsent."""
    for order in run.orders.filter(state=OrderState.PLANNED).select_related("run", "account"):
        _send(order, epoch, exchange, market, ambient, actor, at)


def _send(
    order: Order, epoch: int, exchange: Exchange, market: Market, ambient: Ambient, actor: str, at: datetime
) -> None:
    if orders.carry_out(order, epoch, exchange, market, ambient, actor, at) and order.ended_at is None:
        reconcile.settle(order, exchange, actor, at)
