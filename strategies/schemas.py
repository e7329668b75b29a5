"""Bodies about strategies."""

from typing import Any

from pydantic import Field

from exchanges.schemas import Answer, Body, Listing, Money, Utc


class StrategyOut(Answer):
    name: str
    description: str
    enabled: bool
    version: str
    parameters: dict[str, Any] = Field(description="JSON Schema of the params that a run takes.")
    formula: str
    does_badly_when: str


class StrategiesOut(Listing[StrategyOut]):
    pass


class RuleBody(Body):
    """A rule to be looked at; nothing is stored."""

    definition: dict[str, Any] = Field(description="As `GET /api/v1/rules/schema` describes it.")


class RuleSetIn(RuleBody):
    name: str = Field(max_length=200, description="Yours alone: no two of your rule sets have the same.")
    description: str = Field("", max_length=4_000)


class RuleSetUpdate(RuleSetIn):
    version: int | None = Field(None, ge=1, description="The version that was read; another one since is a 409.")


class RuleSetOut(Answer):
    id: int
    name: str
    description: str
    version: int
    definition: dict[str, Any] = Field(description="Every default written out.")
    words: list[str] = Field(description="The rule in plain sentences.")
    params: dict[str, Any] = Field(description="The params of a run or backtest of the strategy `rules`.")
    limits: dict[str, str] = Field(description="The rule's stop, target and trailing stop, as limits of that run.")
    created_at: Utc
    updated_at: Utc


class RuleSetsOut(Listing[RuleSetOut]):
    pass


class VersionOut(Answer):
    version: int
    name: str
    description: str
    definition: dict[str, Any]
    words: list[str]
    created_at: Utc


class VersionsOut(Listing[VersionOut]):
    pass


class RuleChecked(Answer):
    definition: dict[str, Any]
    words: list[str]
    limits: dict[str, str]
    warmup: int = Field(description="Closed candles after which its opinion is what all of history would give.")


class PreviewIn(RuleBody):
    exchange: str = Field("demo", max_length=32)
    symbol: str = Field("BTC/USDT", max_length=32)
    timeframe: str = Field("15m", max_length=4)
    candles: int = Field(240, ge=1, le=1_000)


class MarkOut(Answer):
    at: Utc = Field(description="When the candle opened on which it would have traded.")
    side: str = Field(description="buy or sell")
    price: Money
    reason: str


class PreviewOut(Answer):
    """Where it would have traded, without fees and limits: a backtest tells what it would have earned."""

    exchange: str
    symbol: str
    timeframe: str
    synthetic: bool
    candles: int
    since: Utc | None
    until: Utc | None
    entries: int = Field(description="Candles on which the entry rule held.")
    exits: int
    warming_up: int
    marks: list[MarkOut]
