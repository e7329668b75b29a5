"""The simulated exchange keeps the port's contract and its books."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest
from django.db import connection

from exchanges.adapters.demo import DemoExchange
from exchanges.adapters.paper import PaperExchange
from exchanges.adapters.replay import ReplaySource
from exchanges.core import demo
from exchanges.core.candles import Candles, from_ms
from exchanges.core.decimals import ZERO
from exchanges.core.errors import (
    ClockSkew,
    DuplicateOrder,
    InsufficientFunds,
    InvalidRequest,
    NotSent,
    OrderNotFound,
    Unavailable,
)
from exchanges.core.market import Market
from exchanges.core.orders import OrderRequest, OrderType, Quote, ReportStatus, Side
from exchanges.core.simulated import SimulationModel
from exchanges.models import SimulatedBalance, SimulatedFill, SimulatedOrder, SimulatedWallet

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 1, 12, 0, 30, 250_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MARKET = Market(
    "BTC/USDT", "BTC", "USDT", amount_step=Decimal("0.00001"), price_tick=Decimal("0.01"), min_notional=Decimal(5)
)


class Board:
    """A source whose one price the test sets, or takes away."""

    name = "board"

    def __init__(self, price: str | None = "100", market: Market = MARKET) -> None:
        self.price = price
        self.market = market
        self.candles: Candles = Candles.from_rows([])

    def markets(self) -> dict[str, Market]:
        return {self.market.symbol: self.market}

    def timeframes(self) -> list[str]:
        return ["1m", "1s"]

    def fetch_candles(self, symbol: str, timeframe: str, since: datetime, limit: int) -> Candles:
        return self.candles.since(since)[:limit]

    def fetch_quote(self, symbol: str) -> Quote:
        if self.price is None:
            raise Unavailable("The board is dark.")
        return Quote(symbol, Decimal(self.price), Decimal(self.price), AT)

    def fetch_time(self) -> datetime:
        return AT


@pytest.fixture
def wallet() -> SimulatedWallet:
    return SimulatedWallet.objects.create(exchange="board", quote="USDT", deposit=Decimal(1000), created_at=AT)


def request(side: Side = Side.BUY, amount: str = "1", **changes: object) -> OrderRequest:
    plain = OrderRequest(uuid.uuid4().hex, "BTC/USDT", side, OrderType.MARKET, Decimal(amount), AT)
    return replace(plain, **changes)  # type: ignore[arg-type]


def limit(side: Side, amount: str, price: str, **changes: object) -> OrderRequest:
    return request(side, amount, type=OrderType.LIMIT, limit_price=Decimal(price), **changes)


def test_market_buy_fills_at_the_quote_and_moves_both_balances(wallet: SimulatedWallet) -> None:
    paper = PaperExchange(wallet, Board("100"), AT)
    report = paper.create_order(request(amount="2"))
    assert (report.status, report.filled, report.average) == (ReportStatus.CLOSED, Decimal(2), Decimal(100))
    [fill] = paper.fetch_fills("BTC/USDT", exchange_order_id=report.exchange_order_id)
    assert (fill.amount, fill.price, fill.fee, fill.fee_asset) == (Decimal(2), Decimal(100), Decimal("0.2"), "USDT")
    assert fill.executed_at == AT
    balances = paper.fetch_balances()
    assert balances["USDT"].free == Decimal("799.8")
    assert balances["BTC"].free == Decimal(2)
    assert balances["USDT"].locked == ZERO


def test_round_trip_on_the_demo_market_fills_at_the_next_candles_open(wallet: SimulatedWallet) -> None:
    paper = PaperExchange(wallet, DemoExchange(AT), AT)
    bought = paper.create_order(request(amount="0.01"))
    later = AT + 7 * SECOND
    paper = PaperExchange(wallet, DemoExchange(later), later)
    sold = paper.create_order(request(Side.SELL, "0.01", sent_at=later))
    opens = demo.candles("BTC/USDT", "1s", int(AT.timestamp()) * 1000, 8).open
    assert float(bought.average or 0) == opens[0]
    assert float(sold.average or 0) == opens[7]
    fees = sum(fill.fee for fill in paper.fetch_fills("BTC/USDT"))
    expected = Decimal(1000) + Decimal("0.01") * (sold.average - bought.average) - fees  # type: ignore[operator]
    assert paper.fetch_balances()["USDT"].total == expected
    assert paper.fetch_balances()["BTC"].total == ZERO


def test_fee_in_base_leaves_less_than_was_bought(wallet: SimulatedWallet) -> None:
    board = Board("100", replace(MARKET, fee_in_base=True))
    paper = PaperExchange(wallet, board, AT)
    paper.create_order(request(amount="2"))
    assert paper.fetch_balances()["BTC"].free == Decimal("1.998")
    assert paper.fetch_balances()["USDT"].free == Decimal(800)
    with pytest.raises(InsufficientFunds, match=r"Expected 2 BTC, free were 1\.998"):
        paper.create_order(request(Side.SELL, "2"))
    paper.create_order(request(Side.SELL, "1.998"))
    assert paper.fetch_balances()["BTC"].free == ZERO
    assert paper.fetch_balances()["USDT"].free == Decimal("999.6002")


def test_client_id_used_twice_is_a_duplicate_even_after_the_order_ended(wallet: SimulatedWallet) -> None:
    paper = PaperExchange(wallet, Board(), AT)
    order = request()
    paper.create_order(order)
    with pytest.raises(DuplicateOrder):
        paper.create_order(order)
    with pytest.raises(DuplicateOrder):
        paper.create_order(replace(order, side=Side.SELL, amount=Decimal("0.5")))
    assert SimulatedOrder.objects.count() == SimulatedFill.objects.count() == 1


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (request(amount="0.04"), "worth at least 5 USDT, was 4"),
        (request(amount="0.100001"), "steps of 0.00001"),
        (request(amount="0"), "steps of 0.00001, was 0"),
        (request(amount="-1"), "was -1"),
        (limit(Side.BUY, "1", "99.999"), "limit price in steps of 0.01, was 99.999"),
        (limit(Side.BUY, "1", "-1"), "was -1"),
        (request(limit_price=Decimal(100)), "without a limit price"),
        (request(type=OrderType.LIMIT), "with its limit price"),
        (request(immediate=True), "immediate-or-cancel on a limit order"),
        (request(type=OrderType.STOP_LOSS), "stop price for a stop order only"),
        (request(stop_price=Decimal(1)), "stop price for a stop order only"),
        (request(Side.SELL, type=OrderType.STOP_LOSS, stop_price=Decimal(100)), "would trigger at once"),
        (replace(request(), symbol="FOO/BAR"), "lists no 'FOO/BAR'"),
    ],
)
def test_order_against_the_rules_is_refused_without_a_trace(
    wallet: SimulatedWallet, order: OrderRequest, words: str
) -> None:
    with pytest.raises(InvalidRequest, match=words):
        PaperExchange(wallet, Board("100"), AT).create_order(order)
    assert SimulatedOrder.objects.count() == 0
    assert SimulatedBalance.objects.count() == 0


def test_amount_limits_of_the_market_hold(wallet: SimulatedWallet) -> None:
    board = Board("100", replace(MARKET, min_amount=Decimal("0.1"), max_amount=Decimal(5)))
    paper = PaperExchange(wallet, board, AT)
    with pytest.raises(InvalidRequest, match=r"at least 0\.1"):
        paper.create_order(request(amount="0.09"))
    with pytest.raises(InvalidRequest, match="at most 5"):
        paper.create_order(request(amount="5.1"))


def test_order_beyond_the_funds_is_refused(wallet: SimulatedWallet) -> None:
    paper = PaperExchange(wallet, Board("100"), AT)
    with pytest.raises(InsufficientFunds, match="Expected 1001 USDT, free were 1000"):
        paper.create_order(request(amount="10"))
    with pytest.raises(InsufficientFunds, match="Expected 1 BTC, free were 0"):
        paper.create_order(request(Side.SELL))
    assert SimulatedOrder.objects.count() == 0


def test_request_signed_too_long_ago_is_refused(wallet: SimulatedWallet) -> None:
    with pytest.raises(ClockSkew):
        PaperExchange(wallet, Board(), AT).create_order(request(sent_at=AT - timedelta(seconds=6)))
    assert SimulatedOrder.objects.count() == 0


def test_market_order_without_a_price_waits_and_fills_at_the_next_one(wallet: SimulatedWallet) -> None:
    board = Board(None)
    order = request(amount="1")
    assert PaperExchange(wallet, board, AT).create_order(order).status is ReportStatus.OPEN
    board.price = "120"
    later = PaperExchange(wallet, board, AT + SECOND)
    report = later.fetch_order("BTC/USDT", order.client_order_id)
    assert (report.status, report.average) == (ReportStatus.CLOSED, Decimal(120))
    assert later.fetch_fills("BTC/USDT")[0].executed_at == AT + SECOND


def test_market_order_whose_price_ran_away_fills_what_the_funds_pay(wallet: SimulatedWallet) -> None:
    board = Board(None)
    order = request(amount="9")
    PaperExchange(wallet, board, AT).create_order(order)
    board.price = "500"
    later = PaperExchange(wallet, board, AT + SECOND)
    report = later.fetch_order("BTC/USDT", order.client_order_id)
    assert (report.status, report.filled) == (ReportStatus.EXPIRED, Decimal("1.99800"))
    assert later.fetch_balances()["USDT"].total >= 0


def test_immediate_order_fills_within_its_limit_or_expires(wallet: SimulatedWallet) -> None:
    paper = PaperExchange(wallet, Board("100"), AT)
    filled = paper.create_order(limit(Side.BUY, "1", "102", immediate=True))
    missed = paper.create_order(limit(Side.BUY, "1", "99", immediate=True))
    assert (filled.status, filled.average) == (ReportStatus.CLOSED, Decimal(100))
    assert (missed.status, missed.filled, missed.average) == (ReportStatus.EXPIRED, ZERO, None)
    assert paper.fetch_balances()["USDT"].locked == ZERO


def test_resting_limit_locks_funds_until_a_candle_touches_it(wallet: SimulatedWallet) -> None:
    board = Board("100")
    order = limit(Side.BUY, "2", "90")
    paper = PaperExchange(wallet, board, AT)
    assert paper.create_order(order).status is ReportStatus.OPEN
    assert paper.fetch_balances()["USDT"].locked == Decimal("180.18")
    assert [each.client_order_id for each in paper.fetch_open_orders("BTC/USDT")] == [order.client_order_id]
    opened = int((AT + timedelta(seconds=1)).timestamp()) * 1000
    board.candles = Candles.from_rows([[opened, 95, 96, 89, 94, 3]])
    later = PaperExchange(wallet, board, AT + timedelta(seconds=5))
    report = later.fetch_order("BTC/USDT", order.client_order_id)
    assert (report.status, report.average) == (ReportStatus.CLOSED, Decimal(90))
    assert later.fetch_fills("BTC/USDT")[0].executed_at == from_ms(opened)
    assert later.fetch_balances()["USDT"].locked == ZERO
    assert later.fetch_open_orders("BTC/USDT") == []


def test_candle_that_opened_before_the_order_does_not_fill_it(wallet: SimulatedWallet) -> None:
    board = Board("100")
    opened = int(AT.timestamp()) * 1000
    board.candles = Candles.from_rows([[opened, 95, 96, 80, 94, 3]])
    order = limit(Side.BUY, "2", "90")
    PaperExchange(wallet, board, AT).create_order(order)
    later = PaperExchange(wallet, board, AT + timedelta(seconds=5))
    assert later.fetch_order("BTC/USDT", order.client_order_id).status is ReportStatus.OPEN


def test_stop_loss_rests_on_the_exchange_and_sells_when_hit(wallet: SimulatedWallet) -> None:
    board = Board("100")
    paper = PaperExchange(wallet, board, AT)
    paper.create_order(request(amount="2"))
    stop = request(Side.SELL, "2", type=OrderType.STOP_LOSS, stop_price=Decimal(95))
    assert paper.create_order(stop).status is ReportStatus.OPEN
    assert paper.fetch_balances()["BTC"].free == ZERO
    board.price = "94"
    later = PaperExchange(wallet, board, AT + SECOND)
    assert later.fetch_order("BTC/USDT", stop.client_order_id).average == Decimal(94)
    assert later.fetch_balances()["BTC"].total == ZERO


def test_stop_limit_becomes_a_resting_limit(wallet: SimulatedWallet) -> None:
    board = Board("100")
    paper = PaperExchange(wallet, board, AT)
    paper.create_order(request(amount="2"))
    stop = request(Side.SELL, "2", type=OrderType.STOP_LOSS, stop_price=Decimal(95), limit_price=Decimal(96))
    paper.create_order(stop)
    board.price = "94"
    assert PaperExchange(wallet, board, AT + SECOND).fetch_open_orders("BTC/USDT") != []
    assert SimulatedOrder.objects.get(client_order_id=stop.client_order_id).triggered
    board.price = "97"
    report = PaperExchange(wallet, board, AT + 2 * SECOND).fetch_order("BTC/USDT", stop.client_order_id)
    assert (report.status, report.average) == (ReportStatus.CLOSED, Decimal(97))


def test_canceled_order_frees_its_funds_and_cannot_be_canceled_again(wallet: SimulatedWallet) -> None:
    paper = PaperExchange(wallet, Board("100"), AT)
    order = limit(Side.BUY, "2", "90")
    paper.create_order(order)
    paper.cancel_order("BTC/USDT", order.client_order_id)
    assert paper.fetch_order("BTC/USDT", order.client_order_id).status is ReportStatus.CANCELED
    assert paper.fetch_balances()["USDT"].free == Decimal(1000)
    with pytest.raises(OrderNotFound):
        paper.cancel_order("BTC/USDT", order.client_order_id)
    with pytest.raises(OrderNotFound):
        paper.cancel_order("BTC/USDT", "0" * 32)
    with pytest.raises(OrderNotFound):
        paper.fetch_order("BTC/USDT", "0" * 32)


def test_recent_orders_and_fills_are_listed_since_an_instant(wallet: SimulatedWallet) -> None:
    board = Board("100")
    first, second = request(), request(sent_at=AT + SECOND)
    PaperExchange(wallet, board, AT).create_order(first)
    paper = PaperExchange(wallet, board, AT + SECOND)
    paper.create_order(second)
    recent = paper.fetch_recent_orders("BTC/USDT", AT + SECOND)
    assert [each.client_order_id for each in recent] == [second.client_order_id]
    assert len(paper.fetch_recent_orders("BTC/USDT", AT)) == 2
    assert len(paper.fetch_fills("BTC/USDT")) == 2
    assert len(paper.fetch_fills("BTC/USDT", since=AT + SECOND)) == 1
    assert paper.fetch_fills("ETH/USDT") == []


def test_wallets_know_nothing_of_each_other(wallet: SimulatedWallet) -> None:
    other = SimulatedWallet.objects.create(exchange="board", quote="USDT", deposit=Decimal(7), created_at=AT)
    order = request()
    PaperExchange(wallet, Board(), AT).create_order(order)
    stranger = PaperExchange(other, Board(), AT)
    with pytest.raises(OrderNotFound):
        stranger.fetch_order("BTC/USDT", order.client_order_id)
    assert stranger.fetch_balances()["USDT"].total == Decimal(7)
    assert "BTC" not in stranger.fetch_balances()


def test_volume_share_fills_candle_by_candle(wallet: SimulatedWallet) -> None:
    board = Board("100")
    model = SimulationModel(volume_share=Decimal("0.1"))
    order = request(amount="2")
    assert PaperExchange(wallet, board, AT, model).create_order(order).filled == ZERO
    opened = int(AT.timestamp()) * 1000 + 1000
    rows = [[opened + i * 1000, 100 + i, 100 + i, 100 + i, 100 + i, 10] for i in range(3)]
    board.candles = Candles.from_rows(rows)
    partly = PaperExchange(wallet, board, AT + 2 * SECOND, model)
    report = partly.fetch_order("BTC/USDT", order.client_order_id)
    assert (report.status, report.filled) == (ReportStatus.OPEN, Decimal(1))
    assert partly.fetch_order("BTC/USDT", order.client_order_id).filled == Decimal(1)
    wholly = PaperExchange(wallet, board, AT + 4 * SECOND, model)
    report = wholly.fetch_order("BTC/USDT", order.client_order_id)
    assert (report.status, report.filled, report.average) == (ReportStatus.CLOSED, Decimal(2), Decimal("100.5"))


def test_latency_delays_the_match_and_slippage_worsens_it(wallet: SimulatedWallet) -> None:
    model = SimulationModel(slippage_bps=Decimal(10), latency=2 * SECOND, fee=ZERO)
    board = Board("100")
    order = request(amount="1")
    assert PaperExchange(wallet, board, AT, model).create_order(order).status is ReportStatus.OPEN
    later = PaperExchange(wallet, board, AT + 2 * SECOND, model)
    assert later.fetch_order("BTC/USDT", order.client_order_id).average == Decimal("100.1")
    assert later.fetch_fills("BTC/USDT")[0].fee == ZERO


def test_replayed_order_fills_at_the_next_recorded_open_even_across_a_gap(wallet: SimulatedWallet) -> None:
    start = 1_767_225_600_000
    rows = [[start, 10, 12, 9, 11, 1], [start + 60_000, 11, 13, 10, 12, 1], [start + 240_000, 14, 15, 13, 14, 1]]
    recorded = Candles.from_rows(rows)
    market = replace(MARKET, amount_step=Decimal("0.00000001"), min_notional=ZERO)

    def paper(ms: int) -> PaperExchange:
        at = from_ms(ms)
        return PaperExchange(wallet, ReplaySource("recorded", market, recorded, "1m", at), at)

    first = request(sent_at=from_ms(start + 60_000))
    report = paper(start + 60_000).create_order(first)
    assert (report.status, report.average) == (ReportStatus.CLOSED, Decimal(11))
    second = request(Side.SELL, sent_at=from_ms(start + 120_000))
    assert paper(start + 120_000).create_order(second).status is ReportStatus.OPEN
    later = paper(start + 300_000)
    assert later.fetch_order("BTC/USDT", second.client_order_id).average == Decimal(14)
    assert later.fetch_fills("BTC/USDT")[-1].executed_at == from_ms(start + 240_000)


def test_balances_are_the_deposit_and_the_fold_of_fills_to_the_last_digit(wallet: SimulatedWallet) -> None:
    random = np.random.default_rng(7)
    at = AT
    for _ in range(40):
        at += 3 * SECOND
        paper = PaperExchange(wallet, DemoExchange(at), at)
        side = Side.BUY if random.random() < 0.5 else Side.SELL
        try:
            paper.create_order(request(side, str(random.integers(20, 900) / Decimal(100_000)), sent_at=at))
        except InsufficientFunds:
            continue
    quote, base = wallet.deposit, ZERO
    for fill in SimulatedFill.objects.select_related("order"):
        sign = 1 if fill.order.side == Side.BUY else -1
        quote -= sign * fill.amount * fill.price + fill.fee
        base += sign * fill.amount
    assert SimulatedFill.objects.count() > 10
    assert paper.fetch_balances()["USDT"].total == quote
    assert paper.fetch_balances()["BTC"].total == base


def test_rules_that_cannot_be_read_leave_the_order_unsent(wallet: SimulatedWallet) -> None:
    class Closed(Board):
        def markets(self) -> dict[str, Market]:
            raise Unavailable("The board is locked.")

    with pytest.raises(NotSent, match="locked"):
        PaperExchange(wallet, Closed(), AT).create_order(request())
    assert SimulatedOrder.objects.count() == 0


def test_same_price_is_not_met_twice_by_two_readers(wallet: SimulatedWallet) -> None:
    board = Board(None)
    order = request(amount="1")
    PaperExchange(wallet, board, AT).create_order(order)
    board.price = "100"
    first, second = (PaperExchange(wallet, board, AT + SECOND) for _ in range(2))
    stale = list(second.books.open_orders())
    first.advance()
    for row in stale:
        second._match(row)
    assert SimulatedFill.objects.count() == 1
    assert first.fetch_balances()["BTC"].total == Decimal(1)


def test_source_is_passed_through(wallet: SimulatedWallet) -> None:
    paper = PaperExchange(wallet, DemoExchange(AT), AT)
    assert paper.name == "demo"
    assert paper.markets() is demo.MARKETS
    assert "1s" in paper.timeframes()
    assert len(paper.fetch_candles("BTC/USDT", "1s", AT - 5 * SECOND, 3)) == 3
    assert paper.fetch_quote("BTC/USDT").bid == demo.price_at("BTC/USDT", AT)
    assert paper.fetch_time() == AT
    permissions = paper.fetch_permissions()
    assert (permissions.can_read, permissions.can_trade, permissions.can_withdraw) == (True, True, False)


@pytest.mark.django_db(transaction=True)
def test_four_senders_of_one_order_fill_it_once(wallet: SimulatedWallet) -> None:
    order = request(amount="9")

    def send() -> str:
        try:
            return PaperExchange(wallet, Board(), AT).create_order(order).status
        except DuplicateOrder:
            return "duplicate"
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(send) for _ in range(4)]
        outcomes = sorted(answer.result() for answer in answers)
    assert outcomes == ["closed", "duplicate", "duplicate", "duplicate"]
    assert SimulatedFill.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_four_orders_at_once_never_spend_more_than_there_is(wallet: SimulatedWallet) -> None:
    def send(number: int) -> bool:
        try:
            PaperExchange(wallet, Board(), AT).create_order(request(amount="4"))
        except InsufficientFunds:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(4) as pool:
        accepted = sum(pool.map(send, range(4)))
    assert accepted == SimulatedOrder.objects.count() == 2
    assert PaperExchange(wallet, Board(), AT).fetch_balances()["USDT"].free == Decimal("199.2")
