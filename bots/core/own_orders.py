"""Pre-trade risk, what our own orders say: a leg that is busy, coins that are offered already, an order of ours met,
and how many of them there are.
"""

from bots.core.codes import Code
from bots.core.intent import Denial, OrderIntent, Purpose, line_of
from bots.core.situation import Situation, Standing
from exchanges.core.decimals import plain
from exchanges.core.orders import Side


def slot_is_free(intent: OrderIntent, now: Situation) -> Denial | None:
    # An entry waits for any order of the symbol, an exit only for another exit; lines of a grid not for one another.
    entry = intent.purpose is Purpose.ENTRY
    busy = now.busy_legs if entry else now.busy_legs & {intent.slot_leg}
    if entry and (line := line_of(intent.slot_leg)) is not None:
        busy = frozenset(leg for leg in busy if line_of(leg) in (None, line))
    if busy:
        return Denial(Code.UNRESOLVED_ORDER, f"An earlier order is not settled yet ({', '.join(sorted(busy))}).")
    return None


def order_rate_within_limit(intent: OrderIntent, now: Situation) -> Denial | None:
    if intent.purpose is not Purpose.ENTRY:
        return None
    for whose, count, most in (
        ("the run", now.orders_last_minute, now.limits.max_orders_per_minute),
        ("the account", now.account_orders_last_minute, now.limits.max_account_orders_per_minute),
    ):
        if most is not None and count >= most:
            return Denial(Code.ORDER_RATE, f"{count} orders of {whose} in the last minute; {most} are allowed.")
    return None


def open_orders_within_limit(intent: OrderIntent, now: Situation) -> Denial | None:
    most = now.limits.max_open_orders
    if intent.purpose is Purpose.ENTRY and most is not None and now.open_orders >= most:
        return Denial(Code.MAX_OPEN_ORDERS, f"{now.open_orders} orders are open; {most} are allowed.")
    return None


def nothing_is_sold_twice(intent: OrderIntent, now: Situation) -> Denial | None:
    """Whatever the legs are called: all sells in flight together may sell no more than is held."""
    if intent.side is Side.SELL and intent.amount + now.selling > now.position.amount:
        text = f"Orders that are not settled yet may still sell {plain(now.selling)} {now.market.base} of it."
        return Denial(Code.UNRESOLVED_ORDER, text)
    return None


def meets_no_own_order(intent: OrderIntent, now: Situation) -> Denial | None:
    """Nothing may trade against an order of the same account.

    The newcomer yields, as on most exchanges, but an exit only while what it meets has not been called back: coins are
    never kept because an entry cannot be canceled.
    """
    met = next((one for one in now.standing if crosses(intent, one) and (_yields(intent) or one.firm)), None)
    if met is None:
        return None
    return Denial(Code.SELF_CROSS, f"It could trade with our own {met.side} order that rests at {plain(met.limit)}.")


def _yields(intent: OrderIntent) -> bool:
    return intent.purpose is Purpose.ENTRY or intent.rests


def crosses(intent: OrderIntent, other: Standing) -> bool:
    """Whether it could be matched with the other: opposite sides whose prices meet.

    A stop is in nobody's way before its price is reached.
    """
    if intent.side is other.side or intent.stop_price is not None:
        return False
    if intent.limit_price is None:
        return True
    buys = intent.side is Side.BUY
    return intent.limit_price >= other.limit if buys else intent.limit_price <= other.limit
