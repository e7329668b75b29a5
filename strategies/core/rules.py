"""Strategies without code: conditions on indicators as validated JSON, compiled to the vectorised function.

    {"entry": {"all": [
        {"left": {"indicator": "rsi", "params": {"period": 14}}, "operator": "crosses_above", "right": 30},
        {"any": [
            {"left": {"indicator": "close"}, "operator": "above", "right": {"indicator": "sma"}},
            {"left": {"indicator": "volume"}, "operator": "rising", "candles": 3}]}]},
     "exit": {"any": [{"left": {"indicator": "rsi"}, "operator": "crosses_below", "right": 70}]},
     "stop_loss_pct": "5", "take_profit_pct": "10", "trailing_stop_pct": "3"}

Nothing in it is ever evaluated as code: every word is looked up in a table.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from exchanges.core.candles import Candles
from strategies.core.catalogue import CATALOGUE
from strategies.core.crossing import crosses_down, crosses_up, gap, rounded
from strategies.core.errors import RuleError
from strategies.core.indicators import DAY_MS
from strategies.core.parameters import Parameter
from strategies.core.rolling import Flags, Floats
from strategies.core.rule_definition import Condition, Definition, Group, Operand, parse_definition
from strategies.core.rule_schema import definition_schema
from strategies.core.rule_words import protections, render, sentences
from strategies.core.signals import Signals, confidences
from strategies.core.strategy import BaseStrategy
from strategies.core.wording import price

__all__ = ["Definition", "DefinitionParameter", "RuleError", "RuleStrategy", "parse_definition"]


def conditions_of(group: Group) -> Iterator[Condition]:
    for member in group.members:
        if isinstance(member, Condition):
            yield member
        else:
            yield from conditions_of(member)


def shifted(values: Floats, by: int) -> Floats:
    earlier = np.full(len(values), np.nan)
    earlier[by:] = values[: max(len(values) - by, 0)]
    return earlier


# What the difference between the sides, or to the value some candles ago, must be like.
TESTS: Mapping[str, Callable[[Floats], Flags]] = {
    "above": lambda difference: difference > 0,
    "below": lambda difference: difference < 0,
    "crosses_above": lambda difference: crosses_up(difference, 0.0),
    "crosses_below": lambda difference: crosses_down(difference, 0.0),
    "rising": lambda difference: difference > 0,
    "falling": lambda difference: difference < 0,
}


@dataclass(frozen=True, slots=True, eq=False)
class Board:
    """The columns that the conditions of one definition look at, each computed once."""

    candles: Candles
    columns: dict[str, Floats]

    @classmethod
    def over(cls, candles: Candles, operands: set[Operand]) -> "Board":
        columns: dict[str, Floats] = {}
        for operand in operands:
            indicator = CATALOGUE[operand.indicator]
            for output, values in zip(indicator.outputs, indicator.compute(candles, dict(operand.params)), strict=True):
                label = operand.labelled(output)
                columns[label] = rounded(values) if indicator.unit == "percent" else values
        return cls(candles, columns)

    def scale(self, operand: Operand) -> Floats:
        """What a difference of this operand's is compared with to tell it from noise."""
        match CATALOGUE[operand.indicator].unit:
            case "price":
                return self.candles.close
            case "volume":
                return self.columns[operand.label]
            case _:
                return np.full(len(self.candles), 100.0)

    def holds(self, condition: Condition) -> Flags:
        left = self.columns[condition.left.label]
        difference = gap(left, self._against(condition, left), self.scale(condition.left))
        return TESTS[condition.operator](difference)

    def _against(self, condition: Condition, left: Floats) -> Floats | float:
        match condition.right:
            case None:
                return shifted(left, condition.candles)
            case Operand(label=label):
                return self.columns[label]
            case number:
                return number


def combined(group: Group, flags: Mapping[str, Flags]) -> Flags:
    """Where the group holds, given where each of its conditions does."""
    parts = [
        flags[member.label] if isinstance(member, Condition) else combined(member, flags) for member in group.members
    ]
    merge = np.logical_and if group.every else np.logical_or
    result: Flags = merge.reduce(parts)
    return result


@dataclass(frozen=True, slots=True)
class DefinitionParameter(Parameter):
    """A definition, kept as JSON in which every default is written out."""

    @property
    def schema(self) -> dict[str, Any]:
        return definition_schema(f"#/properties/{self.name}")

    def clean(self, value: object) -> Any:
        """The definition as JSON."""
        if value is None:
            raise ValueError("Expected a rule, was missing.")
        try:
            return render(parse_definition(value))
        except RuleError as error:
            raise ValueError(str(error)) from None


class RuleStrategy(BaseStrategy):
    """A strategy from a definition, which travels in the parameters: what a run trades by never changes under it.

    ``rule_set`` and ``version`` only say which of a user's rule sets it was taken from; they change no opinion.
    Confidence: the share of the rule's conditions that hold on the candle, 1.0 when all of them do.
    """

    name = "rules"
    description = (
        "Trades by your own conditions on indicators, put together on the page Rules: all or any of them must hold to "
        "enter, others to exit, with a stop, a target or a trailing stop if you want them."
    )
    formula = (
        "BUY: the entry group holds on the closed candle. SELL: the exit group holds. A group holds when all, or "
        "any, of its members do. x crosses above y: x[i−1] < y[i−1] and x[i] ≥ y[i]. x crosses below y: "
        "x[i−1] > y[i−1] and x[i] ≤ y[i]. x rising over n: x[i] > x[i−n]. x falling over n: x[i] < x[i−n]."
    )
    does_badly_when = (
        "The conditions were chosen because they fit the past: the more of them there are, the easier it is to find "
        "some that would have won and will not. Try them on candles that they were not made on, fees included."
    )
    parameters = (
        DefinitionParameter("definition", "object", None, help="The rule, as the page Rules exports it."),
        Parameter("rule_set", "int", 0, 0, 2**53, help="Number of the rule set it was taken from; 0: none."),
        Parameter("version", "int", 0, 0, 2**31 - 1, help="Version of that rule set; 0: none."),
    )
    closes_suffice = False

    definition: Definition

    def __init__(self, *values: object, **given: object) -> None:
        super().__init__(*values, **given)
        self.definition = parse_definition(self.params["definition"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RuleStrategy) and self.definition == other.definition

    def __hash__(self) -> int:
        return hash(self.definition)

    @property
    def protections(self) -> Mapping[str, str]:
        return protections(self.definition)

    @property
    def words(self) -> list[str]:
        return sentences(self.definition)

    @cached_property
    def _conditions(self) -> tuple[tuple[Condition, ...], tuple[Condition, ...]]:
        exit_group = self.definition.exit
        return tuple(conditions_of(self.definition.entry)), tuple(conditions_of(exit_group)) if exit_group else ()

    @cached_property
    def _operands(self) -> set[Operand]:
        entry, exit_ = self._conditions
        return {operand for condition in (*entry, *exit_) for operand in condition.operands}

    @property
    def minimum(self) -> int:
        return self._longest("minimum")

    @property
    def warmup(self) -> int:
        return self._longest("warmup")

    def warmup_on(self, timeframe_ms: int) -> int:
        days = any(operand.indicator == "vwap_session" for operand in self._operands)
        # A day of candles, and what the longest condition looks back to before it.
        return max(self.warmup, DAY_MS // timeframe_ms + 100) if days else self.warmup

    def _longest(self, length: str) -> int:
        """The candles that the most demanding condition needs, with those it looks back to."""
        entry, exit_ = self._conditions
        needs: Iterator[int] = (
            condition.looks_back + getattr(CATALOGUE[operand.indicator], length)(dict(operand.params))
            for condition in (*entry, *exit_)
            for operand in condition.operands
        )
        return max(needs)

    def signals(self, candles: Candles) -> Signals:
        board = Board.over(candles, self._operands)
        entry_rules, exit_rules = self._conditions
        flags = {condition.label: board.holds(condition) for condition in {*entry_rules, *exit_rules}}
        ready = np.arange(len(candles)) + 1 >= self.minimum
        entry = combined(self.definition.entry, flags) & ready
        exit_ = combined(self.definition.exit, flags) & ready if self.definition.exit else np.zeros_like(entry)
        confidence = confidences(
            entry,
            exit_,
            lambda at: np.mean([flags[condition.label][at] for condition in entry_rules], axis=0),
            lambda at: np.mean([flags[condition.label][at] for condition in exit_rules], axis=0),
        )
        columns = {label: rounded(values) for label, values in board.columns.items()}
        return Signals(entry, exit_, ready, confidence, columns, conditions=flags)

    def reason(self, signals: Signals, index: int, holding: bool) -> str:
        index %= len(signals)
        if not signals.ready[index]:
            return self.warming_up(index + 1)
        if holding and self.definition.exit is None:
            return "There is no exit rule: the stop, the target or the trailing stop sells."
        word = "exit" if holding else "entry"
        holds = (signals.exit if holding else signals.entry)[index]
        rules = list(dict.fromkeys(self._conditions[holding]))
        met, unmet = (
            [self._said(rule, signals, index) for rule in rules if signals.conditions[rule.label][index] == wanted]
            for wanted in (True, False)
        )
        said = [f"{label}: {'; '.join(parts)}." for label, parts in (("Met", met), ("Not met", unmet)) if parts]
        return f"The {word} rule {'holds' if holds else 'does not hold'}. {' '.join(said)}"

    def _said(self, condition: Condition, signals: Signals, index: int) -> str:
        values = [
            f"{operand.label} {price(signals.indicators[operand.label][index])}" for operand in condition.operands
        ]
        return f"{condition.label} ({', '.join(values)})"
