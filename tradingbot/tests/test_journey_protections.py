"""Protections over the wire: each position has its own peak, entry and exit, whatever dust was left before it."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bots.models import BotRun, Decision
from bots.testing import scripted_candles
from exchanges.tests.loopback import LoopbackExchange
from tradingbot.tests.journey.desk import AFTER, DUST, Desk, add_key, open_exchange, start_live, trader

pytestmark = pytest.mark.django_db
#: In, out at a high price, then in again far below it; an order fills at the next candle's price.
SCRIPT = [0, 1, 0, 2, 0, 1, 0, 0, 0, 0]
HIGH_THEN_LOW = [50_000, 50_000, 50_000, 60_000, 60_000, 50_000, 50_000, 50_200, 50_300, 50_300]


@pytest.fixture
def exchange(tmp_path: Path, settings: Any) -> Iterator[LoopbackExchange]:
    settings.LIVE_TRADING = True
    with open_exchange(tmp_path) as loopback:
        yield loopback


def desk_with(exchange: LoopbackExchange, prices: Sequence[float], **limits: str) -> Desk:
    exchange.load_candles("BTC/USDT", "1m", scripted_candles(SCRIPT, prices))
    owner = trader()
    return Desk(exchange, start_live(owner, add_key(owner), limits=limits))


def test_a_second_position_knows_nothing_of_the_first_one_s_peak_and_exit(exchange: LoopbackExchange) -> None:
    desk = desk_with(exchange, HIGH_THEN_LOW, trailing_stop_pct="5", stop_loss_pct="10")
    desk.through(0, 8)
    assert desk.sides() == ["BUY", "SELL", "BUY"]
    assert not Decision.objects.filter(code__in=["TRAILING_STOP", "STOP_LOSS"]).exists()
    run = BotRun.objects.get(pk=desk.run.pk)
    assert (run.position.peak_price, run.held > DUST) == (Decimal(50_300), True)
    desk.check()


def test_a_trailing_stop_follows_the_present_position(exchange: LoopbackExchange) -> None:
    prices = [*HIGH_THEN_LOW[:7], 54_000, 51_000, 51_000]
    desk = desk_with(exchange, prices, trailing_stop_pct="5")
    desk.through(0, 8)
    assert desk.sides() == ["BUY", "SELL", "BUY", "SELL"]
    assert Decision.objects.filter(code="TRAILING_STOP").count() == 1
    desk.check()


def test_a_stop_loss_sells_between_candles_and_only_once(exchange: LoopbackExchange) -> None:
    desk = desk_with(exchange, HIGH_THEN_LOW, stop_loss_pct="3")
    desk.through(0, 5)
    exchange.set_price("BTC/USDT", "48000")
    for seconds in (10, 15, 20):
        desk.tick_at(desk.closes(5) + AFTER * seconds)
    assert desk.sides() == ["BUY", "SELL", "BUY", "SELL"]
    stop = Decision.objects.get(code="STOP_LOSS")
    assert "Price 48000" in stop.reason
    assert stop.order is not None
    assert (stop.order.purpose, stop.order.state) == ("stop", "FILLED")
    desk.check()


def test_a_take_profit_sells_and_the_run_goes_on(exchange: LoopbackExchange) -> None:
    desk = desk_with(exchange, [50_000] * 10, take_profit_pct="4")
    desk.through(0, 2)
    exchange.set_price("BTC/USDT", "53000")
    desk.tick_at(desk.closes(2) + AFTER * 10)
    exchange.set_price("BTC/USDT", None)
    desk.through(3, 6)
    assert desk.sides() == ["BUY", "SELL", "BUY"]
    assert Decision.objects.filter(code="TAKE_PROFIT").count() == 1
    desk.check()
