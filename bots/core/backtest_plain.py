"""The short way through a backtest in which no rule can say no: only the candles where something happens."""

from bisect import bisect_left
from decimal import Decimal
from typing import Final

import numpy as np

from bots.core import sizing
from bots.core.backtest_terms import OpenTrade, Outcome, Terms, Trade, worst_sell_price
from bots.core.backtest_touch import Guard, Touch, protects
from bots.core.codes import Code
from bots.core.position import Position
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimals import ZERO, from_float, storable
from exchanges.core.fees import fee_of
from exchanges.core.orders import Side
from strategies.core.signals import Flags, Signals

#: Limits that never deny a single all-in position: they close it, or move a limit price.
HARMLESS: Final = frozenset({"stop_loss_pct", "take_profit_pct", "trailing_stop_pct", "price_band_pct"})


class Refusable(Exception):
    """A rule of the market could refuse an order here: the long way must judge it."""


def is_plain(terms: Terms) -> bool:
    return not terms.limits.as_json().keys() - HARMLESS


def fillable(flags: Flags, ready: Flags) -> list[int]:
    """The closed candles that have a next one to be filled on."""
    indices: list[int] = np.flatnonzero(flags[:-1] & ready[:-1]).tolist()
    return indices


def walk(candles: Candles, signals: Signals, terms: Terms) -> Outcome:
    """Raises Refusable where an order might be refused; the result is `judged.walk`'s to the last digit."""
    account = _Account(candles, terms)
    entries, exits = fillable(signals.entry, signals.ready), fillable(signals.exit, signals.ready)
    guarded, count = protects(terms.limits), len(candles)
    at = past = 0
    free_from = 0
    while (at := bisect_left(entries, free_from, at)) < len(entries):
        signal = entries[at]
        account.buy(signal)
        past = bisect_left(exits, signal + 1, past)
        sold = exits[past] + 1 if past < len(exits) else count
        touch = Guard(signal + 1, account.price, terms).until(sold, candles) if guarded else None
        if touch is not None:
            account.sell_on_touch(touch)
            free_from = touch.candle
        elif sold < count:
            account.sell_on_signal(sold)
            free_from = sold
        else:
            return account.outcome(holding=True)
    return account.outcome(holding=False)


class _Account:
    """One all-in position at a time, in the words of `bots.core.position` without its generality."""

    __slots__ = (
        "amount",
        "candles",
        "entry",
        "entry_fee",
        "fees",
        "floor",
        "flow",
        "price",
        "realized",
        "terms",
        "trades",
    )  # fmt: skip

    def __init__(self, candles: Candles, terms: Terms) -> None:
        self.candles, self.terms = candles, terms
        self.trades: list[Trade] = []
        self.flow = self.fees = self.realized = ZERO
        self.amount = self.price = self.entry_fee = ZERO
        self.entry = 0
        self.floor = worst_sell_price(from_float(candles.low.min()), terms)

    def buy(self, signal: int) -> None:
        terms, market = self.terms, self.terms.market
        self.entry = signal + 1
        self.price = terms.fill_price(from_float(self.candles.open[self.entry]), Side.BUY)
        self.amount = sizing.all_in_amount(terms.capital + self.flow, self.price, market)
        if not self.amount or self.amount < market.min_amount or self.amount * self.floor < market.min_notional:
            raise Refusable
        notional = self.amount * self.price
        self.entry_fee = fee_of(notional, market.taker_fee)
        self.fees += self.entry_fee
        self.flow = self.flow - notional - self.entry_fee

    def sell_on_signal(self, index: int) -> None:
        self._sell(index, from_float(self.candles.open[index]), index - 1, Code.SIGNAL_SELL)

    def sell_on_touch(self, touch: Touch) -> None:
        self._sell(touch.candle, touch.price, None, touch.code)

    def _sell(self, index: int, price: Decimal, signal: int | None, reason: Code) -> None:
        price = self.terms.fill_price(price, Side.SELL)
        notional = self.amount * price
        fee = fee_of(notional, self.terms.market.taker_fee)
        gross = storable(self.amount * (price - self.price))
        self.flow = self.flow + notional - fee
        self.fees += fee
        self.realized += gross
        self.trades.append(
            Trade(
                self.entry - 1, self.entry, signal, index, self.price, price, self.amount,
                self.entry_fee, self.entry_fee + fee, gross - self.entry_fee - fee, reason,
            )
        )  # fmt: skip

    def outcome(self, *, holding: bool) -> Outcome:
        if not holding:
            position = Position(realized=self.realized, fees=self.fees, cash=self.flow)
            return Outcome(self.trades, None, position, [])
        position = Position(
            self.amount, self.price, self.realized, self.fees, self.entry_fee, self.flow,
            opened_at=from_ms(int(self.candles.opened_at[self.entry])),
        )  # fmt: skip
        kept = OpenTrade(self.entry - 1, self.entry, self.price, self.amount, self.entry_fee)
        return Outcome(self.trades, kept, position, [])
