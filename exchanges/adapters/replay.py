"""Recorded candles behind the port's public half, seen as of an instant."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import numpy as np

from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.decimals import from_float
from exchanges.core.errors import Unavailable, UnknownSymbol, UnknownTimeframe
from exchanges.core.market import Market
from exchanges.core.orders import Quote


class ReplaySource:
    """A MarketSource over one market's recorded candles.

    Of the candle that is forming at ``at`` only the open is known. The quote is the open of the first recorded candle
    that opens at ``at`` or later, even across a gap: the price at which an order decided at ``at`` will fill.
    """

    def __init__(self, name: str, market: Market, candles: Candles, timeframe: str, at: datetime) -> None:
        self.name = name
        self.market = market
        self.candles = candles
        self.timeframe = timeframe
        self.at = at

    def markets(self) -> Mapping[str, Market]:
        return {self.market.symbol: self.market}

    def timeframes(self) -> Sequence[str]:
        return (self.timeframe,)

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        self._require(symbol)
        if timeframe != self.timeframe:
            raise UnknownTimeframe(f"Expected {self.timeframe}, as recorded, was {timeframe!r}.")
        first = int(np.searchsorted(self.candles.opened_at, to_ms(since), side="left"))
        end = int(np.searchsorted(self.candles.opened_at, to_ms(self.at), side="right"))
        seen = self.candles[first : min(end, first + limit)]
        if not len(seen) or int(seen.opened_at[-1]) + timeframe_ms(timeframe) <= to_ms(self.at):
            return seen
        high, low, close, volume = (column.copy() for column in (seen.high, seen.low, seen.close, seen.volume))
        high[-1] = low[-1] = close[-1] = seen.open[-1]
        volume[-1] = 0.0
        return Candles(seen.opened_at, seen.open, high, low, close, volume)

    def fetch_quote(self, symbol: str) -> Quote:
        found = self.first_price_after(symbol, self.at)
        if found is None:
            raise Unavailable(f"The recording of {symbol} ends before {self.at:%Y-%m-%d %H:%M:%S} UTC.")
        return Quote(symbol=symbol, bid=found[0], ask=found[0], at=self.at)

    def first_price_after(self, symbol: str, at: datetime) -> tuple[Decimal, datetime] | None:
        """The first recorded price at or after ``at`` and its instant; None after the recording's last open."""
        self._require(symbol)
        index = int(np.searchsorted(self.candles.opened_at, to_ms(at), side="left"))
        if index == len(self.candles):
            return None
        return from_float(self.candles.open[index]), from_ms(int(self.candles.opened_at[index]))

    def fetch_time(self) -> datetime:
        return self.at

    def _require(self, symbol: str) -> None:
        if symbol != self.market.symbol:
            raise UnknownSymbol(f"{self.name} lists no {symbol!r}; it lists {self.market.symbol}.")
