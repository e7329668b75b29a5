"""JSON Schema of a rule: what editors and API clients check a definition with before they send it."""

from typing import Any

from strategies.core.catalogue import CATALOGUE, Indicator
from strategies.core.parameters import json_schema
from strategies.core.rule_definition import (
    CANDLES,
    COMPARING,
    LOOKING_BACK,
    MAX_CONDITIONS,
    MAX_DEPTH,
    NUMBER,
    PROTECTIONS,
)

DESCRIPTION = (
    f"Conditions on indicators, at most {MAX_CONDITIONS} in all, in groups at most {MAX_DEPTH} deep; one group to "
    "enter, one to exit, protections in percent. Without an exit at least one protection is needed. Both sides of a "
    "comparison have the same unit."
)


def definition_schema(root: str = "#") -> dict[str, Any]:
    """JSON Schema (2020-12); ``root`` is where the schema will stand, for its references to itself."""
    refs = {name: {"$ref": f"{root}/$defs/{name}"} for name in ("group", "condition", "operand")}
    return {
        "type": "object",
        "description": DESCRIPTION,
        "properties": {
            "entry": {**refs["group"], "description": "Buys when it holds while nothing is held."},
            "exit": {"anyOf": [refs["group"], {"type": "null"}], "description": "Sells when it holds."},
            **{protection.name: _optional(protection.schema) for protection in PROTECTIONS},
        },
        "required": ["entry"],
        "additionalProperties": False,
        "$defs": {
            "group": {"oneOf": [_group(word, refs) for word in ("all", "any")]},
            "condition": {"oneOf": [_comparing(refs), _looking_back(refs)]},
            "operand": {"oneOf": [_operand(indicator) for indicator in CATALOGUE.values()]},
        },
    }


def _optional(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the default, which is a suggestion of forms: a protection that is not given is not there."""
    kept = {name: value for name, value in schema.items() if name not in ("default", "type")}
    return {"type": ["string", "number", "null"], **kept}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _group(word: str, refs: dict[str, Any]) -> dict[str, Any]:
    members = {"anyOf": [refs["condition"], refs["group"]]}
    return _object({word: {"type": "array", "items": members, "minItems": 1, "maxItems": MAX_CONDITIONS}}, [word])


def _comparing(refs: dict[str, Any]) -> dict[str, Any]:
    number = {"type": "number", "minimum": NUMBER.minimum, "maximum": NUMBER.maximum}
    right = {"anyOf": [number, refs["operand"]]}
    properties = {"left": refs["operand"], "operator": {"enum": list(COMPARING)}, "right": right}
    return _object(properties, ["left", "operator", "right"])


def _looking_back(refs: dict[str, Any]) -> dict[str, Any]:
    properties = {"left": refs["operand"], "operator": {"enum": list(LOOKING_BACK)}, "candles": CANDLES.schema}
    return _object(properties, ["left", "operator"])


def _operand(indicator: Indicator) -> dict[str, Any]:
    properties: dict[str, Any] = {"indicator": {"const": indicator.name}, "params": json_schema(indicator.parameters)}
    properties["output"] = {"enum": list(indicator.outputs), "default": indicator.outputs[0]}
    return _object(properties, ["indicator"])
