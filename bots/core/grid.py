"""A grid of resting orders: what should rest at which line, and what each line holds."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import Final

from bots.core import sizing
from bots.core.decision import band_price
from bots.core.intent import GRID, OrderIntent, Purpose, line_of
from bots.core.limits import Limits
from bots.core.position import FillFact, Position, book
from bots.core.situation import Situation
from exchanges.core.decimals import ONE, ZERO, floor_to, plain, storable
from exchanges.core.market import Market
from exchanges.core.orders import OrderType, Side
from strategies.core.plan import Grid, Plan

#: They sell the whole position at once, or buy it at once: what a grid does line by line.
CONFLICTING: Final = ("stop_loss_pct", "take_profit_pct", "trailing_stop_pct", "break_even_pct")
Lines = tuple[Decimal, ...]
#: Whether our own risk refuses an intent.
Judge = Callable[[OrderIntent], bool]


def lines_on(plan: Grid, market: Market) -> Lines:
    """The lines as the market can quote them."""
    return tuple(floor_to(line, market.price_tick) for line in plan.lines)


def problems(plan: Plan | None, capital: Decimal, market: Market, limits: Limits) -> dict[str, str]:
    """Why this grid cannot work on this market with this money: field → what was expected."""
    if not isinstance(plan, Grid):
        return {}
    lines, stake = lines_on(plan, market), capital / plan.cells
    found = {
        f"limits.{name}": "Expected no such limit: a grid sells line by line; give it stop_pct."
        for name in CONFLICTING
        if getattr(limits, name, None) is not None
    }
    if any(upper * (ONE - market.maker_fee) <= lower * (ONE + market.maker_fee) for lower, upper in pairwise(lines)):
        fee = plain(market.maker_fee * 100)
        found["params.levels"] = f"Expected fewer, or further bounds: two fees of {fee} % are more than a line's step."
    elif not all(market.tradable(_amount(stake, line, lines, market), line) for line in lines[:-1]):
        share = f"{stake:.2f} {market.quote} a line is under the market's least order"
        found["capital"] = f"Expected more, or fewer levels: {share} ({plain(market.min_notional)} {market.quote})."
    return found


def wanted(lines: Lines, now: Situation) -> list[OrderIntent]:
    """What should rest and does not yet: sells from the lowest line up, then buys from the highest line down."""
    cells = range(len(lines) - 1)
    sells = [wish for line in cells if (wish := wish_of(lines, line, now)) and wish.side is Side.SELL]
    buys = [wish for line in reversed(cells) if (wish := wish_of(lines, line, now)) and wish.side is Side.BUY]
    return sells + buys


def wish_of(lines: Lines, line: int, now: Situation) -> OrderIntent | None:
    """What should rest at one line; None while an order of the line is live, and where nothing should."""
    if f"{GRID}{line}" in now.busy_legs:
        return None
    price, above = lines[line], lines[line + 1]
    held = sizing.closing_amount(now.lots.get(line, ZERO), now.market)
    if now.market.tradable(held, above):
        # A line that the price has passed by far is offered within the band.
        limit = max(above, band_price(Side.SELL, now))
        return _resting(Purpose.EXIT, Side.SELL, held, limit, line, now)
    stake = (now.cash - now.position.cash) / (len(lines) - 1)
    if price < now.price_for(Side.SELL):
        return _resting(Purpose.ENTRY, Side.BUY, _amount(stake, price, lines, now.market), price, line, now)
    return None


def _amount(stake: Decimal, price: Decimal, lines: Lines, market: Market) -> Decimal:
    """What one line buys: all lines together never hold more than one order may sell."""
    amount = sizing.all_in_amount(stake, price, market)
    return min(amount, market.round_amount(market.max_amount / (len(lines) - 1))) if market.max_amount else amount


def _resting(purpose: Purpose, side: Side, amount: Decimal, limit: Decimal, line: int, now: Situation) -> OrderIntent:
    return OrderIntent(
        purpose, side, OrderType.LIMIT, amount, now.price, limit_price=limit, leg=f"{GRID}{line}", rests=True
    )


def until_refused(wishes: Iterable[OrderIntent], refused: Judge) -> Iterator[OrderIntent]:
    """The wishes that are granted, one after the other; what refuses one buy would refuse the next, so it is the last.

    Each is judged when it is asked for, after the one before has been placed.
    """
    buying = True
    for wish in wishes:
        if wish.side is Side.SELL or buying:
            if not refused(wish):
                yield wish
            elif wish.side is Side.BUY:
                buying = False


def described(intent: OrderIntent, lines: Lines) -> str:
    at, line = plain(intent.limit_price or ZERO), f"Line {(line_of(intent.leg) or 0) + 1} of {len(lines)} holds"
    if intent.side is Side.BUY:
        return f"{line} nothing: a buy rests at {at}."
    return f"{line} {plain(intent.amount)}: a sell rests at {at}."


def of_lot(lot: Position, fill: FillFact) -> FillFact:
    """A sell with what its own line paid for the coins, instead of the average of all lines."""
    if fill.side is Side.BUY or lot.amount <= 0:
        return fill
    share = min(ONE, fill.amount / lot.amount)
    return replace(fill, cost=lot.entry_price, cost_fees=storable(lot.open_fees * share))


def fold_lots(lots: Mapping[int, Position], leg: str, fill: FillFact, base: str, quote: str) -> dict[int, Position]:
    """The lots after one fill; a sell of no line is an exit from them all."""
    line = line_of(leg)
    if line is None:
        return {} if fill.side is Side.SELL else dict(lots)
    after = book(lots.get(line, Position()), replace(fill, cost=None), base, quote).position
    others = {number: lot for number, lot in lots.items() if number != line}
    return {**others, line: after} if after.amount else others
