"""Two runs on one account never count the same money twice: alone, in flight, after a stop, and in a race."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, connection, connections, transaction
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from accounts.audit import CONSOLE
from accounts.models import User
from bots import arming, capital, ledger, lifecycle, rounds
from bots.core.order_state import OrderState
from bots.lifecycle import Conflict, Invalid
from bots.models import BotRun, CapitalEntry, CapitalKind, Order, RunPosition, Status, TradingAccount
from bots.testing import MARKET, START, Stage, learn_strategies, make_user, start_run
from bots.tests.test_lifecycle import Funded, make_key
from exchanges import connect, market_data
from exchanges.core.market import Market
from exchanges.core.orders import Balance, FillReport, Side
from exchanges.models import ExchangeKey

SYMBOLS = ("BTC/USDT", "ETH/USDT", "SOL/USDT")


def any_market(exchange: str, symbol: str, at: object) -> Market:
    base, quote = symbol.split("/")
    return replace(MARKET, symbol=symbol, base=base, quote=quote)


@pytest.fixture
def funded(monkeypatch: pytest.MonkeyPatch) -> Funded:
    account = Funded(D(1500))
    monkeypatch.setattr(connect, "open_exchange", lambda key, at, purpose: account)
    monkeypatch.setattr(market_data, "market", any_market)
    return account


@pytest.fixture
def armed(alice: User, stage: Stage, funded: Funded) -> ExchangeKey:
    key = make_key(alice)
    arming.arm(key, "page", START, CONSOLE)
    return key


def start_live(user: User, key: ExchangeKey, symbol: str, amount: int | str) -> BotRun:
    with override_settings(LIVE_TRADING=True):
        return start_run(
            user, exchange="binance", mode="live", exchange_key_id=key.pk, symbol=symbol, capital=D(amount)
        )


def sent_order(run: BotRun, side: Side, amount: str, price: str, state: OrderState = OrderState.SENDING) -> Order:
    return Order.objects.create(
        run=run,
        account_id=run.account_id,
        symbol=run.symbol,
        slot=f"{run.account_id}:{run.symbol}:{side}",
        decision_key=f"test:{side}",
        client_order_id=f"{run.pk}{side}",
        purpose="entry" if side is Side.BUY else "exit",
        side=side.value,
        type="limit",
        amount=D(amount),
        price=D(price),
        state=state.value,
        planned_at=START,
        expires_at=START,
        send_at=START,
    )


def filled(order: Order, trade_id: str = "t1") -> None:
    report = FillReport(
        trade_id=trade_id,
        exchange_order_id="1",
        symbol=order.symbol,
        side=Side(order.side),
        amount=order.amount,
        price=order.price,
        fee=D(0),
        fee_asset="USDT",
        executed_at=START,
    )
    ledger.record_fills(order, [report], START)


def test_a_run_reserves_when_it_starts_and_releases_when_it_stops(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    entry = CapitalEntry.objects.get(run=run)
    assert (entry.kind, entry.amount, entry.quote, entry.account_id) == ("reserve", D(1000), "USDT", run.account_id)
    assert list(capital.holders(run.account, "USDT")) == [run]
    lifecycle.stop(run, "keep", START, CONSOLE)
    assert CapitalEntry.objects.get(run=run, kind=CapitalKind.RELEASE).amount == D(1000)
    assert not capital.holders(run.account, "USDT").exists()


def test_what_a_run_gives_back_is_its_capital_and_the_flows_of_its_fills(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    for index in range(9):
        rounds.whole_round(stage.closes(index))
    run.refresh_from_db()
    lifecycle.stop(run, "keep", stage.closes(9), CONSOLE)
    back = CapitalEntry.objects.get(run=run, kind=CapitalKind.RELEASE).amount
    assert back == D(1000) + run.position.cash == D(1000) + ledger.refold(run).cash
    assert back > D(1000)


def test_releasing_twice_is_releasing_once(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    assert capital.release(run, START) == capital.release(run, START + timedelta(hours=1))
    assert CapitalEntry.objects.filter(run=run, kind=CapitalKind.RELEASE).count() == 1


def test_the_database_keeps_entries_as_they_were_written(alice: User, stage: Stage) -> None:
    run = start_run(alice)
    entry = CapitalEntry.objects.get(run=run)
    for change in (lambda: CapitalEntry.objects.update(amount=1), entry.delete, lambda: capital.reserve(run, START)):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    entry.refresh_from_db()
    assert entry.amount == D(1000)


def test_live_runs_share_what_is_free_and_no_more(alice: User, armed: ExchangeKey) -> None:
    start_live(alice, armed, "BTC/USDT", 1000)
    with pytest.raises(Invalid) as poor:
        start_live(alice, armed, "ETH/USDT", "500.01")
    assert (poor.value.code, "at most 500" in poor.value.detail) == ("insufficient_funds", True)
    second = start_live(alice, armed, "ETH/USDT", 500)
    assert capital.available(second.account, "USDT", D(1500)) == 0
    assert CapitalEntry.objects.count() == BotRun.objects.count() == 2


def test_paper_and_other_currencies_take_nothing_of_a_live_account(
    alice: User, armed: ExchangeKey, funded: Funded
) -> None:
    start_run(alice, exchange="binance", capital=D(9000))
    live = start_live(alice, armed, "BTC/USDT", 1500)
    assert capital.available(live.account, "BTC", D(2)) == 2
    assert capital.available(live.account, "USDT", D(1500)) == 0


def test_what_a_run_bought_is_not_counted_as_its_money(alice: User, armed: ExchangeKey) -> None:
    run = start_live(alice, armed, "BTC/USDT", 1000)
    filled(sent_order(run, Side.BUY, "8", "100"))
    # 700 are left in the account: 200 of them are the run's.
    assert capital.available(run.account, "USDT", D(700)) == 500


def test_a_sell_in_flight_counts_as_money_that_has_come_in(alice: User, armed: ExchangeKey, funded: Funded) -> None:
    run = start_live(alice, armed, "BTC/USDT", 1000)
    filled(sent_order(run, Side.BUY, "8", "100"))
    sent_order(run, Side.SELL, "8", "100")
    funded.free = D(1500)
    # The exchange may have executed the sell already: its 800 are the run's, and a little more for a better price.
    assert capital.available(run.account, "USDT", D(1500)) == D(1500) - 200 - 816
    with pytest.raises(Invalid):
        start_live(alice, armed, "ETH/USDT", 500)


def test_a_run_in_error_keeps_its_money_until_it_is_stopped(alice: User, armed: ExchangeKey) -> None:
    run = start_live(alice, armed, "BTC/USDT", 1500)
    BotRun.objects.filter(pk=run.pk).update(status=Status.ERROR)
    with pytest.raises(Invalid):
        start_live(alice, armed, "ETH/USDT", 100)
    lifecycle.stop(run, "keep", START, CONSOLE)
    assert start_live(alice, armed, "ETH/USDT", 1500)


def test_a_loss_beyond_the_capital_is_nobody_elses(alice: User, armed: ExchangeKey) -> None:
    run = start_live(alice, armed, "BTC/USDT", 1000)
    RunPosition.objects.filter(run=run).update(cash=D(-1001))
    assert capital.available(run.account, "USDT", D(499)) == 499


def test_a_balance_that_a_fill_has_overtaken_is_asked_for_again(
    alice: User, armed: ExchangeKey, funded: Funded, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_live(alice, armed, "BTC/USDT", 1000)
    order = sent_order(run, Side.BUY, "10", "100")

    class Overtaken(Funded):
        asked = 0

        def fetch_balances(self) -> dict[str, Balance]:
            self.asked += 1
            if self.asked == 1:
                filled(order)
                return {"USDT": Balance(D(1500), D(0))}
            return {"USDT": Balance(D(500), D(0))}

    exchange = Overtaken(D(0))
    monkeypatch.setattr(connect, "open_exchange", lambda key, at, purpose: exchange)
    with pytest.raises(Invalid) as poor:
        start_live(alice, armed, "ETH/USDT", 1000)
    assert (poor.value.code, exchange.asked) == ("insufficient_funds", 2)
    assert start_live(alice, armed, "ETH/USDT", 500)


def test_an_account_that_never_stands_still_starts_nothing(
    alice: User, armed: ExchangeKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = start_live(alice, armed, "BTC/USDT", 1000)

    class Restless(Funded):
        asked = 0

        def fetch_balances(self) -> dict[str, Balance]:
            self.asked += 1
            order = sent_order(run, Side.BUY, "1", "100")
            filled(order, f"t{self.asked}")
            Order.objects.filter(pk=order.pk).update(
                state=OrderState.FILLED, decision_key=f"d{self.asked}", client_order_id=f"c{self.asked}"
            )
            return super().fetch_balances()

    exchange = Restless(D(1500))
    monkeypatch.setattr(connect, "open_exchange", lambda key, at, purpose: exchange)
    with pytest.raises(Conflict) as busy:
        start_live(alice, armed, "ETH/USDT", 100)
    assert (busy.value.code, exchange.asked, BotRun.objects.count()) == ("account_busy", lifecycle.LOOKS, 1)


@given(
    capitals=st.lists(st.decimals(1, 5000, places=2), max_size=6),
    cash=st.lists(st.decimals(-5000, 5000, places=2), min_size=6, max_size=6),
    free=st.decimals(0, 10**4, places=2),
)
def test_what_is_available_and_what_is_owned_never_exceed_what_is_free(
    capitals: list[D], cash: list[D], free: D
) -> None:
    runs = [BotRun(capital=given, position=RunPosition(cash=flow)) for given, flow in zip(capitals, cash, strict=False)]
    owned = [capital.owned(run) for run in runs]
    assert all(one >= 0 for one in owned)
    assert sum(owned) + (free - sum(owned)) == free


# --- races: real threads, real connections, the balances read by all before anybody writes -----------


def race(starters: list[Callable[[], Any]], monkeypatch: pytest.MonkeyPatch, free: D) -> list[Any]:
    together = Barrier(len(starters))

    class Shared(Funded):
        def fetch_balances(self) -> dict[str, Balance]:
            together.wait(20)
            return super().fetch_balances()

    monkeypatch.setattr(connect, "open_exchange", lambda key, at, purpose: Shared(free))
    monkeypatch.setattr(market_data, "market", any_market)

    def outcome(starter: Callable[[], Any]) -> Any:
        try:
            return starter()
        except Invalid as refused:
            return refused.code
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(starters)) as pool, override_settings(LIVE_TRADING=True):
        return list(pool.map(outcome, starters))


def racing_starts(stage: Stage, monkeypatch: pytest.MonkeyPatch, *, first: bool) -> None:
    """Three starters of 1,000 each on 1,500: exactly one gets its money, also where the account is not there yet."""
    learn_strategies()
    user = make_user()
    key = make_key(user)
    arming.arm(key, "page", START, CONSOLE)
    if not first:
        TradingAccount.objects.create(owner=user, mode="live", exchange="binance", key=key)

    def starter(symbol: str) -> Callable[[], Any]:
        return lambda: start_run(user, exchange="binance", mode="live", exchange_key_id=key.pk, symbol=symbol).pk

    outcomes = race([starter(symbol) for symbol in SYMBOLS], monkeypatch, D(1500))
    assert sorted(map(str, outcomes)).count("insufficient_funds") == 2
    account = TradingAccount.objects.get(key=key)
    assert CapitalEntry.objects.filter(account=account).count() == BotRun.objects.count() == 1
    assert capital.available(account, "USDT", D(1500)) == 500


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.django_db(transaction=True)
def test_starts_that_race_for_the_same_money_are_told_apart(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    racing_starts(stage, monkeypatch, first=first)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_starts_that_race_on_postgresql_are_told_apart(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, first: bool
) -> None:
    assert connection.vendor == "postgresql"
    racing_starts(stage, monkeypatch, first=first)


@pytest.mark.django_db(transaction=True)
def test_a_start_that_meets_a_stop_counts_the_money_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    learn_strategies()
    user = make_user()
    key = make_key(user)
    arming.arm(key, "page", START, CONSOLE)
    monkeypatch.setattr(connect, "open_exchange", lambda key, at, purpose: Funded(D(1000)))
    monkeypatch.setattr(market_data, "market", any_market)
    first = start_live(user, key, "BTC/USDT", 1000)

    def start() -> int:
        return start_run(user, exchange="binance", mode="live", exchange_key_id=key.pk, symbol="ETH/USDT").pk

    def stop() -> str:
        connect.open_exchange(key, at=START, purpose="wait for the other").fetch_balances()
        return lifecycle.stop(first, "keep", START, CONSOLE).status

    started, stopped = race([start, stop], monkeypatch, D(1000))
    assert stopped == Status.STOPPED
    held = list(capital.holders(first.account, "USDT"))
    assert started == "insufficient_funds" or [run.pk for run in held] == [started]
