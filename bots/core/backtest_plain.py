"""The short way through a backtest in which no rule can say no: only the candles where something happens."""

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Final, NamedTuple

import numpy as np

from bots.core import sizing
from bots.core.backtest_terms import OpenTrade, Outcome, Terms, Trade, worst_sell_price
from bots.core.backtest_touch import Guard, Touch, protects, suspects
from bots.core.codes import Code
from bots.core.position import Position
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimals import ZERO, from_float, storable
from exchanges.core.fees import fee_of
from exchanges.core.market import Market
from exchanges.core.orders import Side
from strategies.core.signals import Flags, Signals

#: Limits that never deny a single all-in position: they close it, or move a limit price.
HARMLESS: Final = frozenset({"stop_loss_pct", "take_profit_pct", "trailing_stop_pct", "price_band_pct"})


class Refusable(Exception):
    """A rule of the market could refuse an order here: the long way must judge it."""


class Stay(NamedTuple):
    """One time in the market: bought at the open of ``entry``, left at the open of ``exit`` or where it touched."""

    entry: int
    exit: int
    touch: Touch | None


def is_plain(terms: Terms) -> bool:
    return not terms.limits.as_json().keys() - HARMLESS


def walk(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """Raises Refusable where an order might be refused; else `backtest_judged.walk`'s answer to the last digit.

    When to be in the market does not depend on the money, so that is settled first.
    """
    return settle(stays(candles, signals, terms), candles, terms)


def fillable(flags: Flags, ready: Flags) -> list[int]:
    """The closed candles that have a next one to be filled on."""
    indices: list[int] = np.flatnonzero(flags[:-1] & ready[:-1]).tolist()
    return indices


def stays(candles: Candles, signals: Signals, terms: Terms) -> list[Stay]:
    """In order; only the last may end at ``len(candles)``, which means that it has not ended."""
    entries, exits = fillable(signals.entry, signals.ready), fillable(signals.exit, signals.ready)
    ends = [index + 1 for index in exits] + [len(candles)]
    if protects(terms.limits):
        return _guarded(entries, exits, ends, candles, terms)
    found = []
    at = past = free_from = 0
    while (at := bisect_left(entries, free_from, at)) < len(entries):
        entry = entries[at] + 1
        past = bisect_left(exits, entry, past)
        free_from = ends[past]
        found.append(Stay(entry, free_from, None))
    return found


def _guarded(entries: list[int], exits: list[int], ends: list[int], candles: Candles, terms: Terms) -> list[Stay]:
    """With protections: a guard only where the range of a stay's candles says that a level may be touched."""
    sold = [ends[bisect_left(exits, signal + 1)] for signal in entries]
    suspected = suspects([signal + 1 for signal in entries], sold, candles, terms)
    found = []
    at = free_from = 0
    while (at := bisect_left(entries, free_from, at)) < len(entries):
        entry, end = entries[at] + 1, sold[at]
        touch = None
        if suspected[at]:
            price = terms.fill_price(from_float(candles.open[entry]), Side.BUY)
            touch = Guard(entry, price, terms).until(end, candles)
        free_from = end if touch is None else touch.candle
        found.append(Stay(entry, free_from, touch))
    return found


def settle(stays: list[Stay], candles: Candles, terms: Terms) -> Outcome:
    """The money: all in and all out, in the arithmetic of `bots.core.position` without its generality."""
    ended = stays[:-1] if stays and stays[-1].exit == len(candles) else stays
    market, capital, rate = terms.market, terms.capital, terms.fee
    cheapest = worst_sell_price(from_float(candles.low.min()), terms)
    trades: list[Trade] = []
    flow = fees = realized = ZERO
    for stay, price, sold in zip(ended, _bought(ended, candles, terms), _sold(ended, candles, terms), strict=True):
        amount = _amount(capital + flow, price, cheapest, market)
        notional, proceeds = amount * price, amount * sold
        entry_fee, exit_fee = fee_of(notional, rate), fee_of(proceeds, rate)
        flow = flow - notional - entry_fee + proceeds - exit_fee
        gross = storable(amount * (sold - price))
        realized += gross
        fee = entry_fee + exit_fee
        fees += fee
        signal, reason = (stay.exit - 1, Code.SIGNAL_SELL) if stay.touch is None else (None, stay.touch.code)
        trades.append(
            Trade(
                stay.entry - 1, stay.entry, signal, stay.exit, price, sold, amount,
                entry_fee, fee, gross - entry_fee - exit_fee, reason,
            )
        )  # fmt: skip
    position = Position(realized=realized, fees=fees, cash=flow)
    if len(ended) == len(stays):
        return Outcome(trades, None, position, [])
    return _with_open(stays[-1], Outcome(trades, None, position, []), cheapest, candles, terms)


def _with_open(stay: Stay, before: Outcome, cheapest: Decimal, candles: Candles, terms: Terms) -> Outcome:
    position = before.position
    (price,) = _bought([stay], candles, terms)
    amount = _amount(terms.capital + position.cash, price, cheapest, terms.market)
    fee = fee_of(amount * price, terms.fee)
    held = replace(
        position,
        amount=amount,
        entry_price=price,
        fees=position.fees + fee,
        open_fees=fee,
        cash=position.cash - amount * price - fee,
        opened_at=from_ms(int(candles.opened_at[stay.entry])),
    )
    return replace(before, open=OpenTrade(stay.entry - 1, stay.entry, price, amount, fee), position=held)


def _amount(cash: Decimal, price: Decimal, cheapest: Decimal, market: Market) -> Decimal:
    """Raises Refusable unless it can be bought now and sold at any price of these candles."""
    amount = sizing.all_in_amount(cash, price, market)
    if not amount or amount < market.min_amount or amount * cheapest < market.min_notional:
        raise Refusable
    return amount


def _bought(stays: list[Stay], candles: Candles, terms: Terms) -> list[Decimal]:
    return _filled(candles.open[[stay.entry for stay in stays]].tolist(), Side.BUY, terms)


def _sold(stays: list[Stay], candles: Candles, terms: Terms) -> list[Decimal]:
    at_open = _filled(candles.open[[stay.exit for stay in stays]].tolist(), Side.SELL, terms)
    return [
        price if stay.touch is None else terms.fill_price(stay.touch.price, Side.SELL)
        for stay, price in zip(stays, at_open, strict=True)
    ]


def _filled(prices: Iterable[float], side: Side, terms: Terms) -> list[Decimal]:
    exact = [from_float(price) for price in prices]
    return [terms.fill_price(price, side) for price in exact] if terms.slippage_bps else exact
