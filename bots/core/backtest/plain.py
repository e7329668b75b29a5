"""The short way through a backtest in which no rule can say no: only the candles where something happens."""

from bisect import bisect_left
from dataclasses import replace
from decimal import ROUND_FLOOR, Decimal, getcontext
from functools import partial
from itertools import repeat
from operator import add, mul, sub
from typing import Final, NamedTuple

import numpy as np

from bots.core import sizing
from bots.core.backtest.stays import Ints, chain, fillable, turns
from bots.core.backtest.terms import OpenTrade, Outcome, Terms, Trade, worst_sell_price
from bots.core.backtest.touch import Guard, Touch, moves, protects, watched_from
from bots.core.codes import Code
from bots.core.position import Position
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimal_columns import from_floats
from exchanges.core.decimals import FINEST, ONE, ZERO, exponent, from_float, storable
from exchanges.core.fees import fee_of
from exchanges.core.market import Market
from exchanges.core.orders import Side
from strategies.core.signals import Floats, Signals

#: Limits that never deny a single all-in position: they close it, or move a limit price.
HARMLESS: Final = frozenset(
    {"stop_loss_pct", "break_even_pct", "take_profit_pct", "trailing_stop_pct", "price_band_pct", "stop_on_exchange"}
)
#: So many steps are rounded within the digits of our arithmetic.
ROUNDABLE: Final = Decimal("1e20")
INFINITE: Final = Decimal("Infinity")


class Refusable(Exception):
    """A rule of the market could refuse an order here: the long way must judge it."""


class Stays(NamedTuple):
    """The times in the market, in order: bought at an open, left at an open or where ``touches`` says for its exit.

    Only the last may end at the candles' count, which means that it has not ended.
    """

    entries: list[int]
    exits: list[int]
    touches: dict[int, Touch]


def is_plain(terms: Terms) -> bool:
    return not terms.limits.as_json().keys() - HARMLESS


def walk(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """Raises Refusable where an order might be refused; else `judged.walk`'s answer to the last digit.

    When to be in the market does not depend on the money, so that is settled first.
    """
    return settle(stays(candles, signals, terms), candles, terms)


def stays(candles: Candles, signals: Signals, terms: Terms) -> Stays:
    entries, exits = fillable(signals.entry, signals.ready), fillable(signals.exit, signals.ready)
    if protects(terms.limits):
        return _guarded(entries, exits, candles, terms)
    entered, left = turns(entries, exits, len(candles))
    return Stays(entered.tolist(), left.tolist(), {})


def _guarded(signals: Ints, exits: Ints, candles: Candles, terms: Terms) -> Stays:
    """With protections: looked at closely only where the range of a stay's candles says that a level may be touched."""
    bought = signals + 1
    sold = np.append(exits + 1, len(candles))[np.searchsorted(exits, bought)]
    watched = watched_from(bought, sold, candles, terms)
    found = None if moves(terms.limits) else _fixed(signals, bought, sold, watched, candles, terms)
    return found or _watched(signals, bought, sold, watched, candles, terms)


def _fixed(signals: Ints, bought: Ints, sold: Ints, watched: Ints, candles: Candles, terms: Terms) -> Stays | None:
    """Where each stay ends at the first candle that may touch, if that is so to the digit; else None."""
    ended = np.minimum(sold, watched)
    taken = np.array(chain(np.searchsorted(signals, ended).tolist()), dtype=np.int64)
    entries, exits = bought[taken], ended[taken]
    touches = {}
    for at in np.flatnonzero(exits < sold[taken]).tolist():
        entry, left = int(entries[at]), int(exits[at])
        touch = _guard(entry, candles, terms).at(left, candles)
        if touch is None:
            return None
        touches[at] = touch
    return Stays(entries.tolist(), exits.tolist(), touches)


def _watched(signals: Ints, bought: Ints, sold: Ints, watched: Ints, candles: Candles, terms: Terms) -> Stays:
    """Stay by stay."""
    entries, entered, ends, begin = (column.tolist() for column in (signals, bought, sold, watched))
    found = Stays([], [], {})
    at = free_from = 0
    while (at := bisect_left(entries, free_from, at)) < len(entries):
        entry, free_from = entered[at], ends[at]
        if begin[at] < free_from:
            touch = _guard(entry, candles, terms).until(free_from, candles)
            if touch is not None:
                free_from = touch.candle
                found.touches[len(found.entries)] = touch
        found.entries.append(entry)
        found.exits.append(free_from)
    return found


def _guard(entry: int, candles: Candles, terms: Terms) -> Guard:
    price = terms.fill_price(from_float(candles.open[entry]), Side.BUY)
    return Guard(entry, price, terms, price)


def settle(stays: Stays, candles: Candles, terms: Terms) -> Outcome:
    """The money: all in and all out, in the arithmetic of `bots.core.position` without its generality."""
    ended = len(stays.exits) - (stays.exits[-1:] == [len(candles)])
    bought, sold = _bought(stays.entries, candles, terms), _sold(stays, ended, candles, terms)
    purse = _Purse(worst_sell_price(from_float(candles.low.min()), terms), terms)
    flow, (amounts, entry_fees, exit_fees) = purse.compounded(bought, sold)
    gross = _gained(amounts, bought, sold, terms.market.amount_step)
    fees = list(map(add, entry_fees, exit_fees))
    pnls = map(sub, map(sub, gross, entry_fees), exit_fees)
    reasons, left = _reasons(stays, ended), stays.exits[:ended]
    signals = [at - 1 if reason is Code.SIGNAL_SELL else None for at, reason in zip(left, reasons, strict=True)]
    asked = [entry - 1 for entry in stays.entries]
    columns = (asked, stays.entries, signals, left, bought, sold, amounts, entry_fees, fees, pnls, reasons)
    # A trade's own constructor takes thrice as long as the tuple that it makes.
    trades = list(map(partial(tuple.__new__, Trade), zip(*columns, strict=False)))
    position = Position(realized=sum(gross, ZERO), fees=sum(fees, ZERO), cash=flow)
    outcome = Outcome(trades, None, position, [])
    if ended == len(stays.exits):
        return outcome
    return _with_open(stays.entries[-1], bought[-1], outcome, purse, candles, terms)


class _Money(NamedTuple):
    """What each closed stay bought and paid; in columns, since a million candles make thousands of stays."""

    amounts: list[Decimal]
    entry_fees: list[Decimal]
    exit_fees: list[Decimal]


class _Purse:
    """All in, again and again.

    Between ``least`` and ``most`` the amount that the money buys is certain to be taken by the market at any price of
    these candles, and rounding it to the step is one operation; everything else `_amount` judges.
    """

    def __init__(self, cheapest: Decimal, terms: Terms) -> None:
        self.cheapest, self.terms = cheapest, terms
        market = terms.market
        step, enough = market.amount_step, market.min_amount
        if market.min_notional and cheapest:
            enough = max(enough, market.min_notional / cheapest)
        self.least = enough + step
        one_digit = step.as_tuple().digits == (1,) and cheapest > 0
        self.most = min(step * ROUNDABLE, market.max_amount or INFINITE) if one_digit else ZERO

    def amount(self, cash: Decimal, price: Decimal) -> Decimal:
        return _amount(cash, price, self.cheapest, self.terms.market)

    def compounded(self, bought: list[Decimal], sold: list[Decimal]) -> tuple[Decimal, _Money]:
        """(all flows together, each stay's money); ``bought`` may have one more, which has not ended."""
        market, capital, rate = self.terms.market, self.terms.capital, self.terms.fee
        step, least, most = market.amount_step, self.least, self.most
        flow, found = ZERO, _Money([], [], [])
        keep_amount, keep_entry_fee, keep_exit_fee = (column.append for column in found)
        dear = map(mul, bought, repeat(ONE + market.taker_fee))
        for price, proceeds, with_fee in zip(bought, sold, dear, strict=False):
            cash = capital + flow
            asked = cash / with_fee if most else ZERO
            amount = asked.quantize(step, ROUND_FLOOR) if least < asked < most else asked
            if amount == asked:
                amount = self.amount(cash, price)
            notional, worth = amount * price, amount * proceeds
            entry_fee, exit_fee = fee_of(notional, rate), fee_of(worth, rate)
            flow = flow - notional - entry_fee + worth - exit_fee
            keep_amount(amount)
            keep_entry_fee(entry_fee)
            keep_exit_fee(exit_fee)
        return flow, found


def _gained(amounts: list[Decimal], bought: list[Decimal], sold: list[Decimal], step: Decimal) -> list[Decimal]:
    """Before fees."""
    gross = list(map(mul, amounts, map(sub, sold, bought)))
    return gross if _short(step, bought, sold) else list(map(storable, gross))


def _short(step: Decimal, bought: list[Decimal], sold: list[Decimal]) -> bool:
    """Whether whole steps at any of these prices are `storable` as they are: a sum has the most decimals of its terms.

    One of all digits that there are may have been rounded.
    """
    total = sum(bought, ZERO) + sum(sold, ZERO)
    digits = total.adjusted() - exponent(total) + 1
    return digits < getcontext().prec and exponent(total) + exponent(step) >= exponent(FINEST)


def _reasons(stays: Stays, ended: int) -> list[Code]:
    reasons = [Code.SIGNAL_SELL] * ended
    for at, touch in stays.touches.items():
        reasons[at] = touch.code
    return reasons


def _with_open(entry: int, price: Decimal, before: Outcome, purse: _Purse, candles: Candles, terms: Terms) -> Outcome:
    position = before.position
    amount = purse.amount(terms.capital + position.cash, price)
    fee = fee_of(amount * price, terms.fee)
    held = replace(
        position,
        amount=amount,
        entry_price=price,
        fees=position.fees + fee,
        open_fees=fee,
        cash=position.cash - amount * price - fee,
        opened_at=from_ms(int(candles.opened_at[entry])),
    )
    return replace(before, open=OpenTrade(entry - 1, entry, price, amount, fee), position=held)


def _amount(cash: Decimal, price: Decimal, cheapest: Decimal, market: Market) -> Decimal:
    """Raises Refusable unless it can be bought now and sold at any price of these candles."""
    amount = sizing.all_in_amount(cash, price, market)
    if not amount or amount < market.min_amount or amount * cheapest < market.min_notional:
        raise Refusable
    return amount


def _bought(entries: list[int], candles: Candles, terms: Terms) -> list[Decimal]:
    return _filled(candles.open[entries], Side.BUY, terms)


def _sold(stays: Stays, ended: int, candles: Candles, terms: Terms) -> list[Decimal]:
    prices = _filled(candles.open[stays.exits[:ended]], Side.SELL, terms)
    for at, touch in stays.touches.items():
        prices[at] = terms.fill_price(touch.price, Side.SELL)
    return prices


def _filled(prices: Floats, side: Side, terms: Terms) -> list[Decimal]:
    exact = from_floats(prices)
    return [terms.fill_price(price, side) for price in exact] if terms.slippage_bps else exact
