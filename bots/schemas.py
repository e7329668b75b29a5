"""Bodies about runs, trades, money and risk; their fields are those of `bots.queries.shapes`."""

from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import Field, StringConstraints

from exchanges.schemas import Answer, Body, Cursor, Limit, Listing, Money, Number, ObjectId, PageQuery, Utc

Mode = Literal["paper", "live"]
RunStatus = Literal["starting", "running", "paused", "stopping", "stopped", "error"]
CaseKind = Literal["balance_mismatch", "orphan", "late_order", "late_fill", "overfill", "unresolved"]
Symbol = Annotated[str, Field(max_length=32, pattern=r"^[A-Za-z0-9._:/-]*$", examples=["BTC/USDT"])]


class StartIn(Body):
    strategy: str = Field(max_length=64, examples=["rsi_cross"])
    symbol: str = Field(max_length=32, examples=["BTC/USDT"])
    timeframe: str = Field(max_length=4, examples=["1m"])
    exchange: str = Field(max_length=32, examples=["demo"])
    capital: Money = Field(description="In the quote currency.")
    mode: Mode = "paper"
    exchange_key_id: ObjectId | None = Field(None, description="A live run needs it.")
    params: dict[str, Any] = {}
    limits: dict[str, Any] = {}


class StopIn(Body):
    bot_run_id: ObjectId
    on_open_position: Literal["keep", "close"] = "keep"


class StatusOut(Answer):
    bot_run_id: int
    status: RunStatus


class PositionOut(Answer):
    amount: Money
    entry_price: Money
    unrealized_pnl: Money | None


class LastDecisionOut(Answer):
    at: Utc
    candle_opened_at: Utc | None
    action: str
    code: str
    reason: str
    confidence: float


class HaltedOut(Answer):
    level: str
    reason: str


class RunOut(Answer):
    bot_run_id: int
    status: RunStatus
    mode: Mode
    strategy: str
    params: dict[str, Any]
    exchange: str
    symbol: str
    timeframe: str
    capital: Money
    started_at: Utc
    stopped_at: Utc | None
    position: PositionOut | None
    equity: Money
    realized_pnl: Money
    fees: Money
    last_decision: LastDecisionOut | None
    next_check_at: Utc | None
    heartbeat_at: Utc | None
    halted: HaltedOut | None


class RunsOut(Listing[RunOut]):
    pass


class RunsQuery(PageQuery):
    status: RunStatus | None = None
    mode: Mode | None = None


class PnlQuery(Schema):
    period: Literal["1d", "7d", "30d", "all"] = "all"
    mode: Mode | None = None


class PnlOut(Answer):
    quote: str
    mode: Mode
    realized: Money
    unrealized: Money
    fees: Money
    net: Money
    equity: Money
    trades: int
    win_rate: Money | None
    max_drawdown: Money | None
    series: list[tuple[Utc, Money]] = Field(description="[[at, equity], …], the oldest first.")


class PnlsOut(Listing[PnlOut]):
    pass


class TradesQuery(Schema):
    limit: Limit | None = Field(None, description="100 if not given; as CSV everything.")
    cursor: Cursor = Field(None, description="The `next` of the page before.")
    bot_run_id: int | None = Field(None, json_schema_extra={"examples": [1]})
    symbol: Symbol | None = None
    side: Literal["buy", "sell"] | None = None
    mode: Mode | None = None
    since: Utc | None = None
    until: Utc | None = None


class TradeOut(Answer):
    id: int
    bot_run_id: int
    symbol: str
    side: Literal["buy", "sell"]
    quantity: Money
    price: Money
    fee: Money
    fee_asset: str
    pnl: Money | None
    order_client_id: str
    executed_at: Utc


class TradesOut(Listing[TradeOut]):
    pass


class DecisionOut(Answer):
    at: Utc
    candle_opened_at: Utc | None
    action: str
    code: str
    reason: str
    confidence: float
    indicators: dict[str, Number]
    order_client_id: str | None


class DecisionsOut(Listing[DecisionOut]):
    pass


class OrderEventOut(Answer):
    at: Utc
    from_: str = Field(validation_alias="from_state", serialization_alias="from")
    to: str = Field(validation_alias="to_state")
    cause: str


class OrderOut(Answer):
    client_order_id: str
    exchange_order_id: str | None
    symbol: str
    purpose: str
    side: str
    type: str
    amount: Money
    price: Money | None
    state: str
    filled: Money
    average: Money | None
    reject_code: str
    reject_detail: str
    created_at: Utc
    ended_at: Utc | None
    events: list[OrderEventOut]
    stop_price: Money | None = Field(None, description="Of a stop order: the price that sets it off.")
    rests: bool = Field(False, description="Whether it may wait at the exchange.")
    rest_until: Utc | None = Field(None, description="When it is called back unless it is filled.")


class OrdersOut(Listing[OrderOut]):
    pass


class FillOut(Answer):
    trade_id: str
    order_client_id: str
    symbol: str
    side: str
    amount: Money
    price: Money
    fee: Money
    fee_asset: str
    executed_at: Utc


class FillsOut(Listing[FillOut]):
    pass


class BalanceOut(Answer):
    account: str
    mode: Mode
    exchange: str
    exchange_key_id: int | None
    bot_run_id: int | None
    asset: str
    free: Money
    locked: Money


class BalancesOut(Listing[BalanceOut]):
    pass


class GateOut(Answer):
    level: str
    target: int
    state: str
    reason: str
    actor: str
    changed_at: Utc | None


class IncidentOut(Answer):
    id: int
    kind: str
    detail: str
    at: Utc


class RiskOut(Answer):
    live_trading: bool
    gates: list[GateOut] = Field(description="Every switch that is not ACTIVE and speaks for you.")
    limits: dict[str, dict[str, Any]]
    incidents: list[IncidentOut]


class CaseOut(Answer):
    id: int
    kind: CaseKind
    subject: str
    detail: str
    state: Literal["open", "resolved"]
    hold: Literal["REDUCING", "HALTED"] = Field(description="What the case holds its account to while it is open.")
    account_id: int
    account: str
    mode: Mode
    exchange: str
    exchange_key_id: int | None
    opened_at: Utc
    last_seen_at: Utc
    passes: int = Field(description="In how many passes it was seen.")
    agreed_at: Utc | None = Field(description="The last pass that found no difference any more.")
    resolved_at: Utc | None
    resolved_by: str
    resolution: str


class LimitsIn(Body):
    level: Literal["user", "key", "run"] = "user"
    target: ObjectId | None = Field(None, description="The key's or run's id; of a user only one's own.")
    limits: dict[str, Any] = Field(description="All limits of this level; a token may only tighten them.")


class SwitchIn(Body):
    level: Literal["platform", "user", "key", "run"]
    target: ObjectId | None = Field(None, description="The user's (default: your own), key's or run's id.")
    action: Literal["halt", "reduce", "flatten", "resume"]
    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]
