"""Bodies about drift reports; their fields are those of `bots.queries.drift`."""

from datetime import date
from typing import Any, Literal

from ninja import Schema
from pydantic import Field

from exchanges.schemas import Answer, Body, Listing, Money, Utc

State = Literal["queued", "running", "done", "failed", "canceled"]
Cause = Literal[
    "SAME", "PRICE", "PARTIAL_FILL", "FEE", "FUNDS", "LATE_DATA", "DENIED", "OUTAGE", "MANUAL", "UNEXPLAINED"
]


class DriftIn(Body):
    day: date = Field(description="A day of UTC that is over.", examples=["2026-03-01"])


class DriftQuery(Schema):
    version: int | None = Field(None, ge=1, description="The newest if not given.")


class DriftOut(Answer):
    id: int
    bot_run_id: int
    day: date
    version: int = Field(description="Comparing a day again appends a version; none is ever replaced.")
    state: State
    trades: int = Field(description="Trades of the run or of its replay, paired.")
    differing: int
    unexplained: int
    counts: dict[str, int] = Field(description="Cause → trades.")
    effects: dict[str, str] = Field(description="Cause → what it changed of the day's end, in quote.")
    live_pnl: Money | None
    replay_pnl: Money | None
    difference: Money | None = Field(description="Live less replayed: the sum of all effects and the remainder.")
    remainder: Money | None
    note: str = Field(description="Why the day was not compared.")
    error: str
    quote: str
    created_at: Utc
    finished_at: Utc | None
    data_sha256: str
    engine: str


class DriftsOut(Listing[DriftOut]):
    """The newest version of each day, the newest day first."""


class LegOut(Answer):
    at: str
    side: Literal["buy", "sell"]
    price: str
    amount: str
    fee: str
    fee_asset: str
    code: str
    order: int | None
    state: str
    leg: str = Field("", description="Of a grid the line that it worked, the lowest being grid:0; else its part.")


class DriftRowOut(Answer):
    cause: Cause
    why: str
    code: str
    candle: str | None
    live: LegOut | None
    replayed: LegOut | None
    effect: str
    parts: dict[str, str] = Field(description="Cause → its part of the effect.")
    facts: dict[str, Any]
    repeated: int = Field(description="On so many candles the replay asked for it.")


class DriftDocumentOut(Answer):
    rows: list[DriftRowOut]
    mark: str = Field(description="The price at which both are valued at the day's end.")
    candles: int
    replay_trades: int


class DriftDayOut(DriftOut):
    versions: list[int]
    document: DriftDocumentOut | None
