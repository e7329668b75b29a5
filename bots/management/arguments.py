"""Texts of the command line as values."""

import argparse
import json
from decimal import Decimal, InvalidOperation
from typing import Any


def json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"Expected a JSON object ({error}).") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"Expected a JSON object, was {text!r}.")
    return value


def money(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"Expected a decimal number, was {text!r}.") from None
