"""What `execute` is handed: recent candles in whichever of the usual shapes, and whether a position is open."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from exchanges.core.candles import Candles
from strategies.core.errors import HistoryMissing

KEYS = ("candles", "ohlcv", "closes", "close_prices", "prices", "history")
# Closes alone carry no times; a minute apart is as good as any, and a new day never begins among few.
STEP_MS = 60_000


def candles_of(ticker_data: Mapping[str, Any], *, closes_suffice: bool = True) -> Candles:
    """The history under the first key of `KEYS`: Candles, rows [ms, o, h, l, c, v], or closes.

    Raises HistoryMissing when there is none, or when closes are given to a strategy that needs candles.
    """
    key = next((key for key in KEYS if ticker_data.get(key) is not None), None)
    if key is None:
        found = ", ".join(sorted(map(str, ticker_data))) or "nothing"
        raise HistoryMissing(f"Expected history under one of {', '.join(KEYS)}, was {found}.")
    history = ticker_data[key]
    if isinstance(history, Candles):
        return history
    items = list(history)
    if items and isinstance(items[0], Sequence | np.ndarray) and not isinstance(items[0], str):
        return _from_rows(key, items)
    if items and not closes_suffice:
        raise HistoryMissing(f"{key}: Expected rows [opened_at_ms, open, high, low, close, volume], was closes only.")
    return _from_closes(key, items)


def _from_rows(key: str, rows: list[Sequence[Any]]) -> Candles:
    for number, row in enumerate(rows):
        if len(row) < 6:
            raise HistoryMissing(f"{key}[{number}]: Expected 6 columns, was {len(row)}.")
        _finite(f"{key}[{number}]", row[1:6])
    return Candles.from_rows([list(row[:6]) for row in rows])


def _from_closes(key: str, closes: list[Any]) -> Candles:
    values = np.array(_finite(key, closes), dtype=np.float64)
    times = np.arange(len(values), dtype=np.int64) * STEP_MS
    return Candles(times, values, values, values, values, np.zeros(len(values)))


def _finite(where: str, values: Sequence[Any]) -> list[float]:
    numbers: list[float] = []
    for value in values:
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise HistoryMissing(f"{where}: Expected finite numbers, was {value!r}.")
        numbers.append(number)
    return numbers


def holding_of(context: Mapping[str, Any]) -> bool | None:
    """Whether a position is open, from ``holding`` or ``position``; None when the context does not say."""
    if context.get("holding") is not None:
        return bool(context["holding"])
    if "position" not in context:
        return None
    position = context["position"]
    if isinstance(position, Mapping):
        position = position.get("amount")
    if isinstance(position, int | float | str | Decimal) and not isinstance(position, bool):
        return _nonzero(position)
    return bool(position)


def _nonzero(amount: float | str | Decimal) -> bool:
    try:
        return Decimal(str(amount)) != 0
    except InvalidOperation:
        raise ValueError(f"position: Expected an amount, was {amount!r}.") from None
