"""The stop that rests on the exchange: put there once something is held, moved with its level, never relied on alone.

The level is watched all the same. A stop that the price has gone through has a few seconds to sell; then it is called
back and what is held is sold at the market, by the same step that comes before every full exit.
"""

from contextlib import suppress
from datetime import datetime, timedelta

from bots import acting, connect, orders, reconcile, retries
from bots.core import protection, sizing
from bots.core.codes import Code
from bots.core.decision import Decided, judged
from bots.core.intent import Purpose
from bots.core.limits import Limits
from bots.core.order_state import OrderState
from bots.core.risk import Gate, Situation
from bots.core.stop_order import DECISION_KEY, ON_THE_WAY_DOWN, Stop, misplaced, stop_intent, stop_of
from bots.models import BotRun, Decision, Order, RunPosition, Status
from bots.orders import Cause
from bots.situation import Ambient, limits_of, worst_gate
from exchanges import market_data
from exchanges.core.decimals import plain
from exchanges.core.errors import ExchangeFault
from exchanges.core.market import Market
from exchanges.core.orders import StopStyle
from strategies.core.signals import Action

#: How long a stop that the price has gone through may still be selling.
PATIENCE = timedelta(seconds=4)
#: A level that climbs is followed no more often than this: each move leaves the exchange without a stop for a moment.
MOVE_EVERY = timedelta(seconds=5)
KEY = DECISION_KEY


def standing(run: BotRun) -> Order | None:
    """The run's stop order that has not ended, whatever is known of it."""
    found = run.orders.live().filter(purpose=Purpose.STOP.value, rests=True)
    return found.select_related("run", "account", "account__key", "account__wallet").first()


def may_still_sell(run: BotRun, code: Code, at: datetime) -> bool:
    """The price is through the level: what has the stop at the exchange done, and is it given a moment to do it?"""
    order = standing(run) if code in ON_THE_WAY_DOWN else None
    if order is None:
        return False
    if order.rest_until is None:
        order.rest_until = at + PATIENCE
        Order.objects.filter(pk=order.pk, rest_until=None).update(rest_until=order.rest_until)
    with suppress(ExchangeFault):
        reconcile.settle(order, connect.open_account(run.account, at), acting.worker_name(), at)
    return order.ended_at is None and at < (order.rest_until or at)


def protect(run_id: int, at: datetime) -> None:
    """For whoever has just bought. The exchange's trouble is left to the next watch, which looks at every position."""
    run = BotRun.objects.select_related("account", "account__key", "account__wallet", "position").get(pk=run_id)
    if run.own_limits.stop_on_exchange and run.held > 0:
        with suppress(ExchangeFault):
            keep(run, market_data.market(run.exchange, run.symbol, at), at)


def keep(run: BotRun, market: Market, at: datetime) -> None:
    """Bring the order at the exchange to where it should be. Raises ExchangeFault."""
    if not run.own_limits.stop_on_exchange or connect.stop_style(run) is StopStyle.NONE:
        return
    stop = wanted(run.position, limits_of(run), market)
    if stop is None or run.status == Status.STOPPING or _leaving(run) or _shut(run, at):
        return
    order = standing(run)
    if order is None:
        _put(run, stop, None, at)
    elif order.state == OrderState.OPEN:
        # The price came back before the stop was called back.
        Order.objects.filter(pk=order.pk).exclude(rest_until=None).update(rest_until=None)
        off = misplaced(order.stop_price, order.amount, stop, run.position.amount, market)
        if off and order.send_at is not None and at - order.send_at >= MOVE_EVERY:
            _put(run, stop, order, at)


def wanted(row: RunPosition, limits: Limits, market: Market) -> Stop | None:
    return stop_of(protection.levels(row.entry_price, row.peak_price, limits, market))


def _leaving(run: BotRun) -> bool:
    """An exit of this position has been decided and is tried again until it sells."""
    sells = Decision.objects.filter(run=run, action=Action.SELL.value).exclude(code=Code.DATA_STALE.value)
    last = sells.exclude(decision_key__startswith=KEY).first()
    return last is not None and (run.position.opened_at is None or last.at >= run.position.opened_at)


def _shut(run: BotRun, at: datetime) -> bool:
    """What stands must not be called back where nothing could be put in its place."""
    gate, _, _ = worst_gate(run)
    return gate is Gate.HALTED or (run.account.banned_until is not None and at < run.account.banned_until)


def _put(run: BotRun, stop: Stop, instead_of: Order | None, at: datetime) -> None:
    """One turn: what stands is called back and settled, then the new one is decided on what is held by then."""
    since = f"{run.position.opened_at:%Y%m%dT%H%M%S}" if run.position.opened_at else "0"
    # Another amount at the same level is another cause: it does not wait as a second try would.
    key = retries.next_key(run, f"{KEY}{since}:{plain(stop.price)}:{plain(run.position.amount)}", at)
    if key is None:
        return
    with acting.turn_at(run, at) as turn:
        if turn is None:
            return
        acting.settle_open_orders(turn, holding=True)
        if instead_of is not None and not _called_back(instead_of, turn):
            return
        quote = turn.exchange.fetch_quote(run.symbol)
        style = connect.stop_style(run)

        def choose(now: Situation) -> Decided | None:
            if sizing.flat(now.position.amount, now.price, now.market) or now.price <= stop.price:
                return None
            reason = f"A stop order is put on the exchange: it sells when the price falls to {plain(stop.price)}."
            return judged(stop_intent(now, stop, style), now, stop.code, reason, 1.0)

        acting.decide_now(turn, Cause(key, "stop", indicators={}), choose, Ambient(quote))


def _called_back(order: Order, turn: acting.Turn) -> bool:
    order.refresh_from_db()
    if order.state == OrderState.OPEN:
        orders.cancel(order, turn.exchange, "its level has moved", turn.actor, turn.now())
        acting.settle(order, turn)
    return order.ended_at is not None
