"""A live run on the fake exchange, and one order's way through it, step by step."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

import bots.connect
from accounts.audit import CONSOLE
from bots import arming, ledger, orders
from bots.core.codes import Code
from bots.core.decision import Decided, entry_intent, exit_intent, judged
from bots.core.intent import Purpose
from bots.core.risk import Situation
from bots.models import BotRun, Mode, Order, OrderEvent, RunPosition, TradingAccount
from bots.orders import Cause, Choose, Placed
from bots.situation import Ambient
from bots.testing import START, learn_strategies, make_user
from exchanges import connect, market_data
from exchanges.core.orders import Quote
from exchanges.models import ExchangeKey
from exchanges.testing import BTC_USDT, FakeBooks, FakeExchange
from strategies.models import Strategy

PRICE = Decimal(50_000)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def buy(now: Situation) -> Decided:
    return judged(entry_intent(now), now, Code.SIGNAL_BUY, "Buy.")


def sell(now: Situation, purpose: Purpose = Purpose.EXIT) -> Decided:
    return judged(exit_intent(now, purpose), now, Code.SIGNAL_SELL, "Sell.")


@dataclass
class Desk:
    """One run with 1,000 USDT at 50,000, and the books of its exchange; `at` is seconds after the start."""

    run: BotRun
    books: FakeBooks = field(default_factory=FakeBooks)

    def exchange(self, at: float = 0) -> FakeExchange:
        return FakeExchange(self.books, after(at))

    def ambient(self, at: float = 0) -> Ambient:
        return Ambient(Quote(BTC_USDT.symbol, PRICE, PRICE, after(at)), Decimal(1000), stale=False)

    def place(self, choose: Choose = buy, at: float = 0, key: str = "candle:1", epoch: int = 0) -> Placed:
        return orders.decide_and_place(
            self.run.pk, epoch, Cause(key, "test"), choose, BTC_USDT, self.ambient(at), after(at)
        )

    def planned(self, choose: Choose = buy, at: float = 0, key: str = "candle:1") -> Order:
        order = self.place(choose, at, key).order
        assert order is not None
        return order

    def claim(self, order: Order, at: float = 0, epoch: int = 0) -> bool:
        return orders.claim(order, epoch, "test", BTC_USDT, self.ambient(at), after(at))

    def send(self, order: Order, at: float = 0) -> bool:
        return orders.carry_out(order, 0, self.exchange(at), BTC_USDT, self.ambient(at), "test", after(at))

    def sent(self, choose: Choose = buy, at: float = 0, key: str = "candle:1") -> Order:
        order = self.planned(choose, at, key)
        assert self.send(order, at)
        order.refresh_from_db()
        return order

    def walk(self, order: Order) -> list[str]:
        return list(OrderEvent.objects.filter(order=order).order_by("sequence").values_list("to_state", flat=True))

    def held(self) -> Decimal:
        return ledger.position_of(RunPosition.objects.get(run=self.run)).amount


@pytest.fixture
def desk(db: None, settings, monkeypatch: pytest.MonkeyPatch) -> Desk:
    settings.LIVE_TRADING = True
    learn_strategies()
    alice = make_user("alice@example.com")
    key = ExchangeKey.objects.create(
        owner=alice, exchange="binance", encrypted_key="x", encrypted_secret="x", created_at=START,
        permissions=ExchangeKey.Permissions.TRADE, can_withdraw=False, last_checked_at=START,
    )  # fmt: skip
    arming.arm(key, "console", START, CONSOLE)
    account = TradingAccount.objects.create(owner=alice, mode=Mode.LIVE, exchange="binance", key=key)
    run = BotRun.objects.create(
        user=alice, strategy=Strategy.objects.get(name="scripted"), exchange="binance", symbol="BTC/USDT",
        timeframe="1m", mode=Mode.LIVE, key=key, account=account, base="BTC", quote="USDT", capital=Decimal(1000),
        created_at=START, started_at=START, next_check_at=START, status="running",
    )  # fmt: skip
    RunPosition.objects.create(run=run)
    prepared = Desk(run)
    prepared.books.deposit("USDT", Decimal(5000))
    monkeypatch.setattr(bots.connect, "open_account", lambda account, at: FakeExchange(prepared.books, at))
    monkeypatch.setattr(connect, "open_public", lambda exchange, at: FakeExchange(prepared.books, at))
    monkeypatch.setattr(market_data, "_listings", {})
    return prepared
