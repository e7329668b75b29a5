"""What a strategy can be told: one declaration for API, forms, commands and validation."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from exchanges.core.decimals import plain
from strategies.core.errors import ParameterError

__all__ = ["Parameter", "ParameterError", "Value", "as_json", "json_schema", "parse", "validate"]

Kind = Literal["int", "float", "decimal", "choice", "bool", "object"]
Value = int | float | Decimal | str | bool
Check = Callable[[Mapping[str, Any]], Mapping[str, str]]

WORDS = {
    "int": "a whole number",
    "float": "a number",
    "decimal": "a decimal number",
    "bool": "true or false",
    "object": "a JSON object",
}
TRUTH = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


@dataclass(frozen=True, slots=True)
class Parameter:
    """Both bounds belong to the range; ``aliases`` are further names that are accepted. No default: required."""

    name: str
    kind: Kind
    default: Value | None
    minimum: int | float | Decimal | None = None
    maximum: int | float | Decimal | None = None
    choices: tuple[str, ...] = ()
    help: str = ""
    aliases: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        if self.kind == "choice":
            return f"one of {', '.join(self.choices)}"
        bounds = {
            (True, True): f" from {self.minimum} to {self.maximum}",
            (True, False): f" of at least {self.minimum}",
            (False, True): f" of at most {self.maximum}",
            (False, False): "",
        }
        return WORDS[self.kind] + bounds[self.minimum is not None, self.maximum is not None]

    @property
    def schema(self) -> dict[str, Any]:
        """JSON Schema of the value."""
        decimal = self.kind == "decimal"
        facts: dict[str, Any] = {"type": SCHEMA_TYPES[self.kind]}
        if self.default is not None:
            facts["default"] = _spelled(self.default) if decimal else self.default
        facts["description"] = self.help
        if decimal:
            # JSON Schema compares only numbers, so the bounds of a decimal text stand beside it.
            facts["format"] = "decimal"
        for word, bound in (("minimum", self.minimum), ("maximum", self.maximum)):
            if bound is not None:
                facts[word] = _spelled(bound) if decimal else bound
        if self.choices:
            facts["enum"] = list(self.choices)
        return facts

    def clean(self, value: object) -> Value:
        """The value in its type; raises ValueError with a sentence."""
        if value is None and self.default is None:
            raise ValueError(f"Expected {self.expected}, was missing.")
        cleaned: Value | None = CLEANERS[self.kind](value)
        if cleaned is None or not self._allows(cleaned):
            raise ValueError(f"Expected {self.expected}, was {value!r}.")
        return cleaned

    def _allows(self, value: Any) -> bool:
        if self.kind == "choice":
            return value in self.choices
        above = self.minimum is None or value >= self.minimum
        return above and (self.maximum is None or value <= self.maximum)


def _clean_int(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _clean_float(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _spelled(value: object) -> str:
    """A decimal as its digits, never with an exponent."""
    return plain(value) if isinstance(value, Decimal) else str(value)


def _clean_decimal(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


# An object is nobody's business but its strategy's, so it has no place among the values that forms and sweeps vary.
CLEANERS: Mapping[Kind, Callable[[object], Any]] = {
    "int": _clean_int,
    "float": _clean_float,
    "decimal": _clean_decimal,
    "choice": lambda value: value if isinstance(value, str) else None,
    "bool": lambda value: value if isinstance(value, bool) else None,
    "object": lambda value: dict(value) if isinstance(value, Mapping) else None,
}


def no_check(values: Mapping[str, Any]) -> Mapping[str, str]:
    return {}


def validate(
    parameters: tuple[Parameter, ...], given: Mapping[str, object], check: Check = no_check
) -> dict[str, Value]:
    """Every parameter by its own name, defaults filled in; raises ParameterError naming all that is wrong.

    ``check`` sees the cleaned values and answers errors about their combination.
    """
    named, errors = _named(parameters, given)
    values: dict[str, Value] = {}
    for parameter in parameters:
        try:
            values[parameter.name] = parameter.clean(named.get(parameter.name, parameter.default))
        except ValueError as error:
            errors[parameter.name] = str(error)
    errors = errors or dict(check(values))
    if errors:
        raise ParameterError(errors)
    return values


def _named(parameters: tuple[Parameter, ...], given: Mapping[str, object]) -> tuple[dict[str, object], dict[str, str]]:
    """The values under the parameters' own names, and errors about names."""
    names = {alias: p.name for p in parameters for alias in (p.name, *p.aliases)}
    known = ", ".join(p.name for p in parameters) or "no parameters"
    named: dict[str, object] = {}
    errors: dict[str, str] = {}
    for name, value in given.items():
        if name not in names:
            errors[name] = f"Expected {known}, was an unknown parameter."
        elif names[name] in named:
            errors[name] = f"Expected {names[name]} once, was given twice."
        else:
            named[names[name]] = value
    return named, errors


def parse(parameters: tuple[Parameter, ...], texts: Mapping[str, object], check: Check = no_check) -> dict[str, Value]:
    """As `validate`, for what forms and commands give: texts; an empty one means the default."""
    kinds = {alias: p.kind for p in parameters for alias in (p.name, *p.aliases)}
    given = {
        name: _typed(kinds.get(name), text) if isinstance(text, str) else text
        for name, text in texts.items()
        if not (isinstance(text, str) and not text.strip())
    }
    return validate(parameters, given, check)


def _typed(kind: Kind | None, text: str) -> object:
    """The text as its kind reads it; what cannot be read stays text, for `validate` to refuse."""
    text = text.strip()
    if kind == "bool":
        return TRUTH.get(text.lower(), text)
    if kind not in READERS:
        return text
    try:
        return READERS[kind](text)
    except (ValueError, RecursionError):
        return text


READERS: Mapping[Kind | None, Callable[[str], object]] = {"int": int, "float": float, "object": json.loads}
SCHEMA_TYPES = {
    "int": "integer",
    "float": "number",
    "decimal": "string",
    "choice": "string",
    "bool": "boolean",
    "object": "object",
}


def as_json(values: Mapping[str, Value]) -> dict[str, Any]:
    """The values as JSON keeps them: a decimal as its text, which `validate` reads again."""
    return {name: plain(value) if isinstance(value, Decimal) else value for name, value in values.items()}


def json_schema(parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """JSON Schema (2020-12) of the object that `validate` takes."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {parameter.name: parameter.schema for parameter in parameters},
        "additionalProperties": False,
    }
    required = [parameter.name for parameter in parameters if parameter.default is None]
    return {**schema, "required": required} if required else schema
