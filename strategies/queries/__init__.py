"""Reads of the strategies: the catalogue, users' rule sets, and what they would have done on past candles."""

from strategies.queries.catalogue import (
    StrategyDisabled,
    StrategyView,
    UnknownStrategy,
    build,
    is_enabled,
    list_strategies,
    rebuild,
    strategy_view,
)

__all__ = [
    "StrategyDisabled",
    "StrategyView",
    "UnknownStrategy",
    "build",
    "is_enabled",
    "list_strategies",
    "rebuild",
    "strategy_view",
]
