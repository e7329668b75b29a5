"""One turn at a run that works a grid: what rests is settled, then what should rest and does not is placed."""

from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta

from bots import acting, ledger, orders
from bots.acting import Turn
from bots.core import grid
from bots.core.codes import Code
from bots.core.decision import Decided, Opinion, judged
from bots.core.intent import OrderIntent, line_of
from bots.core.order_state import OrderState
from bots.core.situation import Situation
from bots.models import BotRun, Decision, RunPosition, Status
from bots.orders import Cause, Placed, candle_key
from bots.situation import Ambient, situation
from exchanges.core.decimals import ONE
from exchanges.core.errors import ExchangeFault
from exchanges.core.market import Market
from exchanges.core.orders import Quote, Side
from strategies.core.plan import Grid
from strategies.core.signals import Action

Lines = grid.Lines
#: An order is not decided on an older price while a newer one can be had.
PRICE_LIFE = timedelta(seconds=5)


def work(run: BotRun, plan: Grid, opinion: Opinion, at: datetime, *, stale: bool) -> list[int] | None:
    """Ids of the orders that were placed; None while another worker holds the run. Raises ExchangeFault.

    Every order is a decision of its own, named after the candle and its line; a turn that was cut short is taken up by
    the next one, which finds what was decided and goes on.
    """
    placed: list[int] | None = None
    with acting.turn_at(run, at) as turn:
        if turn is not None:
            placed = _take(turn, grid.lines_on(plan, turn.market), opinion, stale=stale)
    return placed


def _take(turn: Turn, lines: Lines, opinion: Opinion, *, stale: bool) -> list[int]:
    run = turn.run
    # Whose end is not known keeps its line busy: no other line waits for the answer.
    acting.settle_open_orders(turn, holding=True)
    quote = turn.exchange.fetch_quote(run.symbol)
    _call_back_stranded(turn, lines, quote)
    run.refresh_from_db(fields=["held", "status"])
    found: list[int] = []
    if run.status != Status.STOPPING:
        ambient, trouble = _look(turn, quote, stale=stale)
        acting.wait_for_close(run, opinion.candle_opened_at, ambient)
        for order in run.orders.filter(state=OrderState.PLANNED).select_related("run", "account").order_by("id"):
            acting.send(turn, order, ambient)
        found = _place_all(turn, lines, opinion, ambient, buying=trouble is None)
        if trouble is not None:
            # The buys of this candle are decided by the next try.
            raise trouble
    _tell(run, opinion, turn.now())
    return found


def _look(turn: Turn, quote: Quote, *, stale: bool) -> tuple[Ambient, ExchangeFault | None]:
    """A sell needs neither balance nor clock; without them a buy would be denied for the whole candle, so it waits."""
    try:
        return replace(acting.look(turn, quote, holding=False, stale=stale), lines=True), None
    except ExchangeFault as fault:
        return Ambient(quote, None, stale=True, lines=True), fault


def _call_back_stranded(turn: Turn, lines: Lines, quote: Quote) -> None:
    """A buy that was filled in part while the price has gone on to the next line: its coins are to be sold there."""
    partly = turn.run.orders.filter(state=OrderState.PARTIAL, side=Side.BUY.value).select_related("run", "account")
    for order in partly.order_by("id"):
        line = line_of(order.intent.leg)
        if line is not None and quote.bid >= lines[line + 1]:
            with suppress(ExchangeFault):
                acting.call_back(order, turn.exchange, "filled in part and left behind", turn.actor, turn.now())


def _place_all(turn: Turn, lines: Lines, opinion: Opinion, ambient: Ambient, *, buying: bool) -> list[int]:
    row = RunPosition.objects.get(run=turn.run)
    found: list[int] = []
    for wish in grid.wanted(lines, situation(turn.run, row, turn.market, ambient, turn.now())):
        if wish.side is Side.BUY and not buying:
            continue
        ambient = _fresh(turn, ambient)
        placed = _place(turn, lines, wish, opinion, ambient)
        if placed.order is not None:
            found.append(placed.order.pk)
            acting.send(turn, placed.order, ambient)
            ambient = _spent(ambient, wish, turn.market)
        elif placed.decision is not None and wish.side is Side.BUY:
            # What refuses one buy would refuse the next, but for an order of our own at its price.
            buying = placed.decision.code == Code.SELF_CROSS
    return found


def _place(turn: Turn, lines: Lines, wish: OrderIntent, opinion: Opinion, ambient: Ambient) -> Placed:
    line = line_of(wish.leg) or 0

    def choose(now: Situation) -> Decided | None:
        """Asked again under the lock: a fill that was booked meanwhile may have changed what the line needs."""
        still = grid.wish_of(lines, line, now)
        if still is None or still.side is not wish.side:
            return None
        code = Code.SIGNAL_BUY if still.side is Side.BUY else Code.SIGNAL_SELL
        return judged(still, now, code, grid.described(still, lines), opinion.confidence)

    opened_at = opinion.candle_opened_at
    cause = Cause(candle_key(opened_at, f"{wish.leg}:{wish.side.value}"), "tick", opened_at, close=opinion.close)
    return orders.decide_and_place(turn.run.pk, turn.epoch, cause, choose, turn.market, ambient, turn.now())


def _fresh(turn: Turn, ambient: Ambient) -> Ambient:
    """Many lines take a while to be placed: the later ones are judged by a price of now."""
    if turn.now() - ambient.quote.at <= PRICE_LIFE:
        return ambient
    return replace(ambient, quote=turn.exchange.fetch_quote(turn.run.symbol))


def _spent(ambient: Ambient, wish: OrderIntent, market: Market) -> Ambient:
    """The exchange was asked once, before any order of this turn: what it locks since then is no longer free."""
    if ambient.free_quote is None or wish.side is Side.SELL:
        return ambient
    return replace(ambient, free_quote=ambient.free_quote - wish.notional * (ONE + market.taker_fee))


def _tell(run: BotRun, opinion: Opinion, at: datetime) -> None:
    """The candle's own row in the journal: where the grid stands."""
    resting = run.orders.in_flight().filter(rests=True)
    sides = list(resting.values_list("side", flat=True))
    standing = (
        f"{sides.count(Side.BUY.value)} buys and {sides.count(Side.SELL.value)} sells rest; "
        f"{len(ledger.lots_of(run))} lines hold a lot."
    )
    row = Decision(
        run=run,
        decision_key=candle_key(opinion.candle_opened_at),
        at=at,
        candle_opened_at=opinion.candle_opened_at,
        close=opinion.close,
        action=Action.HOLD.value,
        code=Code.NO_SIGNAL.value,
        reason=f"{opinion.reason_holding} {standing}"[:400],
        indicators=dict(opinion.indicators),
    )
    Decision.objects.bulk_create([row], ignore_conflicts=True)
