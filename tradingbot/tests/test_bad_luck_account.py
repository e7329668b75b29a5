"""What can go wrong with the exchange as a whole: limits, bans, maintenance, silence, nonsense, and late truths."""

import time
from datetime import timedelta
from decimal import Decimal

import pytest

from accounts.audit import CONSOLE
from bots import acting, connect, orders, reconcile
from bots.models import BotRun, Decision, Incident, Order, TradingGate
from exchanges import operations as keys
from exchanges.adapters.ccxt_clients import forget_clients
from exchanges.adapters.ccxt_exchange import CcxtExchange
from exchanges.core.orders import OrderRequest, OrderType, Side
from exchanges.tests.loopback import API_KEY, API_SECRET, Fault, Kind
from exchanges.tests.loopback.faults import http_error, maintenance, too_many
from tradingbot.tests.journey.console import done, iso
from tradingbot.tests.journey.desk import (
    AFTER,
    ENTRY,
    EXIT,
    Desk,
)

pytestmark = pytest.mark.django_db
POST = "POST /api/v3/order"


@pytest.mark.parametrize("banned", [False, True])
def test_no_request_leaves_while_the_exchange_wants_none(desk: Desk, banned: bool) -> None:
    desk.tick(0, 1)
    desk.exchange.faults.add(too_many(POST, retry_after=90, banned=banned))
    desk.tick(ENTRY)
    before = len(desk.exchange.requests())

    desk.wait(80, step=20)

    assert len(desk.exchange.requests()) == before
    assert desk.states() == ["REJECTED"]
    assert "VENUE_BANNED" in desk.story()
    desk.check()
    desk.wait(40, step=20)
    assert len(desk.exchange.requests()) > before
    desk.check()


def test_two_hours_of_maintenance_change_nothing_but_the_journal(desk: Desk) -> None:
    desk.through(0, ENTRY + 1)
    desk.exchange.faults.add(maintenance())
    began = desk.exchange.clock.now
    desk.wait(7200, step=450)
    assert desk.sides() == ["BUY"]
    assert BotRun.objects.get(pk=desk.run.pk).status == "running"
    assert "VENUE_MAINTENANCE" in desk.story()
    assert Decision.objects.filter(code="VENUE_MAINTENANCE").count() <= 17

    desk.exchange.faults.clear()
    desk.tick_at(began + timedelta(hours=2, seconds=30))

    # The exit that was missed on the way is made up for; the run goes on.
    assert desk.sides() == ["BUY", "SELL"]
    desk.check()


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("GET /api/v3/klines", Kind.DROP_AFTER),
        ("GET /api/v3/klines", Kind.EMPTY),
        ("GET /api/v3/klines", Kind.MALFORMED),
        ("GET /api/v3/ticker", Kind.TRUNCATE),
        ("GET /api/v3/account", Kind.EMPTY),
        ("GET /api/v3/account", Kind.MALFORMED),
        ("GET /api/v3/time", Kind.DROP_BEFORE),
    ],
)
def test_nonsense_during_a_tick_is_told_and_caught_up_with(desk: Desk, path: str, fault: Kind) -> None:
    desk.tick(0, 1)
    desk.exchange.faults.add(Fault(fault, path, times=2))

    report = desk.tick(ENTRY)[0]

    assert report["faults"]
    assert (desk.sent(), desk.states()) == ([], [])
    assert "No order was sent" in desk.story()
    desk.exchange.faults.clear()
    desk.wait(10)
    assert desk.sides() == ["BUY"]
    desk.check()


def test_an_exchange_that_does_not_listen_is_waited_for(desk: Desk) -> None:
    desk.tick(0, 1)
    desk.exchange.stop_listening()
    # Connections that are kept alive would still be served.
    forget_clients()

    report = desk.tick(ENTRY)[0]

    assert report["faults"]
    run = BotRun.objects.get(pk=desk.run.pk)
    assert (run.status, run.orders.count()) == ("running", 0)
    assert "No order was sent" in run.status_reason


@pytest.mark.slow
def test_a_dripping_answer_ends_with_the_deadline_and_is_looked_up(desk: Desk) -> None:
    desk.tick(0, 1)
    desk.exchange.faults.add(Fault(Kind.DRIP, POST, seconds=0.5))
    started = time.monotonic()

    desk.tick(ENTRY)

    assert time.monotonic() - started < 14
    desk.settle()
    assert desk.states() == ["FILLED"]
    assert "no certain answer" in desk.story()
    desk.check()


def test_a_clock_that_is_three_seconds_off_makes_no_entry(desk: Desk) -> None:
    desk.tick(0, 1)
    desk.exchange.clock.set(desk.closes(ENTRY) + AFTER + timedelta(seconds=3))
    done("bot_tick", "--at", iso(desk.closes(ENTRY) + AFTER))

    assert desk.sent() == []
    assert "CLOCK_SKEW" in desk.story()
    assert BotRun.objects.get(pk=desk.run.pk).status == "running"


def test_an_order_that_comes_after_its_absence_was_proved_halts_the_account(desk: Desk) -> None:
    desk.tick(0, 1)
    desk.exchange.faults.add(Fault(Kind.LATE, POST, seconds=40))
    desk.tick(ENTRY)
    desk.settle(most=35)
    assert desk.states() == ["NOT_PLACED"]

    desk.wait(30)

    assert desk.booked() == desk.executed() != []
    assert set(Incident.objects.values_list("kind", flat=True)) == {"late_order", "late_fill"}
    assert TradingGate.objects.filter(state="HALTED").exists()
    assert len(desk.sent()) == 1
    run = BotRun.objects.get(pk=desk.run.pk)
    assert (run.status, run.held) == ("running", sum(desk.exchange.balances()["BTC"]))


def resting(desk: Desk) -> tuple[Order, CcxtExchange]:
    """The entry of the script as a limit order that rests in the exchange's book, under its price."""
    desk.through(0, ENTRY - 1)
    desk.exchange.faults.add(http_error(POST, 503))
    desk.tick(ENTRY)
    order = Order.objects.get()
    exchange = connect.open_account(order.account, desk.exchange.clock.now)
    at = desk.exchange.clock.now
    request = OrderRequest(
        order.client_order_id, order.symbol, Side.BUY, OrderType.LIMIT, order.amount, at, limit_price=Decimal(49_000)
    )
    exchange.create_order(request)
    reconcile.settle(order, exchange, "test", at)
    order.refresh_from_db()
    assert order.state == "OPEN"
    return order, exchange


def test_fills_after_a_cancel_are_booked_and_told(desk: Desk) -> None:
    order, exchange = resting(desk)
    at = desk.exchange.clock.now
    desk.exchange.faults.add(Fault(Kind.FILL_AFTER_CANCEL, "DELETE /api/v3/order", seconds=8, fraction="0.5"))
    orders.cancel(order, exchange, "test", acting.worker_name(), at)
    reconcile.settle(order, exchange, acting.worker_name(), at)
    order.refresh_from_db()
    assert order.state == "CANCELED"

    desk.wait(20)

    order.refresh_from_db()
    assert 0 < order.filled < order.amount
    assert desk.booked() == desk.executed() != []
    assert Incident.objects.get().kind == "late_fill"


@pytest.mark.parametrize("fault", [Kind.DROP_AFTER, Kind.DROP_BEFORE, Kind.EMPTY])
def test_a_cancel_without_an_answer_is_found_out(desk: Desk, fault: Kind) -> None:
    order, exchange = resting(desk)
    at = desk.exchange.clock.now
    desk.exchange.faults.add(Fault(fault, "DELETE /api/v3/order"))

    orders.cancel(order, exchange, "test", acting.worker_name(), at)
    desk.wait(15)

    order.refresh_from_db()
    assert order.state in ("CANCELED", "OPEN")
    assert (order.state == "CANCELED") == (desk.exchange.orders()[0]["status"] == "CANCELED")
    assert desk.executed() == []


def test_a_cancel_that_crosses_a_fill_ends_filled(desk: Desk) -> None:
    order, exchange = resting(desk)
    desk.exchange.set_price("BTC/USDT", "48900")
    desk.exchange.clock.advance(1)
    desk.exchange.sweep()

    orders.cancel(order, exchange, "test", acting.worker_name(), desk.exchange.clock.now)
    desk.wait(5)

    order.refresh_from_db()
    assert order.state == "FILLED"
    assert desk.booked() == desk.executed() != []


def test_somebody_trading_by_hand_is_noticed_and_nothing_is_repaired(desk: Desk) -> None:
    desk.through(0, ENTRY)
    desk.wait(5)
    with desk.exchange.books.transaction():
        desk.exchange.books.move(desk.exchange.account, "BTC", Decimal("-0.005"))
    sent = desk.sent()

    desk.wait(15)

    assert desk.sent() == sent
    assert Incident.objects.get().kind == "balance_mismatch"
    assert TradingGate.objects.filter(state="REDUCING").exists()
    assert BotRun.objects.get(pk=desk.run.pk).status == "running"


def test_a_live_key_is_asked_again_before_its_answer_is_too_old(desk: Desk) -> None:
    key = desk.run.key
    desk.tick_at(desk.closes(0) + timedelta(hours=13))
    key.refresh_from_db()
    assert key.last_checked_at == desk.closes(0) + timedelta(hours=13)
    asked = desk.exchange.requests("GET", "/sapi/v1/account/apiRestrictions")
    desk.tick_at(desk.closes(1) + timedelta(hours=13))
    assert len(desk.exchange.requests("GET", "/sapi/v1/account/apiRestrictions")) == len(asked) == 2


def test_a_key_that_learned_to_withdraw_makes_no_more_entries(desk: Desk) -> None:
    desk.tick(0)
    desk.exchange.open_account(API_KEY, API_SECRET, enableWithdrawals=True)
    keys.check_key(desk.run.key, desk.exchange.clock.now, CONSOLE)
    desk.tick(1, ENTRY)
    assert desk.sent() == []
    assert "KEY_CAN_WITHDRAW" in desk.story()


def test_a_restored_backup_adopts_the_orders_that_it_does_not_know(desk: Desk) -> None:
    desk.through(0, ENTRY - 1)
    exchange = connect.open_account(desk.run.account, desk.exchange.clock.now)
    lost = OrderRequest(
        orders.new_client_order_id(), "BTC/USDT", Side.BUY, OrderType.MARKET, Decimal("0.01"), desk.exchange.clock.now
    )
    exchange.create_order(lost)

    desk.wait(10)

    adopted = Order.objects.get()
    assert (adopted.client_order_id, adopted.state, adopted.filled) == (lost.client_order_id, "FILLED", Decimal("0.01"))
    assert desk.booked() == desk.executed()
    assert Incident.objects.filter(kind="orphan").count() == 1
    assert TradingGate.objects.filter(state="HALTED").exists()
    desk.through(ENTRY, EXIT)
    assert len(desk.sent()) == 1
