"""The demo market behind the port's public half."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from exchanges.core import demo
from exchanges.core.candles import TIMEFRAMES, Candles, to_ms
from exchanges.core.market import Market
from exchanges.core.orders import Quote


class DemoExchange:
    """A MarketSource as of ``at``; bid and ask are the same price, so that paper equals a backtest."""

    name = demo.NAME

    def __init__(self, at: datetime) -> None:
        self.at = at

    def markets(self) -> Mapping[str, Market]:
        return demo.MARKETS

    def timeframes(self) -> Sequence[str]:
        return tuple(TIMEFRAMES)

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        return demo.candles_until(symbol, timeframe, to_ms(since), limit, to_ms(self.at))

    def fetch_quote(self, symbol: str) -> Quote:
        price = demo.price_at(symbol, self.at)
        return Quote(symbol=symbol, bid=price, ask=price, at=self.at)

    def fetch_time(self) -> datetime:
        return self.at

    def first_price_after(self, symbol: str, at: datetime) -> tuple[Decimal, datetime]:
        """The market never pauses: the price at ``at`` itself."""
        return demo.price_at(symbol, at), at
