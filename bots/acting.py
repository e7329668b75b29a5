"""Everything a run does that may end in an order: settle, look, decide, place, submit, settle."""

import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from bots import connect, leases, orders, reconcile
from bots.core import sizing
from bots.core.order_state import OrderState
from bots.models import BotRun, Mode, Order
from bots.orders import Cause, Choose, LeaseLost, Placed
from bots.situation import Ambient
from exchanges import market_data
from exchanges.core.decimals import ZERO
from exchanges.core.errors import ExchangeFault
from exchanges.core.market import Market
from exchanges.core.orders import Quote
from exchanges.core.port import Exchange

QUOTE_MAX_AGE = timedelta(seconds=10)


@dataclass(frozen=True, slots=True)
class Acted:
    """``placed`` is None when another worker holds the run."""

    placed: Placed | None
    order: Order | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One worker's turn at a run: its lease and what it knows. The clock of its writes goes on while it works."""

    run: BotRun
    epoch: int
    exchange: Exchange
    market: Market
    actor: str
    at: datetime
    began: float

    def now(self) -> datetime:
        """``at`` and the whole seconds since: a request is signed with the claim's instant, not with the turn's."""
        return self.at + timedelta(seconds=int(monotonic() - self.began))

    def skew(self) -> timedelta:
        """How far the exchange's clock is from this one."""
        theirs = self.exchange.fetch_time()
        return theirs - self.at - timedelta(seconds=monotonic() - self.began)


def worker_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"[:64]


def act(run: BotRun, cause: Cause, choose: Choose, at: datetime, *, stale: bool = False) -> Acted:
    """One lease, facts first, one decision, at most one order. Raises ExchangeFault; then nothing was decided."""
    actor, began = worker_name(), monotonic()
    with leases.leased(run, actor, at) as epoch, suppress(LeaseLost):
        if epoch is not None:
            exchange = connect.open_account(run.account, at)
            market = market_data.market(run.exchange, run.symbol, at)
            return _take(Turn(run, epoch, exchange, market, actor, at, began), cause, choose, stale=stale)
    return Acted(None)


def _take(turn: Turn, cause: Cause, choose: Choose, *, stale: bool) -> Acted:
    quote = turn.exchange.fetch_quote(turn.run.symbol)
    # Who holds something may have to sell it: then no other answer is waited for.
    holding = not sizing.flat(turn.run.held, quote.bid, turn.market)
    settle_open_orders(turn, holding=holding)
    ambient = look(turn, quote, holding=holding, stale=stale)
    for order in turn.run.orders.filter(state=OrderState.PLANNED).select_related("run", "account").order_by("id"):
        # A dead worker wrote it down and never sent it: it is sent now if still fresh, else ended unsent.
        _send(turn, order, ambient)
    placed = orders.decide_and_place(turn.run.pk, turn.epoch, cause, choose, turn.market, ambient, turn.now())
    if placed.order is not None:
        _send(turn, placed.order, ambient)
    return Acted(placed, placed.order)


def settle_open_orders(turn: Turn, *, holding: bool) -> None:
    """What became of the earlier orders. An exit does not wait for an answer about another order; an entry does."""
    live = turn.run.orders.live().exclude(state=OrderState.PLANNED).select_related("run", "account").order_by("id")
    for order in live:
        try:
            reconcile.settle(order, turn.exchange, turn.actor, turn.now())
        except ExchangeFault:
            if not holding:
                raise


def look(turn: Turn, quote: Quote, *, holding: bool, stale: bool) -> Ambient:
    """What only the exchange knows, asked before any lock is taken."""
    stale = stale or abs(turn.now() - quote.at) > QUOTE_MAX_AGE
    if turn.run.mode == Mode.PAPER:
        # A paper wallet is the run's own: its money is what the ledger says.
        return Ambient(quote, None, stale)
    try:
        balances = turn.exchange.fetch_balances()
        free = balances[turn.market.quote].free if turn.market.quote in balances else ZERO
        return Ambient(quote, free, stale, turn.skew())
    except ExchangeFault:
        if not holding:
            raise
        # An exit needs neither; whoever would enter all the same finds the data stale.
        return Ambient(quote, None, stale=True)


def _send(turn: Turn, order: Order, ambient: Ambient) -> None:
    """Claim, send once, and look at once what became of it; a fault then is left to the next pass."""
    if orders.carry_out(order, turn.epoch, turn.exchange, turn.market, ambient, turn.actor, turn.now()):
        with suppress(ExchangeFault):
            reconcile.settle(order, turn.exchange, turn.actor, turn.now())
