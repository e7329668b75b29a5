"""Everything a run does that may end in an order: settle, look, decide, place, submit, settle."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

from django.db.models import Q

from bots import connect, leases, orders, reconcile
from bots.core import sizing
from bots.core.intent import Purpose
from bots.core.order_state import OrderState
from bots.core.risk import DEFAULT_BAND_PCT, HUNDRED, MAX_SKEW
from bots.models import BotRun, Mode, Order
from bots.models.order import OrderQuerySet
from bots.orders import Cause, Choose, LeaseLost, Placed
from bots.situation import Ambient, closes_at, limits_of
from exchanges import market_data
from exchanges.core.decimals import ONE, ZERO
from exchanges.core.errors import ExchangeFault, Maintenance
from exchanges.core.market import Market
from exchanges.core.orders import Quote, Side
from exchanges.core.port import Exchange

QUOTE_MAX_AGE = timedelta(seconds=10)
#: An exit that has waited longer for what rests is priced anew.
CLEARED_FAST = timedelta(seconds=2)
#: An immediate entry that stands at an exchange all the same is called back after this long.
STRAY_LIFE = timedelta(minutes=2)


class Unsettled(ExchangeFault):
    """What rests may still sell the same coins, and the exchange has not said what became of it: wait for that."""

    code = "UNRESOLVED_ORDER"


class CandleOpen(ExchangeFault):
    """The candle still forms at the exchange, whose clock is behind ours: wait for that, it is a moment."""

    code = "CANDLE_OPEN"


@dataclass(frozen=True, slots=True)
class Acted:
    """``placed`` is None when another worker holds the run."""

    placed: Placed | None
    order: Order | None = None


class Moment:
    """An instant that was handed in, and how long ago that was on the clock that only goes forward."""

    __slots__ = ("at", "began")

    def __init__(self, at: datetime) -> None:
        self.at, self.began = at, monotonic()

    def of(self, mode: str) -> datetime:
        """When a pass over many runs or accounts comes to one of this mode.

        Live requests are signed with it, so it goes on in whole seconds: the last of many would be refused as too old.
        Paper keeps the instant of the whole pass, and with it the backtest's trades.
        """
        return self.at if mode == Mode.PAPER else passed(self.at, self.began)


def passed(at: datetime, began: float) -> datetime:
    """``at`` and the whole seconds since the monotonic ``began``."""
    return at + timedelta(seconds=int(monotonic() - began))


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
    #: Whether the exchange has shown what it knows of this market; no entry is made before.
    caught_up: bool

    def now(self) -> datetime:
        """A request is signed with the claim's instant, not with the turn's."""
        return passed(self.at, self.began)

    def clocks(self) -> tuple[datetime, timedelta]:
        """(the exchange's clock, how far it is from this one)."""
        theirs = self.exchange.fetch_time()
        return theirs, theirs - self.at - timedelta(seconds=monotonic() - self.began)


def worker_name() -> str:
    return leases.owner_name()


@contextmanager
def turn_at(run: BotRun, at: datetime) -> Iterator[Turn | None]:
    """The run's lease with all that a turn needs; None while another worker holds it. Raises ExchangeFault."""
    actor, began = worker_name(), monotonic()
    with leases.leased(run, actor, at) as epoch, suppress(LeaseLost):
        if epoch is None:
            yield None
        else:
            exchange = connect.open_account(run.account, at)
            market = market_data.market(run.exchange, run.symbol, at)
            caught_up = reconcile.caught_up(run, exchange, actor, at)
            yield Turn(run, epoch, exchange, market, actor, at, began, caught_up)


def act(
    run: BotRun, cause: Cause, choose: Choose, at: datetime, *, stale: bool = False, full_exit: bool = False
) -> Acted:
    """One lease, facts first, one decision, at most one order. Raises ExchangeFault; then nothing was decided.

    ``full_exit``: should the run hold something, all of it is to be sold, so whatever rests is called back first.
    """
    acted = Acted(None)
    with turn_at(run, at) as turn:
        if turn is not None:
            acted = _take(turn, cause, choose, stale=stale, full_exit=full_exit)
    return acted


def _take(turn: Turn, cause: Cause, choose: Choose, *, stale: bool, full_exit: bool) -> Acted:
    quote = turn.exchange.fetch_quote(turn.run.symbol)
    # Who holds something may have to sell it: then no other answer is waited for.
    holding = not sizing.flat(turn.run.held, quote.bid, turn.market)
    settle_open_orders(turn, holding=holding)
    call_back_due(turn)
    turn.run.refresh_from_db(fields=["held"])
    holding = not sizing.flat(turn.run.held, quote.bid, turn.market)
    if full_exit and holding:
        if not clear_resting(turn, "an exit comes first"):
            raise Unsettled("A resting order that may still sell the same coins is not settled yet.")
        clear_the_way(turn, quote)
        quote = _quote_of_now(turn, quote)
    ambient = look(turn, quote, holding=holding, stale=stale)
    if cause.candle_opened_at is not None and not (full_exit and holding):
        wait_for_close(turn.run, cause.candle_opened_at, ambient)
    return decide_now(turn, cause, choose, ambient)


def _quote_of_now(turn: Turn, quote: Quote) -> Quote:
    """Calling back many orders takes a while, and an exit's limit is put near the price; an old one still sells."""
    if turn.now() - turn.at > CLEARED_FAST:
        with suppress(ExchangeFault):
            return turn.exchange.fetch_quote(turn.run.symbol)
    return quote


def wait_for_close(run: BotRun, opened_at: datetime, ambient: Ambient) -> None:
    """A clock that is wrong by more than a moment is another matter, and waits for a person. Raises CandleOpen."""
    closes, theirs = closes_at(run, opened_at), ambient.exchange_at
    if theirs is not None and theirs < closes and abs(ambient.skew or MAX_SKEW) <= MAX_SKEW:
        raise CandleOpen(f"At the exchange it is {theirs:%H:%M:%S.%f}, before {closes:%H:%M:%S}.")


def decide_now(turn: Turn, cause: Cause, choose: Choose, ambient: Ambient) -> Acted:
    """T1, T2, the one send and the look at what became of it, within a turn."""
    for order in turn.run.orders.filter(state=OrderState.PLANNED).select_related("run", "account").order_by("id"):
        # A dead worker wrote it down and never sent it: it is sent now if still fresh, else ended unsent.
        send(turn, order, ambient)
    placed = orders.decide_and_place(turn.run.pk, turn.epoch, cause, choose, turn.market, ambient, turn.now())
    if placed.order is not None:
        send(turn, placed.order, ambient)
    return Acted(placed, placed.order)


def settle_open_orders(turn: Turn, *, holding: bool) -> None:
    """What became of the earlier orders. An exit does not wait for an answer about another order; an entry does."""
    live = turn.run.orders.live().exclude(state=OrderState.PLANNED).select_related("run", "account").order_by("id")
    rows, as_they_were = list(live), set[int]()
    try:
        as_they_were = reconcile.unmoved(rows, turn.exchange)
    except ExchangeFault:
        if not holding:
            raise
    for order in (row for row in rows if row.pk not in as_they_were):
        try:
            reconcile.settle(order, turn.exchange, turn.actor, turn.now())
        except ExchangeFault:
            if not holding:
                raise


def call_back_due(turn: Turn) -> None:
    """Orders that have rested for as long as they might: canceled, then fetched; what follows is decided anew."""
    for order in due_back(turn.run.orders.all(), turn.now()):
        # Without an answer it stays in flight, which closes the door to entries and to no exit.
        with suppress(ExchangeFault):
            call_back(order, turn.exchange, "rested as long as it might", turn.actor, turn.now())


def due_back(rows: OrderQuerySet, at: datetime) -> OrderQuerySet:
    """Open orders whose time at the exchange is over, as decided, or since an entry should not rest there at all."""
    strayed = Q(purpose=Purpose.ENTRY.value, rests=False, send_at__lt=at - STRAY_LIFE)
    return _at_exchange(rows).filter(Q(rest_until__lte=at) | strayed)


def clear_resting(turn: Turn, why: str) -> bool:
    """Call back whatever of the run rests at the exchange; settled before it returns.

    False while a resting sell may still be executed: the same coins must not be offered twice. A buy whose end is not
    known yet is no obstacle: what it may still buy is sold by the next pass.
    """
    run = turn.run
    for order in run.orders.resting().filter(state=OrderState.PLANNED):
        orders.transition(order, OrderState.EXPIRED_UNSENT, why, turn.actor, turn.now())
    for order in _at_exchange(run.orders.all()):
        with suppress(ExchangeFault):
            call_back(order, turn.exchange, why, turn.actor, turn.now())
    return not run.orders.resting().filter(side=Side.SELL.value).exists()


def clear_the_way(turn: Turn, quote: Quote) -> None:
    """Other runs' resting buys of the account that an exit could trade with are called back: an entry yields to it.

    Their time is over with that, so that the exit is held back by none of them again, whatever becomes of the cancel.
    """
    run, at = turn.run, turn.now()
    band = (limits_of(run).price_band_pct or DEFAULT_BAND_PCT) / HUNDRED
    lowest = turn.market.round_price(quote.bid * (ONE - band), Side.SELL)
    others = Order.objects.filter(account_id=run.account_id, symbol=run.symbol, side=Side.BUY.value, rests=True)
    for order in _at_exchange(others.exclude(run=run)):
        if order.limit_price is not None and order.limit_price >= lowest:
            Order.objects.filter(pk=order.pk).update(rest_until=at)
            with suppress(ExchangeFault):
                call_back(order, turn.exchange, "it stands in an exit's way", turn.actor, at)


def clear_run(run: BotRun, why: str, at: datetime) -> bool:
    """The same in a turn of its own; False also while another worker holds the run. Raises ExchangeFault."""
    cleared = False
    with turn_at(run, at) as turn:
        if turn is not None:
            settle_open_orders(turn, holding=True)
            cleared = clear_resting(turn, why)
    return cleared


def call_back(order: Order, exchange: Exchange, why: str, actor: str, at: datetime) -> None:
    """Cancel, then fetch: only what the exchange says afterwards counts. A cancel that changed nothing is repeated."""
    orders.cancel(order, exchange, why, actor, at)
    reconcile.settle(order, exchange, actor, at)


def _at_exchange(rows: OrderQuerySet) -> OrderQuerySet:
    standing = rows.resting().filter(state__in=[OrderState.OPEN, OrderState.PARTIAL, OrderState.CANCELING])
    return standing.select_related("run", "account", "account__key", "account__wallet").order_by("id")


def look(turn: Turn, quote: Quote, *, holding: bool, stale: bool) -> Ambient:
    """What only the exchange knows, asked before any lock is taken."""
    stale = stale or not turn.caught_up or abs(turn.now() - quote.at) > QUOTE_MAX_AGE
    if turn.run.mode == Mode.PAPER:
        # A paper wallet is the run's own: its money is what the ledger says.
        return Ambient(quote, None, stale)
    try:
        balances = turn.exchange.fetch_balances()
        free = balances[turn.market.quote].free if turn.market.quote in balances else ZERO
        theirs, skew = turn.clocks()
        return Ambient(quote, free, stale, skew, theirs)
    except ExchangeFault as fault:
        if not holding:
            raise
        # An exit needs neither; whoever would enter all the same finds the data stale.
        return Ambient(quote, None, stale=True, maintenance=isinstance(fault, Maintenance))


def settle(order: Order, turn: Turn) -> None:
    """Ask what became of it; a fault is left to the next pass."""
    with suppress(ExchangeFault):
        reconcile.settle(order, turn.exchange, turn.actor, turn.now())


def send(turn: Turn, order: Order, ambient: Ambient) -> None:
    """Claim, send once, and look at once what became of it."""
    if orders.carry_out(order, turn.epoch, turn.exchange, turn.market, ambient, turn.actor, turn.now()):
        settle(order, turn)
