"""A live run of a scripted strategy at the loopback exchange, driven by the operator's commands in simulated time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from accounts.audit import CONSOLE
from accounts.models import User
from bots import arming, lifecycle
from bots.core.order_state import FINAL
from bots.ledger import refold
from bots.models import BotRun, Decision, Fill, Order, OrderEvent
from bots.testing import START, learn_strategies, make_user, scripted_candles
from exchanges import operations as keys
from exchanges.models import ExchangeKey
from exchanges.tests.loopback import API_KEY, API_SECRET, LoopbackExchange
from exchanges.tests.loopback.wiring import in_place_of_binance
from tradingbot.tests.journey.console import done, iso

#: Candle 2 asks for an entry, candle 6 for an exit; the price rises by one with each candle.
SCRIPT = (0, 0, 1, 0, 0, 0, 2, 0, 0, 0)
ENTRY, EXIT = 2, 6
#: A moment after the close, as beat would ring.
AFTER = timedelta(seconds=2)
EMAIL = "alice@example.com"
#: Less than any exchange would let us sell.
DUST = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Desk:
    exchange: LoopbackExchange
    run: BotRun

    def closes(self, index: int) -> datetime:
        return START + timedelta(minutes=index + 1)

    def tick(self, *indices: int) -> list[dict[str, Any]]:
        """One `bot_tick` just after each of these candles closed."""
        return [self.tick_at(self.closes(index) + AFTER) for index in indices]

    def tick_at(self, at: datetime) -> dict[str, Any]:
        self.exchange.clock.set(at)
        report: dict[str, Any] = done("bot_tick", "--at", iso(at))
        return report

    def wait(self, seconds: int, step: int = 5) -> None:
        """Let simulated time pass, as beat would: `orders_reconcile` and `bot_tick` every few seconds."""
        end = self.exchange.clock.now + timedelta(seconds=seconds)
        while self.exchange.clock.now < end:
            self._go_on(step)

    def settle(self, most: int = 50) -> None:
        """The same, until every order has come to its end and nothing is left that should be sold."""
        end = self.exchange.clock.now + timedelta(seconds=most)
        while self.exchange.clock.now < end and (Order.objects.live().exists() or self._exit_wanted()):
            self._go_on(5)

    def _go_on(self, step: int) -> None:
        at = self.exchange.clock.now + timedelta(seconds=step)
        self.exchange.clock.set(at)
        done("orders_reconcile", "--at", iso(at))
        self.tick_at(at)

    def _exit_wanted(self) -> bool:
        last = Decision.objects.filter(run=self.run, code="SIGNAL_SELL").order_by("id").last()
        return last is not None and BotRun.objects.get(pk=self.run.pk).held > DUST

    def through(self, first: int, last: int) -> None:
        self.tick(*range(first, last + 1))

    # --- What came of it ---------------------------------------------------------------------------

    def sent(self) -> list[str]:
        """The client id of every order request that reached the exchange's door."""
        return [row["client_id"] for row in self.exchange.requests("POST", "/api/v3/order")]

    def sides(self) -> list[str]:
        return [row["side"] for row in self.exchange.trades()]

    def states(self) -> list[str]:
        return list(Order.objects.order_by("id").values_list("state", flat=True))

    def story(self) -> str:
        """Everything that the run's journal, its orders' events and its status say."""
        told = [*Decision.objects.values_list("code", "reason"), *OrderEvent.objects.values_list("to_state", "cause")]
        return "\n".join(" ".join(line) for line in told) + BotRun.objects.get(pk=self.run.pk).status_reason

    def check(self, status: str = "running") -> None:
        """At most one order per decision, our ledger is the exchange's, nothing is in doubt, and the run goes on."""
        assert len(set(self.sent())) == len(self.sent()), "an order was sent twice"
        theirs = {row["client_id"]: row for row in self.exchange.orders()}
        assert len(theirs) == len(self.exchange.orders())
        for order in Order.objects.all():
            assert order.state in FINAL, f"{order.state} is no end"
            filled = Decimal(theirs[order.client_order_id]["filled"]) if order.client_order_id in theirs else 0
            assert (order.filled, order.client_order_id) == (filled, order.client_order_id)
        assert set(theirs) <= set(Order.objects.values_list("client_order_id", flat=True))
        assert self.booked() == self.executed()
        run = BotRun.objects.get(pk=self.run.pk)
        assert run.status == status
        assert refold(run).amount == run.held == sum(self.exchange.balances().get("BTC", ()), Decimal(0))

    def booked(self) -> list[tuple[str, Decimal, Decimal, Decimal]]:
        return list(Fill.objects.order_by("executed_at", "id").values_list("trade_id", "amount", "price", "fee"))

    def executed(self) -> list[tuple[str, Decimal, Decimal, Decimal]]:
        rows = sorted(self.exchange.trades(), key=lambda row: (row["at_ms"], row["id"]))
        return [(str(row["id"]), *(Decimal(row[name]) for name in ("amount", "price", "fee"))) for row in rows]


@contextmanager
def open_exchange(folder: Path) -> Iterator[LoopbackExchange]:
    """At the instant at which the scripts start, with money in the account."""
    with in_place_of_binance(folder / "books.sqlite3", START) as exchange:
        exchange.deposit("USDT", "10000")
        yield exchange


def play_script(exchange: LoopbackExchange, script: Sequence[float] = SCRIPT, first_price: float = 50_000) -> None:
    candles = scripted_candles(script, [first_price + index for index in range(len(script))])
    exchange.load_candles("BTC/USDT", "1m", candles)


def trader(email: str = EMAIL) -> User:
    learn_strategies()
    return make_user(email)


def add_key(owner: User, at: datetime = START) -> ExchangeKey:
    """Asked over HTTP what it may do."""
    return keys.add_key(owner, "binance", API_KEY, API_SECRET, at=at, actor=CONSOLE)


def start_live(owner: User, key: ExchangeKey, **wanted: Any) -> BotRun:
    arming.arm(key, "page", START, CONSOLE)
    plain: dict[str, Any] = {
        "strategy": "scripted",
        "symbol": "BTC/USDT",
        "timeframe": "1m",
        "exchange": "binance",
        "mode": "live",
        "capital": Decimal(1000),
        "exchange_key_id": key.pk,
    }
    return lifecycle.start(lifecycle.StartRequest(user=owner, **{**plain, **wanted}), START, CONSOLE)
