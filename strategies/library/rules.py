"""Rules: the strategy that a user puts together from conditions, without code."""

from strategies.core.rules import RuleStrategy
from strategies.core.strategy import StrategyRegistry

StrategyRegistry.register(RuleStrategy)
