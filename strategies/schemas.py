"""Bodies about strategies."""

from typing import Any

from pydantic import Field

from exchanges.schemas import Answer, Listing


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
