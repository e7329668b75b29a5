"""Each denial has its code, on its side of its limit; exits fail open, entries closed."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D

import pytest

from bots.core.codes import MEANING, Code
from bots.core.decision import entry_intent, exit_intent, judged
from bots.core.intent import OrderIntent, Purpose
from bots.core.limits import Limits
from bots.core.risk import CHECKS, Gate, Permit, Situation, check, warned
from bots.core.situation import Standing
from bots.tests.core.cast import AT, BTC, flat, holding
from exchanges.core.orders import OrderType, Side


def entry(**changes: object) -> OrderIntent:
    intent = OrderIntent(Purpose.ENTRY, Side.BUY, OrderType.LIMIT, D("0.01"), D(50000), limit_price=D(50500))
    return replace(intent, **changes)  # type: ignore[arg-type]


def leave(**changes: object) -> OrderIntent:
    intent = OrderIntent(Purpose.EXIT, Side.SELL, OrderType.LIMIT, D("0.01"), D(50000), limit_price=D(49500))
    return replace(intent, **changes)  # type: ignore[arg-type]


def test_an_entry_and_an_exit_pass_without_limits() -> None:
    assert check(entry(), flat()) is None
    assert check(leave(), holding()) is None


LOSS = AT - timedelta(seconds=30)
ENTRY_DENIALS = [
    (Code.TRADING_HALTED, {"gate": Gate.HALTED}),
    (Code.STATE_REDUCING, {"gate": Gate.REDUCING}),
    (Code.POSITION_MISMATCH, {"gate": Gate.HALTED, "held_by_case": True}),
    (Code.POSITION_MISMATCH, {"gate": Gate.REDUCING, "held_by_case": True}),
    (Code.RUN_PAUSED, {"paused": True}),
    (Code.LIVE_DISABLED, {"permit": Permit.LIVE_DISABLED}),
    (Code.NOT_ARMED, {"permit": Permit.NOT_ARMED}),
    (Code.ARMING_EXPIRED, {"permit": Permit.ARMING_EXPIRED}),
    (Code.PAPER_ONLY, {"permit": Permit.PAPER_ONLY}),
    (Code.KEY_CAN_WITHDRAW, {"permit": Permit.KEY_CAN_WITHDRAW}),
    (Code.KEY_CHECK_STALE, {"permit": Permit.KEY_CHECK_STALE}),
    (Code.VENUE_BANNED, {"banned_until": AT + timedelta(seconds=1)}),
    (Code.VENUE_MAINTENANCE, {"maintenance": True}),
    (Code.SELF_CROSS, {"standing": (Standing(Side.SELL, D(50500)),), "busy_legs": frozenset({"grid:1"})}),
    (Code.CANDLE_OPEN, {"candle_closes_at": AT + timedelta(seconds=1)}),
    (Code.CANDLE_OPEN, {"candle_closes_at": AT, "exchange_at": AT - timedelta(milliseconds=1)}),
    (Code.UNRESOLVED_ORDER, {"busy_legs": frozenset({"exit"})}),
    (Code.DATA_STALE, {"stale": True}),
    (Code.CLOCK_SKEW, {"skew": timedelta(seconds=-3)}),
    (Code.DAILY_LOSS, {"limits": Limits(max_daily_loss=D(10)), "day_start_equity": D(1010)}),
    (Code.DRAWDOWN_BREAKER, {"limits": Limits(max_drawdown_pct=D(10)), "peak_equity": D("1111.2")}),
    (Code.LOSS_STREAK, {"limits": Limits(max_loss_streak=2), "loss_streak": 2, "last_loss_at": LOSS}),
    (Code.COOLDOWN, {"limits": Limits(cooldown_seconds=31), "last_loss_at": LOSS}),
    (Code.ORDER_RATE, {"limits": Limits(max_orders_per_minute=6), "orders_last_minute": 6}),
    (Code.ORDER_RATE, {"limits": Limits(max_account_orders_per_minute=30), "account_orders_last_minute": 30}),
    (Code.MAX_OPEN_ORDERS, {"limits": Limits(max_open_orders=1), "open_orders": 1}),
    (Code.MAX_NOTIONAL_ORDER, {"limits": Limits(max_order_notional=D("499.99"))}),
    (Code.MAX_EXPOSURE_SYMBOL, {"limits": Limits(max_position_notional=D("499.99"))}),
    (Code.MAX_EXPOSURE_ACCOUNT, {"limits": Limits(max_exposure=D(600)), "exposure": D("100.01")}),
    (Code.INSUFFICIENT_FREE, {"cash": D(400)}),
    (Code.INSUFFICIENT_FREE, {"free": D(400)}),
    (Code.PRICE_BAND, {"limits": Limits(price_band_pct=D("0.5"))}),
]


@pytest.mark.parametrize(("code", "facts"), ENTRY_DENIALS, ids=[f"{c}-{i}" for i, (c, _) in enumerate(ENTRY_DENIALS)])
def test_an_entry_is_denied_with_its_code(code: Code, facts: dict[str, object]) -> None:
    denial = check(entry(), flat(**facts))
    assert denial is not None
    assert denial.code is code
    assert denial.detail


PASSING = [
    {"candle_closes_at": AT},
    {"candle_closes_at": AT + timedelta(seconds=1), "exchange_at": AT + timedelta(seconds=1)},
    {"banned_until": AT},
    {"skew": timedelta(seconds=2)},
    {"limits": Limits(max_daily_loss=D(10)), "day_start_equity": D("1009.99")},
    {"limits": Limits(max_drawdown_pct=D(10)), "peak_equity": D(1111)},
    {"limits": Limits(max_drawdown_pct=D(10)), "peak_equity": D(0)},
    {"limits": Limits(max_loss_streak=2), "loss_streak": 1, "last_loss_at": LOSS},
    {"limits": Limits(max_loss_streak=2), "loss_streak": 2, "last_loss_at": AT - timedelta(days=1)},
    {"limits": Limits(max_loss_streak=2), "loss_streak": 2},
    {"limits": Limits(cooldown_seconds=30), "last_loss_at": LOSS},
    {"limits": Limits(cooldown_seconds=30)},
    {"limits": Limits(max_orders_per_minute=6), "orders_last_minute": 5},
    {"limits": Limits(max_account_orders_per_minute=30), "account_orders_last_minute": 29, "orders_last_minute": 30},
    {"limits": Limits(max_open_orders=1), "open_orders": 0},
    {"limits": Limits(max_order_notional=D(500), max_position_notional=D(500), max_exposure=D(500))},
    {"limits": Limits(price_band_pct=D(1))},
    {"free": D(501)},
]


@pytest.mark.parametrize("facts", PASSING)
def test_an_entry_on_the_right_side_of_a_limit_passes(facts: dict[str, object]) -> None:
    assert check(entry(), flat(**facts)) is None


EXIT_OPEN = [
    facts
    for code, facts in ENTRY_DENIALS
    if code not in (Code.TRADING_HALTED, Code.VENUE_BANNED, Code.PRICE_BAND, Code.UNRESOLVED_ORDER)
    and facts.get("gate") is not Gate.HALTED
]


@pytest.mark.parametrize("facts", EXIT_OPEN)
def test_an_exit_passes_where_an_entry_is_denied(facts: dict[str, object]) -> None:
    assert check(leave(), holding(**facts)) is None


def test_an_exit_waits_only_for_another_exit() -> None:
    assert check(leave(), holding(busy_legs=frozenset({"entry"}))) is None
    denial = check(leave(), holding(busy_legs=frozenset({"exit"})))
    assert denial is not None
    assert denial.code is Code.UNRESOLVED_ORDER


def test_a_halt_stops_exits_too() -> None:
    denial = check(leave(), holding(gate=Gate.HALTED, gate_reason="drill"))
    assert denial is not None
    assert (denial.code, "drill" in denial.detail) == (Code.TRADING_HALTED, True)


@pytest.mark.parametrize(
    ("intent", "code"),
    [
        (entry(amount=D("0.010001")), Code.PRECISION),
        (entry(amount=D(0)), Code.PRECISION),
        (entry(amount=D(9001)), Code.PRECISION),
        (entry(amount=D("0.00009")), Code.MIN_NOTIONAL),
        (entry(limit_price=D("50000.001")), Code.PRECISION),
        (entry(stop_price=D("50000.001")), Code.PRECISION),
        (entry(limit_price=D("51000.02")), Code.PRICE_BAND),
    ],
)
def test_an_order_that_the_market_would_refuse_never_leaves(intent: OrderIntent, code: Code) -> None:
    denial = check(intent, flat(cash=D("1e9")))
    assert denial is not None
    assert denial.code is code


def test_more_than_is_held_is_never_sold() -> None:
    denial = check(leave(amount=D("0.02")), holding())
    assert denial is not None
    assert denial.code is Code.NO_POSITION_TO_SELL


def test_a_market_order_has_no_band() -> None:
    assert check(entry(limit_price=None), flat()) is None
    assert check(entry(), flat(price=D(0))) is None


def test_an_exit_of_any_market_size_has_no_upper_limit_when_none_is_stated() -> None:
    assert check(leave(), holding(market=replace(BTC, max_amount=None))) is None


def test_a_denial_of_every_level_has_a_sentence() -> None:
    assert set(MEANING) == set(Code)
    assert len(CHECKS) == len({rule.__name__ for rule in CHECKS})


def test_intents_of_a_situation_pass_their_own_checks() -> None:
    now: Situation = flat(free=D(1000))
    assert check(entry_intent(now), now) is None
    assert check(exit_intent(holding()), holding()) is None


def test_a_warning_stops_nothing_and_is_told() -> None:
    now = flat(key_unbound=True, skew=timedelta(seconds=-1.5))
    assert check(entry(), now) is None
    assert [one.code for one in warned(entry(), now)] == [Code.KEY_NO_IP_LIMIT, Code.CLOCK_SKEW]
    assert warned(entry(), flat(skew=timedelta(seconds=1))) == ()
    told = judged(entry_intent(now), now, Code.SIGNAL_BUY, "Buy.")
    assert (told.code, told.reason.startswith("Buy. Warning KEY_NO_IP_LIMIT: ")) == (Code.SIGNAL_BUY, True)
    assert "Warning" not in judged(entry_intent(flat()), flat(), Code.SIGNAL_BUY, "Buy.").reason


@pytest.mark.parametrize(("limit", "code"), [("46550", None), ("46549", Code.PRICE_BAND)])
def test_a_stops_limit_is_measured_from_its_own_price(limit: str, code: Code | None) -> None:
    stop = leave(purpose=Purpose.STOP, rests=True, stop_price=D(47500), limit_price=D(limit))
    denial = check(stop, holding())
    assert (denial and denial.code) is code
