"""Twenty thousand orders that we would send, on markets of many exchanges, measured against the exchange's rules."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal as D
from pathlib import Path
from random import Random

import pytest

from bots.core import protection, sizing
from bots.core.codes import Code
from bots.core.decision import Decided, entry_intent, exit_intent, judged
from bots.core.intent import OrderIntent, Purpose
from bots.core.limits import Limits
from bots.core.position import Position
from bots.core.risk import Situation
from bots.tests.core.cast import AT, flat
from exchanges.core import simulated
from exchanges.core.decimals import plain
from exchanges.core.market import Market
from exchanges.core.orders import OrderRequest, OrderType, Side
from exchanges.core.simulated import SimulationModel

ORDERS = 20_000
#: What a tiny amount, a long tail or a lack of money may be denied for; nothing else may stand in the way here.
SMALL = {Code.MIN_NOTIONAL, Code.PRECISION, Code.INSUFFICIENT_FREE}


def markets() -> Iterator[tuple[Market, D]]:
    found = json.loads((Path(__file__).parent / "market_rules.json").read_text(encoding="utf-8"))
    for rows in (rows for name, rows in found.items() if name != "about"):
        for symbol, step, tick, least, most, notional, price, fee, in_base in rows:
            base, quote = symbol.split("/")
            market = Market(
                symbol, base, quote, D(step), D(tick), D(least), None if most is None else D(most), D(notional),
                taker_fee=D(fee), maker_fee=D(fee), fee_in_base=in_base,
            )  # fmt: skip
            yield market, D(price)


MARKETS = list(markets())


def amount(chance: Random, least: int, most: int) -> D:
    """Log-uniform between two powers of ten, with a tail of digits."""
    return D(chance.randrange(1, 10**9)) * D(10) ** chance.randrange(least - 9, most - 8)


def situation(chance: Random) -> Situation:
    market, usual = chance.choice(MARKETS)
    price = max(market.price_tick, market.round_price(usual * D(chance.randrange(40, 250)) / 100, Side.SELL))
    if chance.random() < 0.1:
        price += market.price_tick / 3
    band = chance.choice([None, D("0.1"), D("0.5"), D(5)])
    cash = market.min_notional * amount(chance, 0, 2) + amount(chance, 0, 5) * usual.quantize(D("1e-12")) / 100
    least = chance.choice([market.amount_step, market.min_amount])
    held = amount(chance, 0, 4) * least + (market.min_notional / price if chance.random() < 0.3 else 0)
    free = chance.choice([None, cash, cash * D("0.7"), cash * 3])
    return flat(market=market, price=price, cash=cash, free=free, limits=Limits(price_band_pct=band),
                position=Position(amount=held, entry_price=price, opened_at=AT), equity=cash, peak_equity=cash,
                day_start_equity=cash)  # fmt: skip


def decided(chance: Random, now: Situation) -> Decided:
    if chance.random() < 0.5:
        return judged(entry_intent(now), now, Code.SIGNAL_BUY, "")
    return judged(exit_intent(now, chance.choice([Purpose.EXIT, Purpose.STOP])), now, Code.SIGNAL_SELL, "")


def request(intent: OrderIntent) -> OrderRequest:
    return OrderRequest(
        "0" * 32, "X", intent.side, intent.type, intent.amount, AT, intent.limit_price, intent.stop_price,
        immediate=not intent.rests,
    )  # fmt: skip


def check_exact(intent: OrderIntent, market: Market) -> None:
    """Every figure is a decimal that survives the wire, in whole steps, and a sell never asks for more than is held."""
    for name in ("amount", "price", "limit_price", "stop_price"):
        value = getattr(intent, name)
        assert value is None or isinstance(value, D), name
        assert value is None or D(plain(value)) == value
        assert "e" not in plain(value or D(0)).lower()
    assert intent.amount % market.amount_step == 0
    assert (intent.limit_price or D(0)) % market.price_tick == 0


def test_no_order_breaks_a_rule_of_its_market() -> None:
    chance, codes, placed = Random(11), Counter[str](), Counter[str]()
    while sum(placed.values()) < ORDERS:
        now = situation(chance)
        found = decided(chance, now)
        if found.intent is None:
            codes[found.code] += 1
            assert found.code in SMALL, found
            continue
        intent = found.intent
        simulated.check(request(intent), now.market, now.price)
        check_exact(intent, now.market)
        if intent.side is Side.BUY:
            needed = simulated.funds_needed(
                simulated.working(request(intent)), now.price, now.market, SimulationModel()
            )
            assert needed <= now.cash + now.market.price_tick * intent.amount
            locked = intent.amount * (intent.limit_price or now.price) * (1 + now.market.taker_fee)
            # A price between two ticks has its limit rounded up; then an exchange may refuse, and nothing is lost.
            assert now.free is None or locked <= now.free or now.price % now.market.price_tick
        else:
            assert intent.amount <= now.position.amount
        placed[f"{now.market.symbol} {intent.side}"] += 1
    # Each market was bought and sold on, and small things were denied, not sent.
    assert {f"{market.symbol} {side}" for market, _ in MARKETS for side in ("buy", "sell")} == set(placed)
    assert {Code.MIN_NOTIONAL, Code.PRECISION} <= set(codes)


def test_what_counts_as_held_can_be_sold() -> None:
    chance, sold = Random(12), 0
    while sold < 5_000:
        now = situation(chance)
        between_ticks = now.price % now.market.price_tick
        if between_ticks or sizing.flat(now.position.amount, now.price, now.market):
            continue
        found = judged(exit_intent(now), now, Code.SIGNAL_SELL, "")
        assert found.intent is not None, found.reason
        sold += 1


def test_protections_stand_on_whole_ticks_and_pass_as_resting_stops() -> None:
    chance = Random(13)
    for _ in range(2_000):
        now = situation(chance)
        limits = Limits(stop_loss_pct=D(chance.randrange(1, 900)) / 10, take_profit_pct=D(3), trailing_stop_pct=D(2))
        levels = protection.levels(now.price, now.price * 2, limits, now.market)
        for level in (levels.stop, levels.target, levels.trailing):
            assert level is not None
            assert level % now.market.price_tick == 0
        amount = sizing.closing_amount(now.position.amount, now.market)
        if levels.stop and levels.stop < now.price and now.market.tradable(amount, levels.stop):
            stop = OrderRequest("0" * 32, "X", Side.SELL, OrderType.STOP_LOSS, amount, AT, stop_price=levels.stop)
            simulated.check(stop, now.market, now.price)


def test_the_rules_are_of_many_markets() -> None:
    assert len(MARKETS) >= 30
    market, price = MARKETS[0]
    fine = OrderIntent(Purpose.ENTRY, Side.BUY, OrderType.LIMIT, D("0.00011"), price, limit_price=price)
    simulated.check(request(fine), market, price)
    for wrong in ({"amount": D("0.000111")}, {"limit_price": price + D("0.001")}, {"amount": D("0.00001")}):
        with pytest.raises(simulated.InvalidRequest):
            simulated.check(request(replace(fine, **wrong)), market, price)
