"""An exit meets an order of the same account: that one is called back first, and never keeps coins from being sold."""

from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots import acting, retries, tick, watch
from bots.core.codes import Code
from bots.core.order_state import OrderState as S
from bots.models import BotRun, Decision, Order, RunPosition, Status
from bots.orders import Cause
from bots.testing import START, scripted_candles
from bots.tests.desk import PRICE, Desk, after, buy, sell
from exchanges import market_data
from exchanges.core.errors import Maintenance, Unavailable
from exchanges.core.orders import OrderRequest, OrderType, Side
from exchanges.testing import FakeExchange


def loaded(run: BotRun) -> BotRun:
    return BotRun.objects.select_related("account", "account__key", "strategy", "position").get(pk=run.pk)


def other_buy(desk: Desk, limit: D) -> Order:
    """Another run of the account has a buy resting at the exchange."""
    run = BotRun.objects.get(pk=desk.run.pk)
    other = BotRun.objects.create(
        user=run.user, strategy=run.strategy, exchange="binance", symbol="BTC/USDT", timeframe="1m", mode=run.mode,
        key=run.key, account=run.account, base="BTC", quote="USDT", capital=D(1000), created_at=START,
        started_at=START, next_check_at=after(9999), status=Status.STOPPED, stopped_at=START,
    )  # fmt: skip
    RunPosition.objects.create(run=other)
    order = Order.objects.create(
        run=other, account=run.account, symbol="BTC/USDT", slot=f"{run.account_id}:BTC/USDT:grid:1",
        decision_key="other", client_order_id="other", purpose="entry", side="buy", type="limit", amount=D("0.01"),
        price=PRICE, limit_price=limit, rests=True, state="OPEN", exchange_order_id="7", planned_at=START,
        expires_at=START, send_at=START, next_settle_at=after(9999),
    )  # fmt: skip
    request = OrderRequest("other", "BTC/USDT", Side.BUY, OrderType.LIMIT, D("0.01"), START, limit_price=limit)
    report = FakeExchange(desk.books, START).create_order(request)
    Order.objects.filter(pk=order.pk).update(exchange_order_id=report.exchange_order_id)
    return order


@pytest.fixture
def held(desk: Desk) -> Desk:
    """The run holds; the book is a tick over the other run's best price."""
    acting.act(loaded(desk.run), Cause("candle:1", "test"), buy, after(0))
    BotRun.objects.update(lease_epoch=0)
    return desk


def leave(desk: Desk, at: float, key: str = "candle:2") -> acting.Acted:
    return acting.act(loaded(desk.run), Cause(key, "test"), sell, after(at), full_exit=True)


def test_an_exit_calls_back_what_it_could_trade_with_and_sells_in_the_same_turn(held: Desk) -> None:
    met = other_buy(held, PRICE - 1)
    acted = leave(held, 60)
    met.refresh_from_db()
    assert met.state == S.CANCELED
    assert acted.order is not None
    acted.order.refresh_from_db()
    assert (acted.order.state, held.held() < D("0.0001")) == (S.FILLED, True)


def test_a_buy_beyond_the_band_stays_where_it_is(held: Desk) -> None:
    far = other_buy(held, PRICE * D("0.97"))
    assert leave(held, 60).order is not None
    far.refresh_from_db()
    assert far.state == S.OPEN


def test_a_cancel_without_an_answer_keeps_no_coins(held: Desk) -> None:
    met = other_buy(held, PRICE - 1)
    held.books.fail("cancel_order", Unavailable())
    acted = leave(held, 60)
    met.refresh_from_db()
    # It still stands there; its time is over, so that every watch goes on calling it back.
    assert (met.state, met.rest_until) == (S.OPEN, after(60))
    assert acted.order is not None
    assert held.held() < D("0.0001")
    assert watch.watch_positions(after(66)).faults == []
    met.refresh_from_db()
    assert met.state == S.CANCELED


def test_an_exit_that_nobody_cleared_the_way_for_is_told_and_tried_again_at_once(held: Desk) -> None:
    met = other_buy(held, PRICE - 1)
    denied = held.place(sell, 60, "candle:2")
    assert (denied.order, denied.decision and denied.decision.code) == (None, Code.SELF_CROSS)
    run = loaded(held.run)
    assert retries.next_key(run, "candle:2", after(61)) == "candle:2:retry:1"
    assert leave(held, 61, "candle:2:retry:1").order is not None
    met.refresh_from_db()
    assert (met.state, held.held() < D("0.0001")) == (S.CANCELED, True)


def test_an_exit_that_the_claim_denied_for_it_is_tried_again_at_once(held: Desk) -> None:
    order = held.planned(sell, 60, "candle:2")
    other_buy(held, PRICE - 1)
    assert not held.claim(order, 60)
    assert (order.state, order.reject_code) == (S.DENIED, Code.SELF_CROSS)
    assert retries.next_key(loaded(held.run), "candle:2", after(61)) == "candle:2:retry:1"


def test_an_entry_yields_whatever_becomes_of_the_other(desk: Desk) -> None:
    met = other_buy(desk, PRICE - 1)
    Order.objects.filter(pk=met.pk).update(side="sell", limit_price=PRICE, state=S.UNKNOWN)
    denied = desk.place(at=60)
    assert (denied.order, denied.decision and denied.decision.code) == (None, Code.SELF_CROSS)


# --- the candle, at the exchange's clock --------------------------------------------------------------


class Behind(FakeExchange):
    """An exchange whose clock is half a second behind ours."""

    def fetch_time(self):  # type: ignore[no-untyped-def]
        return self.at - timedelta(milliseconds=500)


def test_a_candle_that_still_forms_at_the_exchange_is_waited_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.connect.open_account", lambda account, at: Behind(desk.books, at))
    candles = scripted_candles([1, 0], [float(PRICE)] * 2)
    monkeypatch.setattr(market_data, "closed_candles", lambda *args: candles.closed(args[-1], "1m"))
    BotRun.objects.update(next_check_at=START)
    first = tick.tick_due(after(60))
    waiting = Decision.objects.get()
    assert (waiting.action, waiting.code, first.orders) == ("HOLD", Code.CANDLE_OPEN, [])
    assert BotRun.objects.get().next_check_at == after(62)
    second = tick.tick_due(after(62))
    assert len(second.orders) == 1
    assert Order.objects.get().state == S.FILLED


def test_an_exit_waits_for_no_clock(held: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.connect.open_account", lambda account, at: Behind(held.books, at))
    cause = Cause("candle:2", "test", after(0))
    assert acting.act(loaded(held.run), cause, sell, after(60), full_exit=True).order is not None


def test_an_exchange_in_maintenance_denies_a_further_stake_by_its_name(held: Desk) -> None:
    held.books.fail("fetch_balances", Maintenance())
    acted = acting.act(loaded(held.run), Cause("candle:2", "test"), buy, after(60))
    assert acted.placed is not None
    assert acted.placed.decision is not None
    assert (acted.order, acted.placed.decision.code) == (None, Code.VENUE_MAINTENANCE)
