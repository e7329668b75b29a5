"""What the rest of the product asks about markets: rules, quotes and closed candles, by the exchange's name."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings

from exchanges import connect
from exchanges.adapters import candle_cache
from exchanges.core import demo
from exchanges.core.candles import Candles, timeframe_ms, to_ms
from exchanges.core.errors import UnknownSymbol
from exchanges.core.market import Market
from exchanges.core.orders import Quote

RULES_ARE_GOOD_FOR: Final = timedelta(minutes=15)
GRACE_MS: Final = 30_000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Listing:
    at: datetime
    markets: Mapping[str, Market]


_listings: dict[tuple[str, str], _Listing] = {}


def markets(exchange: str, at: datetime) -> Mapping[str, Market]:
    """Every market of an exchange by symbol, read at most once in a quarter of an hour per process."""
    key = (exchange, json.dumps(settings.EXCHANGE_OVERRIDES.get(exchange, {}), sort_keys=True, default=str))
    known = _listings.get(key)
    if known is None or abs(at - known.at) > RULES_ARE_GOOD_FOR:
        known = _listings[key] = _Listing(at, connect.open_public(exchange, at).markets())
    return known.markets


def market(exchange: str, symbol: str, at: datetime) -> Market:
    """The rules of one symbol; raises UnknownExchange and UnknownSymbol."""
    found = markets(exchange, at).get(symbol)
    if found is None:
        raise UnknownSymbol(f"{exchange} lists no {symbol!r}.")
    return found


def timeframes(exchange: str) -> Sequence[str]:
    """The timeframes an exchange offers, shortest first; they do not depend on the instant."""
    return connect.open_public(exchange, EPOCH).timeframes()


def quote(exchange: str, symbol: str, at: datetime) -> Quote:
    return connect.open_public(exchange, at).fetch_quote(symbol)


def closed_candles(exchange: str, symbol: str, timeframe: str, count: int, at: datetime) -> Candles:
    """The last ``count`` candles closed at ``at``, never the forming one; fewer only where history is shorter.

    Gaps stay gaps. Raises ExchangeFault when the exchange cannot be asked or answers nonsense.
    """
    if exchange == demo.NAME:
        step = timeframe_ms(timeframe)
        return demo.candles(symbol, timeframe, (to_ms(at) // step - count) * step, count)
    return candle_cache.closed_candles(connect.open_public(exchange, at), symbol, timeframe, count, at)


def stale(candles: Candles, timeframe: str, at: datetime) -> bool:
    """Whether the candle that should have come is late: the last one opened more than 2 timeframes and 30 s ago."""
    if not len(candles):
        return True
    return to_ms(at) - int(candles.opened_at[-1]) > 2 * timeframe_ms(timeframe) + GRACE_MS
