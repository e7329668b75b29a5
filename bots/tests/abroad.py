"""A desk whose run has bought on the fake exchange, and whose account is on an exchange over HTTP from there on."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import pytest

import bots.connect
from bots import acting, settling, watch
from bots.models import BotRun, Order, TradingAccount
from bots.orders import Cause
from bots.tests.desk import BTC_USDT, Desk, after, buy
from exchanges import connect
from exchanges.core.candles import to_ms
from exchanges.core.market import Market
from exchanges.core.orders import Balance, OrderType, Quote
from exchanges.models import ExchangeKey
from exchanges.testing import FakeExchange
from exchanges.tests.adapters.stop_venues import QUICK, StopVenue
from exchanges.tests.adapters.venue_server import in_place_of
from exchanges.vault import Credentials

Venue = TypeVar("Venue", bound=StopVenue)


class _Prices:
    """Orders over HTTP; prices, rules and balances of the desk."""

    desk: FakeExchange

    def fetch_quote(self, symbol: str) -> Quote:
        return self.desk.fetch_quote(symbol)

    def fetch_balances(self) -> Mapping[str, Balance]:
        return self.desk.fetch_balances()

    def fetch_time(self) -> datetime:
        return self.desk.fetch_time()

    def markets(self) -> Mapping[str, Market]:
        return self.desk.markets()


@contextmanager
def abroad(desk: Desk, monkeypatch: pytest.MonkeyPatch, name: str, server: Venue) -> Iterator[Venue]:
    """Bought at 50,000; the stop wants to rest at 47,500 and to follow the price."""
    BotRun.objects.update(limits={"stop_loss_pct": "5", "stop_on_exchange": True, "trailing_stop_pct": "5"})
    acting.act(BotRun.objects.select_related("account", "account__key").get(), Cause("candle:1", "test"), buy, after(0))
    for table in (BotRun, TradingAccount, ExchangeKey):
        table.objects.update(exchange=name)
    given = Credentials("the-api-key", "c2VjcmV0c2VjcmV0", "words")

    def opened(account: TradingAccount, at: datetime) -> object:
        exchange = connect.open_unsaved(name, given, at)
        exchange.__class__ = type("Abroad", (_Prices, type(exchange)), {"desk": FakeExchange(desk.books, at)})
        return exchange

    with in_place_of([name], server, **QUICK):
        monkeypatch.setattr(bots.connect, "open_account", opened)
        server.now = to_ms(after(2))
        yield server


def look(at: float) -> None:
    assert not watch.watch_positions(after(at)).faults


def settle(at: float) -> None:
    Order.objects.update(next_settle_at=None)
    settling.settle_all(after(at), "test")


def price(desk: Desk, value: int) -> None:
    desk.books.prices[BTC_USDT.symbol] = Decimal(value)


def stops() -> list[Order]:
    return list(Order.objects.filter(type=OrderType.STOP_LOSS.value).order_by("id"))
