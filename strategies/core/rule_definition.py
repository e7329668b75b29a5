"""The shape of a rule: parsing it from JSON, with the path of whatever is wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from strategies.core.catalogue import CATALOGUE
from strategies.core.errors import ParameterError, RuleError
from strategies.core.parameters import Parameter, Value
from strategies.core.wording import level

MAX_DEPTH = 4
MAX_CONDITIONS = 32
#: Values in a definition's JSON: more than any permitted one has, and few enough to be looked at at once.
MAX_VALUES = 1_000
COMPARING = ("above", "below", "crosses_above", "crosses_below")
LOOKING_BACK = ("rising", "falling")
OPERATORS = (*COMPARING, *LOOKING_BACK)
PROTECTIONS = (
    Parameter("stop_loss_pct", "decimal", Decimal("5"), Decimal("0.01"), Decimal("99"), help="Under the entry price."),
    Parameter(
        "take_profit_pct", "decimal", Decimal("10"), Decimal("0.01"), Decimal("10000"), help="Over the entry price."
    ),
    Parameter(
        "trailing_stop_pct", "decimal", Decimal("5"), Decimal("0.01"), Decimal("99"), help="Under the highest price."
    ),
)
CANDLES = Parameter("candles", "int", 1, 1, 100, help="How many candles ago it is compared with.")
NUMBER = Parameter("right", "float", 0.0, -(10**12), 10**12)


@dataclass(frozen=True, slots=True)
class Operand:
    """One output of one indicator."""

    indicator: str
    params: tuple[tuple[str, Value], ...]
    output: str

    def labelled(self, output: str) -> str:
        known = CATALOGUE[self.indicator]
        values = ", ".join(level(v) if isinstance(v, float) else str(v) for _, v in self.params)
        name = f"{self.indicator}({values})" if values else self.indicator
        return name if len(known.outputs) == 1 else f"{name}.{output}"

    @property
    def label(self) -> str:
        return self.labelled(self.output)


@dataclass(frozen=True, slots=True)
class Condition:
    left: Operand
    operator: str
    right: Operand | float | None
    candles: int = 1

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (self.left, self.right) if isinstance(self.right, Operand) else (self.left,)

    @property
    def looks_back(self) -> int:
        """Candles before the current one that it needs values of."""
        if self.operator in LOOKING_BACK:
            return self.candles
        return 1 if self.operator.startswith("crosses") else 0

    @property
    def label(self) -> str:
        words = f"{self.left.label} {self.operator.replace('_', ' ')}"
        match self.right:
            case None:
                return f"{words} over {self.candles}"
            case Operand():
                return f"{words} {self.right.label}"
            case number:
                return f"{words} {level(number)}"


@dataclass(frozen=True, slots=True)
class Group:
    """``every``: all members must hold, else any."""

    every: bool
    members: tuple["Condition | Group", ...]


@dataclass(frozen=True, slots=True)
class Definition:
    """``exit`` is None when only the stop, the target or the trailing stop sells; they are percentages."""

    entry: Group
    exit: Group | None
    stop_loss_pct: Decimal | None = None
    take_profit_pct: Decimal | None = None
    trailing_stop_pct: Decimal | None = None


def parse_definition(given: Any) -> Definition:
    """The definition; raises RuleError for the first thing that is wrong."""
    names = ("entry", "exit", *(protection.name for protection in PROTECTIONS))
    _bounded(given)
    _object("definition", given, names, required=("entry",))
    entry = _group("entry", given["entry"], 1)
    exit_ = _group("exit", given["exit"], 1) if given.get("exit") is not None else None
    if _size(entry) + (_size(exit_) if exit_ else 0) > MAX_CONDITIONS:
        raise RuleError("definition", f"Expected at most {MAX_CONDITIONS} conditions in all.")
    protections = {
        protection.name: _clean(protection, protection.name, given[protection.name])
        for protection in PROTECTIONS
        if given.get(protection.name) is not None
    }
    if exit_ is None and not protections:
        raise RuleError("exit", "Expected an exit rule, a stop, a target or a trailing stop, was none.")
    return Definition(entry, exit_, **protections)


def _bounded(given: Any) -> None:
    """Before anything is looked at closely: whoever sends a mountain gets one sentence, not an hour."""
    waiting, seen = [given], 0
    while waiting:
        seen += 1
        if seen > MAX_VALUES:
            raise RuleError("definition", f"Expected at most {MAX_CONDITIONS} conditions in all.")
        value = waiting.pop()
        waiting += value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()


def _size(group: Group) -> int:
    return sum(_size(member) if isinstance(member, Group) else 1 for member in group.members)


def _object(path: str, given: Any, names: Sequence[str], required: Sequence[str] = ()) -> None:
    if not isinstance(given, Mapping):
        raise RuleError(path, f"Expected an object, was {type(given).__name__}.")
    for name in given:
        if name not in names:
            raise RuleError(f"{path}.{name}", f"Expected one of {', '.join(names)}, was an unknown key.")
    for name in required:
        if name not in given:
            raise RuleError(f"{path}.{name}", "Expected a value, was missing.")


def _group(path: str, given: Any, depth: int) -> Group:
    if depth > MAX_DEPTH:
        raise RuleError(path, f"Expected groups at most {MAX_DEPTH} deep.")
    _object(path, given, ("all", "any"))
    if len(given) != 1:
        raise RuleError(path, "Expected exactly one of all, any.")
    ((word, members),) = given.items()
    if not isinstance(members, list) or not 0 < len(members) <= MAX_CONDITIONS:
        raise RuleError(f"{path}.{word}", f"Expected a list of 1 to {MAX_CONDITIONS} conditions or groups.")
    return Group(
        word == "all", tuple(_member(f"{path}.{word}[{i}]", member, depth) for i, member in enumerate(members))
    )


def _member(path: str, given: Any, depth: int) -> Condition | Group:
    if isinstance(given, Mapping) and ("all" in given or "any" in given):
        return _group(path, given, depth + 1)
    return _condition(path, given)


def _condition(path: str, given: Any) -> Condition:
    _object(path, given, ("left", "operator", "right", "candles"), required=("left", "operator"))
    operator = given["operator"]
    if operator not in OPERATORS:
        raise RuleError(f"{path}.operator", f"Expected one of {', '.join(OPERATORS)}, was {operator!r}.")
    left = _operand(f"{path}.left", given["left"])
    unused, needed = ("right", "candles") if operator in LOOKING_BACK else ("candles", "right")
    if unused in given:
        raise RuleError(f"{path}.{unused}", f"Expected nothing beside {operator}, was {given[unused]!r}.")
    if needed == "candles":
        return Condition(left, operator, None, _clean(CANDLES, f"{path}.candles", given.get("candles", 1)))
    if "right" not in given:
        raise RuleError(f"{path}.right", "Expected a number or an indicator, was missing.")
    return Condition(left, operator, _right(f"{path}.right", given["right"], left))


def _right(path: str, given: Any, left: Operand) -> Operand | float:
    if not isinstance(given, Mapping):
        number: float = _clean(NUMBER, path, given)
        return number
    right = _operand(path, given)
    units = CATALOGUE[left.indicator].unit, CATALOGUE[right.indicator].unit
    if units[0] != units[1]:
        raise RuleError(path, f"Expected a {units[0]} to compare {left.label} with, was a {units[1]}.")
    return right


def _operand(path: str, given: Any) -> Operand:
    _object(path, given, ("indicator", "params", "output"), required=("indicator",))
    name = given["indicator"]
    indicator = CATALOGUE.get(name) if isinstance(name, str) else None
    if indicator is None:
        raise RuleError(f"{path}.indicator", f"Expected one of {', '.join(CATALOGUE)}, was {name!r}.")
    params = given.get("params", {})
    _object(f"{path}.params", params, [parameter.name for parameter in indicator.parameters])
    try:
        values = indicator.validate(params)
    except ParameterError as error:
        parameter, message = next(iter(error.errors.items()))
        raise RuleError(f"{path}.params.{parameter}", message) from None
    output = given.get("output", indicator.outputs[0])
    if output not in indicator.outputs:
        raise RuleError(f"{path}.output", f"Expected one of {', '.join(indicator.outputs)}, was {output!r}.")
    return Operand(indicator.name, tuple(values.items()), output)


def _clean(parameter: Parameter, path: str, value: object) -> Any:
    try:
        return parameter.clean(value)
    except ValueError as error:
        raise RuleError(path, str(error)) from None
