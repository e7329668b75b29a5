import json
import math
from decimal import Decimal

import pytest

from strategies.core.errors import ParameterError
from strategies.core.parameters import Parameter, as_json, json_schema, parse, validate

ALL = (
    Parameter("period", "int", 14, 2, 200, help="Candles.", aliases=("length",)),
    Parameter("factor", "float", 2.0, minimum=0),
    Parameter("stop", "decimal", Decimal("0.05"), Decimal("0.001"), Decimal("0.9")),
    Parameter("method", "choice", "a", choices=("a", "b")),
    Parameter("strict", "bool", False),
    Parameter("ceiling", "int", 5, maximum=9),
)


def errors_of(given, check=None):
    with pytest.raises(ParameterError) as refused:
        validate(ALL, given, *([check] if check else []))
    return refused.value.errors


def test_validate_fills_in_the_defaults():
    assert validate(ALL, {}) == {
        "period": 14, "factor": 2.0, "stop": Decimal("0.05"), "method": "a", "strict": False, "ceiling": 5,
    }  # fmt: skip


def test_values_survive_json():
    values = validate(ALL, {"stop": Decimal("0.10")})
    assert as_json(values) == {**values, "stop": "0.1"}
    assert validate(ALL, json.loads(json.dumps(as_json(values)))) == values


def test_validate_types_what_it_is_given():
    values = validate(ALL, {"length": 20.0, "factor": 3, "stop": 0.1, "method": "b", "strict": True})
    assert values == {
        "period": 20, "factor": 3.0, "stop": Decimal("0.1"), "method": "b", "strict": True, "ceiling": 5,
    }  # fmt: skip
    assert (type(values["period"]), type(values["factor"])) == (int, float)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("period", True, "Expected a whole number from 2 to 200, was True."),
        ("period", "20", "Expected a whole number from 2 to 200, was '20'."),
        ("period", 14.5, "Expected a whole number from 2 to 200, was 14.5."),
        ("period", 201, "Expected a whole number from 2 to 200, was 201."),
        ("period", None, "Expected a whole number from 2 to 200, was None."),
        ("factor", False, "Expected a number of at least 0, was False."),
        ("factor", math.nan, "Expected a number of at least 0, was nan."),
        ("factor", math.inf, "Expected a number of at least 0, was inf."),
        ("factor", -1, "Expected a number of at least 0, was -1."),
        ("factor", "2", "Expected a number of at least 0, was '2'."),
        ("stop", True, "Expected a decimal number from 0.001 to 0.9, was True."),
        ("stop", "NaN", "Expected a decimal number from 0.001 to 0.9, was 'NaN'."),
        ("stop", "five", "Expected a decimal number from 0.001 to 0.9, was 'five'."),
        ("stop", [], "Expected a decimal number from 0.001 to 0.9, was []."),
        ("method", "c", "Expected one of a, b, was 'c'."),
        ("method", 1, "Expected one of a, b, was 1."),
        ("strict", 1, "Expected true or false, was 1."),
        ("ceiling", 10, "Expected a whole number of at most 9, was 10."),
        ("perid", 3, "Expected period, factor, stop, method, strict, ceiling, was an unknown parameter."),
    ],
)
def test_validate_names_what_is_wrong(name, value, message):
    assert errors_of({name: value}) == {name: message}


def test_validate_of_a_number_beyond_all_floats_names_it():
    assert set(errors_of({"factor": 10**400})) == {"factor"}


def test_validate_names_everything_at_once():
    assert set(errors_of({"period": 0, "method": "z", "other": 1})) == {"period", "method", "other"}


def test_validate_refuses_a_name_and_its_alias_together():
    assert errors_of({"period": 3, "length": 3}) == {"length": "Expected period once, was given twice."}


def test_validate_asks_the_check_only_about_clean_values():
    seen = []

    def check(values):
        seen.append(dict(values))
        return {"period": "Expected a multiple of ceiling."}

    assert errors_of({"period": 12}, check) == {"period": "Expected a multiple of ceiling."}
    assert set(errors_of({"period": 0}, check)) == {"period"}
    assert len(seen) == 1


def test_parameter_error_reads_as_sentences():
    assert str(ParameterError({"a": "Expected 1.", "b": "Expected 2."})) == "a: Expected 1. b: Expected 2."


def test_unknown_parameter_of_a_strategy_without_any_says_so():
    with pytest.raises(ParameterError, match="x: Expected no parameters"):
        validate((), {"x": 1})


def test_parse_reads_texts():
    given = {"period": " 30 ", "factor": "1e1", "stop": "0.2", "method": " b", "strict": "on", "ceiling": " "}
    assert parse(ALL, given) == {
        "period": 30, "factor": 10.0, "stop": Decimal("0.2"), "method": "b", "strict": True, "ceiling": 5,
    }  # fmt: skip
    assert parse(ALL, {"period": 30, "strict": "No"})["strict"] is False


@pytest.mark.parametrize(("name", "text"), [("period", "3.5"), ("factor", "x"), ("strict", "maybe"), ("other", "1")])
def test_parse_leaves_what_it_cannot_read_to_the_validation(name, text):
    with pytest.raises(ParameterError) as refused:
        parse(ALL, {name: text})
    assert set(refused.value.errors) == {name}


def test_schema_says_types_bounds_defaults_and_help():
    schema = json_schema(ALL)
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is False
    assert schema["properties"]["period"] == {
        "type": "integer", "default": 14, "description": "Candles.", "minimum": 2, "maximum": 200,
    }  # fmt: skip
    assert schema["properties"]["factor"] == {"type": "number", "default": 2.0, "description": "", "minimum": 0}
    assert schema["properties"]["stop"] == {
        "type": "string", "format": "decimal", "default": "0.05", "description": "",
        "minimum": "0.001", "maximum": "0.9",
    }  # fmt: skip
    assert schema["properties"]["method"]["enum"] == ["a", "b"]
    assert schema["properties"]["strict"]["type"] == "boolean"


# --- what has to be said -----------------------------------------------------------------------------------------


REQUIRED = (Parameter("size", "int", None, 1, 9, help="How many."), Parameter("facts", "object", None))


def test_parameter_without_default_is_required():
    with pytest.raises(ParameterError) as refused:
        validate(REQUIRED, {"facts": [1]})
    assert refused.value.errors == {
        "size": "Expected a whole number from 1 to 9, was missing.",
        "facts": "Expected a JSON object, was [1].",
    }
    assert validate(REQUIRED, {"size": 2, "facts": {"a": 1}}) == {"size": 2, "facts": {"a": 1}}
    assert json_schema(REQUIRED)["required"] == ["size", "facts"]
    assert json_schema(REQUIRED)["properties"]["facts"] == {"type": "object", "description": ""}


def test_object_is_read_from_its_json():
    assert parse(REQUIRED, {"size": "2", "facts": '{"a": 1}'}) == {"size": 2, "facts": {"a": 1}}
    with pytest.raises(ParameterError, match=r"Expected a JSON object, was '\{'"):
        parse(REQUIRED, {"size": "2", "facts": "{"})
