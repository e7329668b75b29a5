"""The catalogue: the registry with each strategy's switch from the database."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from strategies.core.strategy import BaseStrategy, StrategyRegistry, UnknownStrategy
from strategies.models import Strategy

__all__ = ["StrategyDisabled", "StrategyView", "UnknownStrategy", "build", "list_strategies", "rebuild"]


class StrategyDisabled(Exception):
    """An operator switched the strategy off: nothing new may use it, what runs goes on."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(f"The strategy {name} is switched off.")


@dataclass(frozen=True, slots=True)
class StrategyView:
    """What pages, API and commands show of a strategy; ``parameters`` is a JSON Schema."""

    name: str
    description: str
    enabled: bool
    version: str
    parameters: dict[str, Any]
    formula: str
    does_badly_when: str


def list_strategies() -> list[StrategyView]:
    """Every registered strategy by name; one that was never synced counts as enabled."""
    disabled = set(Strategy.objects.filter(enabled=False).values_list("name", flat=True))
    return [_view(name, enabled=name not in disabled) for name in StrategyRegistry.list_all()]


def strategy_view(name: str) -> StrategyView:
    """Raises UnknownStrategy."""
    return _view(name, enabled=is_enabled(name))


def is_enabled(name: str) -> bool:
    return not Strategy.objects.filter(name=name, enabled=False).exists()


def _view(name: str, *, enabled: bool) -> StrategyView:
    kind = StrategyRegistry.get(name)
    return StrategyView(
        name=name,
        description=kind.description,
        enabled=enabled,
        version=kind.version,
        parameters=kind.json_schema(),
        formula=kind.formula,
        does_badly_when=kind.does_badly_when,
    )


def build(name: str, params: Mapping[str, object]) -> BaseStrategy:
    """For something new; raises UnknownStrategy, StrategyDisabled, or ParameterError with every mistake by name."""
    strategy = rebuild(name, params)
    if not is_enabled(name):
        raise StrategyDisabled(name)
    return strategy


def rebuild(name: str, params: Mapping[str, object]) -> BaseStrategy:
    """For what exists already, switched off or not; without a query. Raises UnknownStrategy, ParameterError."""
    kind = StrategyRegistry.get(name)
    return kind(**kind.validate(params))
