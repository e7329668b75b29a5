"""The short way through a backtest in which no rule can say no: only the candles where something happens."""

from bisect import bisect_left
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from bots.core import sizing
from bots.core.backtest_terms import OpenTrade, Outcome, Terms, Trade, worst_sell_price
from bots.core.backtest_touch import Guard, Touch, protects, suspects
from bots.core.codes import Code
from bots.core.kernel_stays import Ints, fillable, turns
from bots.core.position import Position
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimals import ZERO, from_float, storable
from exchanges.core.fees import fee_of
from exchanges.core.market import Market
from exchanges.core.orders import Side
from strategies.core.signals import Signals

#: Limits that never deny a single all-in position: they close it, or move a limit price.
HARMLESS: Final = frozenset(
    {"stop_loss_pct", "break_even_pct", "take_profit_pct", "trailing_stop_pct", "price_band_pct", "stop_on_exchange"}
)


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
    """Raises Refusable where an order might be refused; else `backtest_judged.walk`'s answer to the last digit.

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
    """With protections: a guard only where the range of a stay's candles says that a level may be touched."""
    bought = signals + 1
    sold = np.append(exits + 1, len(candles))[np.searchsorted(exits, bought)]
    suspected = suspects(bought, sold, candles, terms)
    entries, entered, ends = signals.tolist(), bought.tolist(), sold.tolist()
    found = Stays([], [], {})
    at = free_from = 0
    while (at := bisect_left(entries, free_from, at)) < len(entries):
        entry, free_from = entered[at], ends[at]
        if suspected[at]:
            price = terms.fill_price(from_float(candles.open[entry]), Side.BUY)
            touch = Guard(entry, price, terms, price).until(free_from, candles)
            if touch is not None:
                free_from = touch.candle
                found.touches[len(found.entries)] = touch
        found.entries.append(entry)
        found.exits.append(free_from)
    return found


def settle(stays: Stays, candles: Candles, terms: Terms) -> Outcome:
    """The money: all in and all out, in the arithmetic of `bots.core.position` without its generality."""
    ended = len(stays.exits) - (stays.exits[-1:] == [len(candles)])
    market, capital, rate = terms.market, terms.capital, terms.fee
    cheapest = worst_sell_price(from_float(candles.low.min()), terms)
    bought, sold = _bought(stays.entries, candles, terms), _sold(stays, ended, candles, terms)
    reasons = _reasons(stays, ended)
    trades: list[Trade] = []
    flow = fees = realized = ZERO
    for entry, left, price, proceeds, reason in zip(stays.entries, stays.exits, bought, sold, reasons, strict=False):
        amount = _amount(capital + flow, price, cheapest, market)
        notional, worth = amount * price, amount * proceeds
        entry_fee, exit_fee = fee_of(notional, rate), fee_of(worth, rate)
        flow = flow - notional - entry_fee + worth - exit_fee
        gross = storable(amount * (proceeds - price))
        realized += gross
        fee = entry_fee + exit_fee
        fees += fee
        signal = left - 1 if reason is Code.SIGNAL_SELL else None
        pnl = gross - entry_fee - exit_fee
        trades.append(Trade(entry - 1, entry, signal, left, price, proceeds, amount, entry_fee, fee, pnl, reason))
    position = Position(realized=realized, fees=fees, cash=flow)
    outcome = Outcome(trades, None, position, [])
    if ended == len(stays.exits):
        return outcome
    return _with_open(stays.entries[-1], bought[-1], outcome, cheapest, candles, terms)


def _reasons(stays: Stays, ended: int) -> list[Code]:
    reasons = [Code.SIGNAL_SELL] * ended
    for at, touch in stays.touches.items():
        reasons[at] = touch.code
    return reasons


def _with_open(
    entry: int, price: Decimal, before: Outcome, cheapest: Decimal, candles: Candles, terms: Terms
) -> Outcome:
    position = before.position
    amount = _amount(terms.capital + position.cash, price, cheapest, terms.market)
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
    return _filled(candles.open[entries].tolist(), Side.BUY, terms)


def _sold(stays: Stays, ended: int, candles: Candles, terms: Terms) -> list[Decimal]:
    prices = _filled(candles.open[stays.exits[:ended]].tolist(), Side.SELL, terms)
    for at, touch in stays.touches.items():
        prices[at] = terms.fill_price(touch.price, Side.SELL)
    return prices


def _filled(prices: list[float], side: Side, terms: Terms) -> list[Decimal]:
    # As `from_float` does it, without a call per price.
    exact = list(map(Decimal, map(repr, prices)))
    return [terms.fill_price(price, side) for price in exact] if terms.slippage_bps else exact
