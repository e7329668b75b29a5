"""Twenty thousand random orders with every limit one step below, at, or above what the order needs."""

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal as D
from random import Random
from typing import Any

from bots.core.breaker import Breaker, Name, State
from bots.core.codes import Code
from bots.core.intent import OrderIntent, Purpose
from bots.core.limits import Limits
from bots.core.position import Position
from bots.core.risk import Gate, Permit, Situation, check, warned
from bots.core.situation import Standing
from bots.tests.core.cast import AT, BTC
from exchanges.core.orders import OrderType, Side

ORDERS = 20_000
CENT = D("0.01")
#: Each is one thing that forbids an entry, whatever the limits say.
TROUBLES: tuple[dict[str, Any], ...] = (
    {"gate": Gate.HALTED},
    {"gate": Gate.REDUCING},
    {"gate": Gate.HALTED, "held_by_case": True},
    {"gate": Gate.REDUCING, "held_by_case": True},
    {"paused": True},
    {"permit": Permit.NOT_ARMED},
    {"permit": Permit.ARMING_EXPIRED},
    {"permit": Permit.PAPER_ONLY},
    {"permit": Permit.KEY_CAN_WITHDRAW},
    {"permit": Permit.KEY_CHECK_STALE},
    {"permit": Permit.LIVE_DISABLED},
    {"stale": True},
    {"skew": timedelta(seconds=2.1)},
    {"banned_until": AT + timedelta(seconds=1)},
    {"maintenance": True},
    {"candle_closes_at": AT, "exchange_at": AT - timedelta(milliseconds=1)},
    {"busy_legs": frozenset({"exit"})},
    {"standing": (Standing(Side.SELL, CENT),)},
    {"breakers": (Breaker(Name.STOP_LOSS_GUARD, State.OPEN),)},
    {"breakers": (Breaker(Name.LOW_PROFIT, State.OPEN),)},
    {"breakers": (Breaker(Name.COOLDOWN), Breaker(Name.MAX_DRAWDOWN, State.HALF_OPEN, on_trial=True))},
)
#: Which bound a passed order would have broken.
Bound = Callable[[OrderIntent, Situation], bool]
BOUNDS: dict[str, Bound] = {
    "max_order_notional": lambda order, now: order.amount * order.price <= now.limits.max_order_notional,
    "max_position_notional": lambda order, now: (
        (now.position.amount + order.amount) * order.price <= now.limits.max_position_notional
    ),
    "max_exposure": lambda order, now: (
        now.exposure + (now.position.amount + order.amount) * order.price <= now.limits.max_exposure
    ),
    "max_open_orders": lambda order, now: now.open_orders + 1 <= now.limits.max_open_orders,
    "max_orders_per_minute": lambda order, now: now.orders_last_minute + 1 <= now.limits.max_orders_per_minute,
    "max_account_orders_per_minute": lambda order, now: (
        now.account_orders_last_minute + 1 <= now.limits.max_account_orders_per_minute
    ),
    "max_daily_loss": lambda order, now: now.day_start_equity - now.equity < now.limits.max_daily_loss,
    "max_drawdown_pct": lambda order, now: (
        100 * (now.peak_equity - now.equity) < now.limits.max_drawdown_pct * now.peak_equity
    ),
    "max_loss_streak": lambda order, now: now.loss_streak < now.limits.max_loss_streak,
    "cooldown_seconds": lambda order, now: (
        now.last_loss_at is None or (now.at - now.last_loss_at).total_seconds() >= now.limits.cooldown_seconds
    ),
    "price_band_pct": lambda order, now: (
        abs(order.limit_price - now.price) <= now.limits.price_band_pct / 100 * now.price + BTC.price_tick
    ),
}


def situation(chance: Random) -> tuple[OrderIntent, Situation]:
    price = D(chance.randrange(2_000_000, 6_000_000)) * CENT
    amount = BTC.amount_step * chance.randrange(1, 3_000)
    held = BTC.amount_step * chance.choice([0, 0, chance.randrange(1, 1_000)])
    peak, fall = D(2_000), D(chance.randrange(0, 40_000)) * CENT
    equity = peak - fall
    exposure, orders, recent, streak = D(chance.randrange(0, 5_000)), *(chance.randrange(4) for _ in range(3))
    since_loss, far = chance.randrange(0, 600), D(chance.randrange(0, 400)) / 100
    used = {
        "max_order_notional": amount * price,
        "max_position_notional": (held + amount) * price,
        "max_exposure": exposure + (held + amount) * price,
        "max_open_orders": orders + 1,
        "max_orders_per_minute": recent + 1,
        "max_account_orders_per_minute": recent + 3,
        "max_daily_loss": fall,
        "max_drawdown_pct": 100 * fall / peak,
        "max_loss_streak": streak,
        "cooldown_seconds": since_loss,
        "price_band_pct": far,
    }
    whole = {"max_open_orders", "max_loss_streak", "cooldown_seconds"}
    whole |= {"max_orders_per_minute", "max_account_orders_per_minute"}
    wanted = chance.sample(sorted(used), chance.randrange(0, 4))
    limits = {
        name: limit
        for name in wanted
        if (limit := used[name] + (1 if name in whole else CENT) * chance.choice([-1, 0, 1])) > 0
    }
    plenty = (amount + held) * price * 2
    facts: dict[str, Any] = {"cash": amount * price * D(chance.choice(["0.99", "1.001", "2"])), "free": plenty}
    facts["key_unbound"] = chance.random() < 0.1
    if chance.random() < 0.15:
        facts |= chance.choice(TROUBLES)
    off = BTC.amount_step / 10 if chance.random() < 0.02 else D(0)
    order = OrderIntent(
        Purpose.ENTRY, Side.BUY, OrderType.LIMIT, amount + off, price,
        limit_price=BTC.round_price(price * (1 + far / 100), Side.BUY),
    )  # fmt: skip
    now = Situation(
        at=AT, market=BTC, limits=Limits(**limits), position=Position(amount=held), price=price, equity=equity,
        peak_equity=peak, day_start_equity=peak, exposure=exposure, open_orders=orders, orders_last_minute=recent,
        account_orders_last_minute=recent + 2,
        loss_streak=streak, last_loss_at=AT - timedelta(seconds=since_loss), **facts,
    )  # fmt: skip
    return order, now


def test_no_order_passes_over_a_limit_and_every_reason_is_given() -> None:
    chance, codes = Random(14), Counter[str]()
    for _ in range(ORDERS):
        order, now = situation(chance)
        denial = check(order, now)
        codes[denial.code if denial else "passed"] += 1
        codes.update(warning.code for warning in warned(order, now))
        if denial is None:
            broken = [
                name
                for name, holds in BOUNDS.items()
                if getattr(now.limits, name) is not None and not holds(order, now)
            ]
            assert broken == []
            assert order.amount % BTC.amount_step == 0
            assert order.amount * order.price <= now.cash
    assert codes["passed"] > ORDERS / 10
    reasons = {
        *(Code.TRADING_HALTED, Code.STATE_REDUCING, Code.RUN_PAUSED, Code.NOT_ARMED, Code.ARMING_EXPIRED),
        *(Code.PAPER_ONLY, Code.KEY_CAN_WITHDRAW, Code.KEY_CHECK_STALE, Code.LIVE_DISABLED, Code.DATA_STALE),
        *(Code.CLOCK_SKEW, Code.VENUE_BANNED, Code.UNRESOLVED_ORDER, Code.DAILY_LOSS, Code.DRAWDOWN_BREAKER),
        *(Code.LOSS_STREAK, Code.COOLDOWN, Code.ORDER_RATE, Code.MAX_OPEN_ORDERS, Code.PRECISION),
        *(Code.MIN_NOTIONAL, Code.PRICE_BAND, Code.MAX_NOTIONAL_ORDER, Code.MAX_EXPOSURE_SYMBOL),
        *(Code.MAX_EXPOSURE_ACCOUNT, Code.INSUFFICIENT_FREE, Code.STOP_LOSS_GUARD, Code.LOW_PROFIT),
        *(Code.CIRCUIT_BREAKER, Code.POSITION_MISMATCH, Code.SELF_CROSS, Code.CANDLE_OPEN, Code.VENUE_MAINTENANCE),
        *(Code.KEY_NO_IP_LIMIT,),
    }
    assert {code for code in reasons if not codes[code]} == set()
