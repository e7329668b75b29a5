"""What the reads return. Money, amounts and prices are Decimal, times aware UTC; None where unknown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any


@dataclass(frozen=True, slots=True)
class PositionView:
    """``unrealized_pnl`` is None while no price is known; ``price_at`` is the price's age."""

    amount: Decimal
    entry_price: Decimal
    unrealized_pnl: Decimal | None
    price: Decimal | None = None
    price_at: datetime | None = None
    opened_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class LastDecision:
    at: datetime
    candle_opened_at: datetime | None
    action: str
    code: str
    reason: str
    confidence: float


@dataclass(frozen=True, slots=True)
class Halted:
    level: str
    reason: str
    state: str = "HALTED"


@dataclass(frozen=True, slots=True)
class RunView:
    bot_run_id: int
    status: str
    status_reason: str
    mode: str
    strategy: str
    params: Mapping[str, Any]
    limits: Mapping[str, Any]
    exchange: str
    symbol: str
    base: str
    quote: str
    timeframe: str
    exchange_key_id: int | None
    capital: Decimal
    started_at: datetime
    stopped_at: datetime | None
    position: PositionView | None
    equity: Decimal
    realized_pnl: Decimal
    fees: Decimal
    trades: int
    last_decision: LastDecision | None
    next_check_at: datetime | None
    heartbeat_at: datetime | None
    halted: Halted | None


@dataclass(frozen=True, slots=True)
class TradeView:
    id: int
    bot_run_id: int
    symbol: str
    side: str
    quantity: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    pnl: Decimal | None
    order_client_id: str
    executed_at: datetime
    mode: str
    quote: str


@dataclass(frozen=True, slots=True)
class DecisionView:
    id: int
    at: datetime
    candle_opened_at: datetime | None
    close: Decimal | None
    action: str
    code: str
    reason: str
    confidence: float
    indicators: Mapping[str, float | None]
    order_client_id: str | None


@dataclass(frozen=True, slots=True)
class OrderEventView:
    at: datetime
    from_state: str
    to_state: str
    cause: str
    actor: str


@dataclass(frozen=True, slots=True)
class OrderView:
    id: int
    bot_run_id: int
    client_order_id: str
    exchange_order_id: str | None
    symbol: str
    purpose: str
    side: str
    type: str
    amount: Decimal
    price: Decimal | None
    state: str
    filled: Decimal
    average: Decimal | None
    reject_code: str
    reject_detail: str
    created_at: datetime
    ended_at: datetime | None
    events: Sequence[OrderEventView] = ()
    stop_price: Decimal | None = None
    rests: bool = False
    rest_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class FillView:
    id: int
    trade_id: str
    order_client_id: str
    symbol: str
    side: str
    amount: Decimal
    price: Decimal
    fee: Decimal
    fee_asset: str
    executed_at: datetime


@dataclass(frozen=True, slots=True)
class PnlView:
    """One quote currency and one mode; ``net`` = realized + unrealized − fees."""

    quote: str
    mode: str
    realized: Decimal
    unrealized: Decimal
    fees: Decimal
    net: Decimal
    equity: Decimal
    trades: int
    win_rate: Decimal | None
    max_drawdown: Decimal | None
    series: Sequence[tuple[datetime, Decimal]] = ()


@dataclass(frozen=True, slots=True)
class BalanceView:
    account: str
    mode: str
    exchange: str
    exchange_key_id: int | None
    bot_run_id: int | None
    asset: str
    free: Decimal
    locked: Decimal


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list, newest first; ``next`` is the id to pass as ``before``, or None at the end."""

    items: Sequence[Any]
    next: int | None = None


@dataclass(frozen=True, slots=True)
class TradeFilter:
    bot_run_id: int | None = None
    symbol: str = ""
    side: str = ""
    mode: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class RunFilter:
    status: str = ""
    mode: str = ""
    symbol: str = ""
    strategy: str = ""


@dataclass(frozen=True, slots=True)
class GateView:
    level: str
    target: int
    state: str
    reason: str
    actor: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class RiskView:
    """What may stop the user's orders: the switches that speak for them, and the limits at each level."""

    live_trading: bool
    gates: Sequence[GateView]
    limits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    incidents: Sequence[Mapping[str, Any]] = ()
