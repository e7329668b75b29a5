"""Every code of the pre-trade checks is carried by a real decision, and by the claim of an order planned before."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal as D
from typing import Any

import pytest

from accounts.audit import CONSOLE
from bots import arming, gates, operations, orders
from bots.core.codes import Code
from bots.models import (
    Arming,
    BotRun,
    Breaker,
    Decision,
    Level,
    Order,
    OrderEvent,
    RunPosition,
    TradingAccount,
)
from bots.orders import Cause, Placed
from bots.reconcile import incidents
from bots.situation import Ambient
from bots.testing import START
from bots.tests.desk import PRICE, Desk, after, buy
from exchanges.core.market import Market
from exchanges.core.orders import Quote
from exchanges.models import ExchangeKey
from exchanges.testing import BTC_USDT

#: The candle that is acted on closes when the test begins.
CANDLE = START - timedelta(minutes=1)


@dataclass
class Facts:
    """What a case changes: the database itself, or what the exchange was asked for."""

    desk: Desk
    ambient: dict[str, Any] = field(default_factory=dict)
    market: Market = BTC_USDT

    def limit(self, **limits: str) -> None:
        operations.set_limits(Level.RUN, self.desk.run.pk, limits, START, CONSOLE)

    def key(self, **facts: Any) -> None:
        ExchangeKey.objects.update(**facts)

    def position(self, **facts: Any) -> None:
        RunPosition.objects.update(**facts)

    def breaker(self, name: str, **facts: Any) -> None:
        open_since = {"state": "open", "tripped_at": START, "since": START, "changed_at": START}
        Breaker.objects.create(level="run", target=self.desk.run.pk, mode="live", name=name, **{**open_since, **facts})

    def other(self, **facts: Any) -> Order:
        """An order of the account that stands beside: resting, of another symbol unless told otherwise."""
        plain: dict[str, Any] = {
            "run": self.desk.run, "account": self.desk.run.account, "symbol": "ETH/USDT", "slot": "other",
            "decision_key": "other", "client_order_id": "other", "purpose": "exit", "side": "sell", "type": "limit",
            "amount": D(1), "price": D(10), "limit_price": D(10), "rests": True, "state": "OPEN",
            "planned_at": START, "expires_at": START, "send_at": START,
        }  # fmt: skip
        return Order.objects.create(**{**plain, **facts})

    def other_run_s(self) -> None:
        """A run of the same account that has just had an order filled."""
        beside = BotRun.objects.get()
        beside.pk, beside.symbol, beside._state.adding = None, "ETH/USDT", True
        beside.save()
        self.other(run=beside, state="FILLED", ended_at=START)

    def here(self, **facts: Any) -> Order:
        account = self.desk.run.account_id
        return self.other(symbol="BTC/USDT", **{"slot": f"{account}:BTC/USDT:grid:3", "limit_price": PRICE, **facts})

    def look(self) -> Ambient:
        plain = {"quote": Quote(BTC_USDT.symbol, PRICE, PRICE, START), "free_quote": D(1000), "exchange_at": START}
        return Ambient(**{**plain, **self.ambient})  # type: ignore[arg-type]

    def place(self, key: str = "candle:1") -> Placed:
        cause = Cause(key, "test", CANDLE)
        return orders.decide_and_place(self.desk.run.pk, 0, cause, buy, self.market, self.look(), START)

    def claim(self, order: Order) -> bool:
        return orders.claim(order, 0, "test", self.market, self.look(), START)


def mismatch(facts: Facts) -> None:
    account = TradingAccount.objects.get()
    incidents.tell(account, "balance_mismatch", "balance:BTC", "0.1 BTC are missing.", {}, START)


def told(**ambient: Any) -> Callable[[Facts], None]:
    return lambda facts: facts.ambient.update(ambient)


CASES: dict[Code, Callable[[Facts], object]] = {
    Code.TRADING_HALTED: lambda facts: gates.switch(Level.PLATFORM, 0, "halt", "drill", START, CONSOLE),
    Code.STATE_REDUCING: lambda facts: gates.switch(Level.RUN, facts.desk.run.pk, "reduce", "drill", START, CONSOLE),
    Code.POSITION_MISMATCH: mismatch,
    Code.RUN_PAUSED: lambda facts: BotRun.objects.update(status="paused"),
    Code.NOT_ARMED: lambda facts: arming.disarm(ExchangeKey.objects.get(), "test", START, CONSOLE),
    Code.ARMING_EXPIRED: lambda facts: Arming.objects.update(expires_at=START),
    Code.PAPER_ONLY: lambda facts: facts.key(permissions=ExchangeKey.Permissions.READ),
    Code.KEY_CAN_WITHDRAW: lambda facts: facts.key(can_withdraw=True),
    Code.KEY_CHECK_STALE: lambda facts: facts.key(last_checked_at=START - timedelta(hours=24, seconds=1)),
    Code.VENUE_BANNED: lambda facts: TradingAccount.objects.update(banned_until=after(1)),
    Code.VENUE_MAINTENANCE: told(maintenance=True),
    Code.CLOCK_SKEW: told(skew=timedelta(seconds=2.1)),
    Code.DATA_STALE: told(stale=True),
    Code.CANDLE_OPEN: told(exchange_at=START - timedelta(seconds=0.5), skew=timedelta(seconds=-0.5)),
    Code.PRICE_BAND: lambda facts: facts.limit(price_band_pct="0.1"),
    Code.MAX_NOTIONAL_ORDER: lambda facts: facts.limit(max_order_notional="100"),
    Code.MAX_EXPOSURE_SYMBOL: lambda facts: facts.limit(max_position_notional="100"),
    Code.MAX_EXPOSURE_ACCOUNT: lambda facts: facts.limit(max_exposure="100"),
    Code.MAX_OPEN_ORDERS: lambda facts: (facts.other(), facts.limit(max_open_orders="1")),
    Code.ORDER_RATE: lambda facts: (
        facts.other(state="FILLED", ended_at=START), facts.limit(max_orders_per_minute="1"),
    ),
    Code.DAILY_LOSS: lambda facts: (
        facts.position(day=START.date(), day_start_equity=D(1100)), facts.limit(max_daily_loss="100"),
    ),
    Code.DRAWDOWN_BREAKER: lambda facts: (facts.position(peak_equity=D(2000)), facts.limit(max_drawdown_pct="50")),
    Code.COOLDOWN: lambda facts: (facts.position(last_loss_at=START), facts.limit(cooldown_seconds="60")),
    Code.LOSS_STREAK: lambda facts: (
        facts.position(last_loss_at=START, loss_streak=2), facts.limit(max_loss_streak="2"),
    ),
    Code.STOP_LOSS_GUARD: lambda facts: (facts.breaker("stop_loss_guard"), facts.limit(stop_loss_guard_count="2")),
    Code.LOW_PROFIT: lambda facts: (facts.breaker("low_profit"), facts.limit(low_profit_pct="2")),
    Code.MIN_NOTIONAL: lambda facts: setattr(facts, "market", replace(BTC_USDT, min_notional=D(5000))),
    Code.PRECISION: lambda facts: setattr(facts, "market", replace(BTC_USDT, max_amount=D("0.00001"))),
    Code.INSUFFICIENT_FREE: told(free_quote=D(20)),
    Code.UNRESOLVED_ORDER: lambda facts: facts.here(rests=False),
    Code.SELF_CROSS: lambda facts: facts.here(),
}  # fmt: skip
#: What the sizing of an entry keeps to already, so that only an order that was planned before can be denied for it.
AT_THE_CLAIM_ALONE = {Code.PRICE_BAND, Code.INSUFFICIENT_FREE, Code.PRECISION}


@pytest.fixture
def facts(desk: Desk) -> Facts:
    return Facts(desk)


@pytest.mark.parametrize("code", CASES.keys() - AT_THE_CLAIM_ALONE)
def test_the_decision_carries_the_code(facts: Facts, code: Code) -> None:
    CASES[code](facts)
    placed = facts.place()
    assert placed.order is None
    assert Decision.objects.get().code == code


@pytest.mark.parametrize("code", CASES)
def test_the_claim_asks_again(facts: Facts, code: Code) -> None:
    order = facts.place().order
    assert order is not None
    CASES[code](facts)
    assert not facts.claim(order)
    assert (order.state, order.reject_code, order.send_at) == ("DENIED", code, None)


def test_the_account_s_rate_counts_the_orders_of_all_its_runs(facts: Facts) -> None:
    order = facts.place().order
    assert order is not None
    facts.other_run_s()
    facts.limit(max_orders_per_minute="1", max_account_orders_per_minute="2")
    assert facts.claim(order)


def test_the_account_s_rate_denies_what_its_other_runs_have_used_up(facts: Facts) -> None:
    facts.other_run_s()
    facts.limit(max_orders_per_minute="1", max_account_orders_per_minute="1")
    placed = facts.place()
    assert placed.decision is not None
    assert placed.decision.code == Code.ORDER_RATE
    assert "of the account" in placed.decision.reason


def test_a_switched_off_platform_denies_both(facts: Facts, settings: Any) -> None:
    order = facts.place().order
    assert order is not None
    settings.LIVE_TRADING = False
    assert not facts.claim(order)
    assert order.reject_code == Code.LIVE_DISABLED
    assert facts.place("candle:2").decision.code == Code.LIVE_DISABLED  # type: ignore[union-attr]


def test_a_key_without_an_ip_limit_is_told_with_each_order_and_stops_none(facts: Facts) -> None:
    facts.key(ip_restricted=False)
    order = facts.place().order
    assert order is not None
    assert facts.claim(order)
    warning = "Warning KEY_NO_IP_LIMIT: The exchange takes this key from any IP address."
    assert Decision.objects.get().reason.endswith(warning)
    assert OrderEvent.objects.get(to_state="SENDING").cause == f"claimed {warning}"


@pytest.mark.parametrize("bound", [True, None])
def test_a_key_of_which_no_more_is_known_is_not_warned_of(facts: Facts, bound: bool | None) -> None:
    facts.key(ip_restricted=bound)
    assert facts.place().order is not None
    assert "Warning" not in Decision.objects.get().reason
