"""A live grid over the wire: lines rest, fill and are offered one line up; whatever happens, no line has two orders."""

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from accounts.audit import CONSOLE
from bots import gates, ledger, lifecycle, orders
from bots.models import BotRun, Decision, Incident, Level, Order
from bots.testing import scripted_candles
from exchanges.tests.loopback import Fault, Kind, LoopbackExchange
from tradingbot.tests.journey.desk import AFTER, DUST, Desk, add_key, open_exchange, start_live, trader

pytestmark = pytest.mark.django_db
#: Lines at 47, 49, 51 and 53 thousand; the price begins between the second and the third.
PARAMS = {"lower": "47000", "upper": "53000", "levels": 4, "spacing": "arithmetic"}
POST = "POST /api/v3/order"
BUYS = {("BUY", 47_000), ("BUY", 49_000)}


@pytest.fixture
def desk(tmp_path: Path, settings: Any) -> Iterator[Desk]:
    settings.LIVE_TRADING = True
    with open_exchange(tmp_path) as exchange:
        exchange.load_candles("BTC/USDT", "1m", scripted_candles([0] * 12, [50_000] * 12))
        owner = trader()
        yield Desk(exchange, start_live(owner, add_key(owner), strategy="grid", params=PARAMS))


def resting(exchange: LoopbackExchange) -> set[tuple[str, int]]:
    """What stands at the exchange; one line never has two orders."""
    rows = [row for row in exchange.orders() if row["status"] in ("NEW", "PARTIALLY_FILLED")]
    found = {(row["side"], int(Decimal(row["price"]))) for row in rows}
    assert len(found) == len(rows)
    return found


def price(desk: Desk, value: int) -> None:
    """It moves, and beat rings for a while."""
    desk.exchange.set_price("BTC/USDT", str(value))
    desk.wait(10)


def stop(desk: Desk, ending: str) -> None:
    lifecycle.stop(BotRun.objects.get(pk=desk.run.pk), ending, desk.exchange.clock.now, CONSOLE)
    desk.wait(30)


def test_lines_rest_fill_are_offered_one_line_up_and_are_bought_again(desk: Desk) -> None:
    desk.tick(0)
    assert resting(desk.exchange) == BUYS
    price(desk, 48_900)
    assert desk.sides() == ["BUY"]
    desk.tick(1)
    assert resting(desk.exchange) == {("BUY", 47_000), ("SELL", 51_000)}
    price(desk, 51_100)
    assert desk.sides() == ["BUY", "SELL"]
    desk.tick(2)
    assert resting(desk.exchange) == {("BUY", 47_000), ("BUY", 49_000), ("BUY", 51_000)}
    run = BotRun.objects.get(pk=desk.run.pk)
    # A round trip from 49,000 to 51,000 with a third of the capital, less both fees.
    assert Decimal("12.5") < run.position.realized - run.position.fees < Decimal("13.7")
    stop(desk, "keep")
    assert resting(desk.exchange) == set()
    desk.check("stopped")


def test_a_stop_with_close_cancels_every_line_and_sells_every_lot(desk: Desk) -> None:
    desk.tick(0)
    price(desk, 46_900)
    desk.tick(1)
    assert resting(desk.exchange) == {("SELL", 49_000), ("SELL", 51_000)}
    stop(desk, "close")
    assert resting(desk.exchange) == set()
    assert sum(desk.exchange.balances()["BTC"]) < DUST
    assert ledger.lots_of(desk.run) == {}
    desk.check("stopped")


def test_a_line_that_is_filled_in_part_waits_for_its_rest_and_then_offers_it_all(desk: Desk) -> None:
    desk.tick(0)
    order = next(row for row in desk.exchange.orders() if row["price"].startswith("49000"))
    part = json.dumps({"order": order["id"], "fraction": "0.4"})
    desk.exchange.books.insert("later", due_ms=desk.exchange.clock.ms + 1000, what="fill", detail=part)
    desk.wait(10)
    desk.tick(1)
    # Its buy still stands: the line is busy, and nothing of it is offered yet.
    assert (resting(desk.exchange), BotRun.objects.get().held > DUST) == (BUYS, True)
    price(desk, 48_900)
    desk.tick(2)
    assert resting(desk.exchange) == {("BUY", 47_000), ("SELL", 51_000)}
    sold = Order.objects.get(side="sell")
    assert sold.amount <= BotRun.objects.get().held < sold.amount + DUST
    stop(desk, "close")
    desk.check("stopped")


def test_a_part_that_the_price_leaves_behind_is_called_back_and_offered(desk: Desk) -> None:
    desk.tick(0)
    order = next(row for row in desk.exchange.orders() if row["price"].startswith("49000"))
    part = json.dumps({"order": order["id"], "fraction": "0.4"})
    desk.exchange.books.insert("later", due_ms=desk.exchange.clock.ms + 1000, what="fill", detail=part)
    price(desk, 51_500)
    desk.tick(1)
    desk.settle(10)
    row = Order.objects.get(client_order_id=order["client_id"])
    assert (row.state, row.filled > 0, desk.sides()[:2]) == ("CANCELED", True, ["BUY", "SELL"])
    stop(desk, "close")
    desk.check("stopped")


class Died(BaseException):
    """Stands for the end of the process."""


def test_a_turn_that_is_cut_short_is_taken_up_and_no_line_gets_two_orders(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted, sent = orders.accepted, list[object]()

    def dies_at_the_second(*given: Any) -> None:
        sent.append(given)
        if len(sent) == 2:
            raise Died
        accepted(*given)

    monkeypatch.setattr(orders, "accepted", dies_at_the_second)
    with pytest.raises(Died):
        desk.tick(0)
    assert (resting(desk.exchange), desk.states()) == (BUYS, ["OPEN", "SENDING"])
    desk.tick_at(desk.closes(0) + AFTER * 5)
    desk.wait(20)
    desk.tick(1)
    assert (resting(desk.exchange), len(desk.sent()), desk.states()) == (BUYS, 2, ["OPEN", "OPEN"])


@pytest.mark.parametrize("kind", [Kind.DROP_AFTER, Kind.DROP_BEFORE, Kind.MALFORMED])
def test_a_lost_answer_leaves_the_other_lines_at_work(desk: Desk, kind: Kind) -> None:
    desk.exchange.faults.add(Fault(kind, POST))
    desk.tick(0)
    assert len(desk.sent()) >= 1
    desk.wait(40)
    desk.tick(1)
    assert resting(desk.exchange) == BUYS
    assert not Incident.objects.exists()
    stop(desk, "keep")
    desk.check("stopped")


def test_a_question_that_is_not_answered_costs_no_candle(desk: Desk) -> None:
    desk.exchange.faults.add(Fault(Kind.DROP_AFTER, "GET /api/v3/account"))
    desk.tick(0)
    assert (resting(desk.exchange), Order.objects.count()) == (set(), 0)
    desk.tick_at(desk.closes(0) + AFTER + timedelta(seconds=5))
    assert resting(desk.exchange) == BUYS


def test_the_kill_switch_calls_the_buys_back_and_leaves_the_sells(desk: Desk) -> None:
    desk.tick(0)
    price(desk, 48_900)
    desk.tick(1)
    gates.switch(Level.PLATFORM, 0, "reduce", "drill", desk.exchange.clock.now, CONSOLE)
    desk.wait(10)
    assert resting(desk.exchange) == {("SELL", 51_000)}
    desk.tick(2)
    assert resting(desk.exchange) == {("SELL", 51_000)}
    gates.switch(Level.PLATFORM, 0, "flatten", "drill", desk.exchange.clock.now, CONSOLE)
    desk.wait(30)
    assert (resting(desk.exchange), sum(desk.exchange.balances()["BTC"]) < DUST) == (set(), True)


def test_resting_lines_are_seen_in_one_list_and_do_not_hide_a_difference(desk: Desk) -> None:
    desk.tick(0)
    desk.wait(20)
    before = len(desk.exchange.requests("GET", "/api/v3/order"))
    desk.wait(20)
    assert len(desk.exchange.requests("GET", "/api/v3/order")) == before
    desk.exchange.deposit("BTC", "0.5")
    for _ in range(3):
        desk.wait(5)
    assert [case.kind for case in Incident.objects.all()] == ["balance_mismatch"]
    assert Decision.objects.filter(code="SIGNAL_BUY").count() == 2
