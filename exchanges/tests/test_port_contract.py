"""What every account behind the port owes its callers, whoever implements it."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from exchanges.adapters.ccxt_exchange import CcxtExchange
from exchanges.adapters.paper import PaperExchange
from exchanges.core.errors import (
    ClockSkew,
    DuplicateOrder,
    InsufficientFunds,
    InvalidRequest,
    OrderNotFound,
    Refused,
    UnknownSymbol,
)
from exchanges.core.orders import OrderRequest, OrderType, ReportStatus, Side
from exchanges.core.port import Exchange
from exchanges.models import SimulatedWallet
from exchanges.testing import FakeBooks, FakeExchange
from exchanges.tests.loopback import API_KEY, API_SECRET
from exchanges.tests.loopback.wiring import in_place_of_binance
from exchanges.vault import Credentials

pytestmark = pytest.mark.django_db

AT = datetime(2024, 2, 1, 10, 0, 1, tzinfo=UTC)
SYMBOL = "BTC/USDT"


@dataclass
class World:
    """An exchange at `AT` with a price of 50000 USDT and an account of 10000 USDT."""

    open: Callable[[], Exchange]
    set_price: Callable[[Decimal], None]


def fake(folder: Path) -> Iterator[World]:
    books = FakeBooks()
    books.deposit("USDT", Decimal(10_000))
    yield World(lambda: FakeExchange(books, AT), lambda price: books.prices.update({SYMBOL: price}))


def ccxt_on_loopback(folder: Path) -> Iterator[World]:
    with in_place_of_binance(folder / "books.sqlite3", AT) as exchange:
        exchange.set_price(SYMBOL, "50000")
        exchange.deposit("USDT", "10000")
        yield World(
            lambda: CcxtExchange("binance", AT, Credentials(API_KEY, API_SECRET)),
            lambda price: exchange.set_price(SYMBOL, price),
        )


def paper(folder: Path) -> Iterator[World]:
    books = FakeBooks()
    wallet = SimulatedWallet.objects.create(exchange="fake", quote="USDT", deposit=Decimal(10_000), created_at=AT)
    yield World(
        lambda: PaperExchange(wallet, FakeExchange(books, AT), AT), lambda price: books.prices.update({SYMBOL: price})
    )


WORLDS = (fake, ccxt_on_loopback, paper)


@pytest.fixture(params=WORLDS, ids=lambda build: build.__name__)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    yield from request.param(tmp_path)


def order(side: Side = Side.BUY, amount: str = "0.1", limit: str | None = None, **changes: object) -> OrderRequest:
    facts = {
        "client_order_id": uuid.uuid4().hex,
        "symbol": SYMBOL,
        "side": side,
        "type": OrderType.MARKET if limit is None else OrderType.LIMIT,
        "amount": Decimal(amount),
        "sent_at": AT,
        "limit_price": None if limit is None else Decimal(limit),
    }
    return OrderRequest(**{**facts, **changes})


def test_market_rules_are_exact_and_complete(world: World):
    market = world.open().markets()[SYMBOL]

    assert (market.amount_step, market.price_tick) == (Decimal("0.00001"), Decimal("0.01"))
    assert market.min_notional == 5
    assert market.fee_in_base
    assert market.max_amount is not None
    assert market.max_amount <= 9000


def test_quote_is_the_current_price(world: World):
    world.set_price(Decimal("48123.45"))

    quote = world.open().fetch_quote(SYMBOL)

    assert (quote.bid, quote.ask) == (Decimal("48123.45"), Decimal("48123.45"))
    assert quote.at == AT


def test_quote_of_unlisted_symbol_names_it(world: World):
    with pytest.raises(UnknownSymbol, match="NOPE/USDT"):
        world.open().fetch_quote("NOPE/USDT")


def test_market_buy_fills_and_takes_its_fee_in_base(world: World):
    bought = order()

    report = world.open().create_order(bought)
    fills = world.open().fetch_fills(SYMBOL, exchange_order_id=report.exchange_order_id)
    balances = world.open().fetch_balances()

    assert (report.status, report.filled, report.client_order_id) == (
        ReportStatus.CLOSED,
        Decimal("0.1"),
        bought.client_order_id,
    )
    assert [(fill.amount, fill.price, fill.fee, fill.fee_asset) for fill in fills] == [
        (Decimal("0.1"), Decimal(50_000), Decimal("0.0001"), "BTC")
    ]
    assert balances["BTC"].free == Decimal("0.0999")
    assert balances["USDT"].free == 5000


def test_market_sell_takes_its_fee_in_quote(world: World):
    world.open().create_order(order())
    sold = world.open().create_order(order(Side.SELL, "0.05"))

    fill = world.open().fetch_fills(SYMBOL, exchange_order_id=sold.exchange_order_id)[0]

    assert (fill.side, fill.fee, fill.fee_asset) == (Side.SELL, Decimal("2.5"), "USDT")
    assert world.open().fetch_balances()["USDT"].total == Decimal("7497.5")


def test_limit_below_the_price_rests_and_locks(world: World):
    resting = order(limit="40000")

    report = world.open().create_order(resting)

    assert report.status is ReportStatus.OPEN
    assert [row.client_order_id for row in world.open().fetch_open_orders(SYMBOL)] == [resting.client_order_id]
    assert world.open().fetch_balances()["USDT"].locked == 4000


def test_marketable_limit_fills_at_the_better_price(world: World):
    report = world.open().create_order(order(limit="51000", immediate=True))

    fills = world.open().fetch_fills(SYMBOL, exchange_order_id=report.exchange_order_id)

    assert [fill.price for fill in fills] == [50_000]
    assert world.open().fetch_balances()["USDT"] == world.open().fetch_balances()["USDT"]
    assert world.open().fetch_balances()["USDT"].locked == 0


def test_immediate_limit_that_cannot_fill_does_not_rest(world: World):
    away = order(limit="40000", immediate=True)
    world.open().create_order(away)

    report = world.open().fetch_order(SYMBOL, away.client_order_id)

    assert report.status.final
    assert report.filled == 0
    assert world.open().fetch_open_orders(SYMBOL) == []
    assert world.open().fetch_balances()["USDT"].free == 10_000


def test_canceled_order_gives_back_what_it_locked(world: World):
    resting = order(limit="40000")
    world.open().create_order(resting)

    world.open().cancel_order(SYMBOL, resting.client_order_id)

    assert world.open().fetch_order(SYMBOL, resting.client_order_id).status is ReportStatus.CANCELED
    assert world.open().fetch_balances()["USDT"].locked == 0


def test_cancel_of_an_unknown_order_is_not_found(world: World):
    with pytest.raises(OrderNotFound):
        world.open().cancel_order(SYMBOL, uuid.uuid4().hex)


def test_cancel_of_a_filled_order_is_not_found(world: World):
    filled = order()
    world.open().create_order(filled)

    with pytest.raises(OrderNotFound):
        world.open().cancel_order(SYMBOL, filled.client_order_id)


def test_lookup_of_an_unknown_id_is_not_found(world: World):
    with pytest.raises(OrderNotFound):
        world.open().fetch_order(SYMBOL, uuid.uuid4().hex)


def test_buy_beyond_the_balance_is_refused_without_effect(world: World):
    costly = order(amount="1")

    with pytest.raises(InsufficientFunds):
        world.open().create_order(costly)

    assert world.open().fetch_recent_orders(SYMBOL, AT - timedelta(hours=1)) == []
    assert world.open().fetch_balances()["USDT"].free == 10_000


@pytest.mark.parametrize(("amount", "limit"), [("0.00005", None), ("0.1", "40000.005"), ("0.00001", "40000")])
def test_order_that_breaks_the_rules_is_refused(world: World, amount: str, limit: str | None):
    with pytest.raises(InvalidRequest):
        world.open().create_order(order(amount=amount, limit=limit))

    assert world.open().fetch_recent_orders(SYMBOL, AT - timedelta(hours=1)) == []


def test_order_of_an_unlisted_symbol_is_refused(world: World):
    with pytest.raises(InvalidRequest):
        world.open().create_order(order(limit="100", symbol="NOPE/USDT"))


def test_order_signed_long_ago_is_refused_for_its_clock(world: World):
    stale = order(sent_at=AT - timedelta(seconds=6))

    with pytest.raises(ClockSkew) as refusal:
        world.open().create_order(stale)

    assert isinstance(refusal.value, Refused)
    assert world.open().fetch_recent_orders(SYMBOL, AT - timedelta(hours=1)) == []


def test_id_used_twice_while_open_is_a_duplicate(world: World):
    resting = order(limit="40000")
    world.open().create_order(resting)

    with pytest.raises(DuplicateOrder) as fault:
        world.open().create_order(resting)

    assert not isinstance(fault.value, Refused)
    assert len(world.open().fetch_open_orders(SYMBOL)) == 1


def test_recent_orders_hold_open_and_ended_ones(world: World):
    filled, resting = order(), order(limit="40000")
    world.open().create_order(filled)
    world.open().create_order(resting)

    recent = world.open().fetch_recent_orders(SYMBOL, AT - timedelta(minutes=1))

    assert {row.client_order_id for row in recent} == {filled.client_order_id, resting.client_order_id}
    assert world.open().fetch_recent_orders(SYMBOL, AT + timedelta(minutes=1)) == []


def test_fills_can_be_asked_for_by_order_and_by_time(world: World):
    first = world.open().create_order(order(amount="0.01"))
    world.open().create_order(order(amount="0.02"))

    assert [fill.amount for fill in world.open().fetch_fills(SYMBOL, since=AT)] == [Decimal("0.01"), Decimal("0.02")]
    assert [fill.amount for fill in world.open().fetch_fills(SYMBOL, exchange_order_id=first.exchange_order_id)] == [
        Decimal("0.01")
    ]
    assert world.open().fetch_fills(SYMBOL, since=AT + timedelta(seconds=1)) == []


def test_key_that_may_only_trade_says_so(world: World):
    permissions = world.open().fetch_permissions()

    assert (permissions.can_trade, permissions.can_withdraw) == (True, False)


def test_time_of_the_exchange_is_aware(world: World):
    assert world.open().fetch_time() == AT
