"""What a backtest is told and what it answers; everything in indices of candles, so that it costs nothing to keep."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from bots.core.codes import Code
from bots.core.limits import Limits
from bots.core.position import Position
from exchanges.core.decimals import ONE, ZERO, plain
from exchanges.core.market import Market
from exchanges.core.orders import Side
from exchanges.core.slippage import BASIS_POINT, slipped

#: Raised whenever the same request could give another answer than before.
ENGINE_VERSION: Final = "2"
#: Of a market's rules, those that shape a backtest's amounts and prices.
MARKET_FACTS: Final = ("amount_step", "price_tick", "min_amount", "max_amount", "min_notional")
#: Where the market's own rules are not known.
UNKNOWN_AMOUNT_STEP: Final = Decimal("1e-8")
#: Finer than any exchange quotes, so that a stop of 5 % under a recorded price is exactly that.
UNKNOWN_PRICE_TICK: Final = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Terms:
    """``capital`` in quote; the market's ``taker_fee`` is the fee of both legs; slippage in hundredths of a percent."""

    capital: Decimal
    market: Market
    limits: Limits = field(default_factory=Limits)
    slippage_bps: Decimal = ZERO

    @property
    def fee(self) -> Decimal:
        return self.market.taker_fee

    def fill_price(self, price: Decimal, side: Side) -> Decimal:
        return slipped(price, side, self.slippage_bps, self.market)


class Trade(NamedTuple):
    """One closed trade. ``signal`` and ``exit_signal`` are closed candles, ``entry`` and ``exit`` those of the fills.

    ``exit_signal`` is None where a protection closed the trade inside the exit candle. ``fee`` is both legs', of which
    ``entry_fee`` is the entry's; ``pnl`` is net of it. A named tuple, since a backtest makes thousands of them.
    """

    signal: int
    entry: int
    exit_signal: int | None
    exit: int
    entry_price: Decimal
    exit_price: Decimal
    amount: Decimal
    entry_fee: Decimal
    fee: Decimal
    pnl: Decimal
    reason: Code


class OpenTrade(NamedTuple):
    """What is held after the last candle; ``fee`` is the entry's."""

    signal: int
    entry: int
    entry_price: Decimal
    amount: Decimal
    fee: Decimal


class LegFill(NamedTuple):
    """One fill of a run that works several orders; ``leg`` names the stake or line: ``dca:3``, ``grid:2``, ``exit``."""

    candle: int
    side: Side
    price: Decimal
    amount: Decimal
    fee: Decimal
    leg: str


class Denied(NamedTuple):
    """An order that our own risk refused, at the candle on which it would have been filled."""

    candle: int
    code: Code


@dataclass(frozen=True, slots=True)
class Outcome:
    """``fills`` are only kept where a trade is not one buy and one sell, as trades alone would not tell them."""

    trades: list[Trade]
    open: OpenTrade | None
    position: Position
    denied: list[Denied]
    fills: list[LegFill] = field(default_factory=list)


def split_symbol(symbol: str) -> tuple[str, str]:
    base, _, quote = symbol.partition("/")
    return base, quote.partition(":")[0] or "QUOTE"


def unknown_market(symbol: str, fee: Decimal) -> Market:
    """Rules for candles of which only the prices are known: the finest steps and no minimum."""
    base, quote = split_symbol(symbol)
    return Market(symbol, base, quote, UNKNOWN_AMOUNT_STEP, UNKNOWN_PRICE_TICK, taker_fee=fee, maker_fee=fee)


def worst_sell_price(lowest: Decimal, terms: Terms) -> Decimal:
    """Under what any sell of these candles can bring, whatever the slippage."""
    return max(lowest * (ONE - terms.slippage_bps * BASIS_POINT) - terms.market.price_tick, ZERO)


def market_facts(market: Market | None) -> dict[str, str | None] | None:
    """The rules that shape amounts and prices, to be kept beside a result; None where they were not known."""
    if market is None:
        return None
    facts = {name: getattr(market, name) for name in MARKET_FACTS}
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in facts.items()}


def market_of(facts: Mapping[str, str | None] | None, symbol: str) -> Market | None:
    if facts is None:
        return None
    base, quote = split_symbol(symbol)
    rules = {name: None if facts[name] is None else Decimal(str(facts[name])) for name in MARKET_FACTS}
    return Market(symbol, base, quote, **rules)  # type: ignore[arg-type]
