"""What the chart's script reads, whether of a bot or of a backtest; times in epoch seconds, unknown values None."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from exchanges.core.candles import Candles, Floats
from strategies import queries as strategies
from strategies.core.errors import ParameterError
from strategies.core.plan import Grid

#: Indicators that have lines of their own to cross, by the parameter that sets them.
THRESHOLDS = {"rsi": ("oversold", "overbought")}


def levels_of(strategy: str, params: Mapping[str, Any]) -> list[float]:
    """The lines of a grid; none for any other strategy, or one that cannot be built any more."""
    try:
        plan = strategies.rebuild(strategy, params).plan
    except (strategies.UnknownStrategy, ParameterError):
        return []
    return [float(line) for line in plan.lines] if isinstance(plan, Grid) else []


def drawn(
    candles: Candles, indicators: Mapping[str, Floats], strategy: str, params: Mapping[str, Any],
    marks: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:  # fmt: skip
    """Indicators on the price's scale lie over the candles, the others in panes below; a grid's lines lie across."""
    times = (candles.opened_at // 1000).tolist()
    columns = {name: column for name, column in indicators.items() if name != "close"}
    over = [name for name, column in columns.items() if _at_price(column, candles)]
    return {
        "candles": [[time, *row[1:]] for time, row in zip(times, candles.rows(), strict=True)],
        "overlays": [{"name": name, "values": _values(columns[name])} for name in over],
        "panes": [
            {"name": name, "values": _values(column), "lines": _lines(name, params)}
            for name, column in columns.items()
            if name not in over
        ],
        "markers": marks,
        "levels": levels_of(strategy, params),
    }


def _values(column: Floats) -> list[float | None]:
    return [None if np.isnan(value) else value for value in column.tolist()]


def _at_price(column: Floats, candles: Candles) -> bool:
    known = column[~np.isnan(column)]
    return bool(len(known)) and 0.5 < float(np.median(known)) / float(np.median(candles.close)) < 2


def _lines(name: str, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"label": word, "value": float(params[word])} for word in THRESHOLDS.get(name, ()) if word in params]
