"""Indicators named in text, such as ``rsi(14),bollinger(20,2)``, as columns beside candles."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exchanges.core.candles import Candles
from strategies.core import indicators as ta

Floats = npt.NDArray[np.float64]
Compute = Callable[..., Mapping[str, Floats]]
MOST = 8
LONGEST = 500
CALL = re.compile(r"\s*([a-z_]+)\s*(?:\(([^()]*)\))?\s*")
PARTS = re.compile(r",(?![^()]*\))")


class ColumnError(ValueError):
    """The message says what was expected."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """``defaults`` are its numbers in order; ``warmup`` how many candles before the first one it remembers."""

    defaults: tuple[float, ...]
    compute: Compute
    warmup: Callable[..., int]


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    indicator: Indicator
    numbers: tuple[float, ...]

    @property
    def warmup(self) -> int:
        return self.indicator.warmup(*self.numbers)

    def over(self, candles: Candles) -> Mapping[str, Floats]:
        """Its column, or its several ones (``bollinger(20,2).upper``), rounded to 8 decimals."""
        found = self.indicator.compute(candles, *self.numbers)
        return {f"{self.name}.{part}" if part else self.name: np.round(values, 8) for part, values in found.items()}


def _typical(candles: Candles) -> Floats:
    return ta.typical_price(candles.high, candles.low, candles.close)


def _three(names: Sequence[str], values: Sequence[Floats]) -> dict[str, Floats]:
    return dict(zip(names, values, strict=True))


INDICATORS: Mapping[str, Indicator] = {
    "rsi": Indicator((14,), lambda c, n: {"": ta.rsi_cutler(c.close, n)}, lambda n: n + 1),
    "rsi_wilder": Indicator((14,), lambda c, n: {"": ta.rsi_wilder(c.close, n)}, ta.wilder_warmup),
    "sma": Indicator((20,), lambda c, n: {"": ta.sma(c.close, n)}, lambda n: n),
    "ema": Indicator((20,), lambda c, n: {"": ta.ema(c.close, n)}, ta.ema_warmup),
    "atr": Indicator((14,), lambda c, n: {"": ta.atr(c.high, c.low, c.close, n)}, ta.wilder_warmup),
    "vwap": Indicator((20,), lambda c, n: {"": ta.vwap_rolling(_typical(c), c.volume, n)}, lambda n: n),
    "bollinger": Indicator(
        (20, 2.0),
        lambda c, n, width: _three(("lower", "middle", "upper"), ta.bollinger(c.close, n, width)),
        lambda n, width: n,
    ),
    "donchian": Indicator(
        (20,),
        lambda c, n: {"lower": ta.donchian_low(c.low, n), "upper": ta.donchian_high(c.high, n)},
        lambda n: n + 1,
    ),
    "macd": Indicator(
        (12, 26, 9),
        lambda c, fast, slow, smooth: _three(("line", "signal", "histogram"), ta.macd(c.close, fast, slow, smooth)),
        lambda fast, slow, smooth: ta.ema_warmup(max(fast, slow)) + ta.ema_warmup(smooth),
    ),
}


def parse_columns(text: str) -> list[Column]:
    """Raises ColumnError, which says what was expected."""
    columns = [_column(part) for part in PARTS.split(text)] if text.strip() else []
    if len(columns) > MOST:
        raise ColumnError(f"Expected at most {MOST} indicators, was {len(columns)}.")
    return columns


def _column(text: str) -> Column:
    match = CALL.fullmatch(text)
    if match is None or match[1] not in INDICATORS:
        raise ColumnError(f"Expected some of {', '.join(INDICATORS)}, each with its numbers, such as rsi(14).")
    indicator = INDICATORS[match[1]]
    given = match[2].split(",") if match[2] and match[2].strip() else []
    if len(given) > len(indicator.defaults):
        raise ColumnError(f"{match[1]}: Expected at most {len(indicator.defaults)} numbers, was {len(given)}.")
    numbers = tuple(
        _number(match[1], given[i] if i < len(given) else None, default) for i, default in enumerate(indicator.defaults)
    )
    return Column(f"{match[1]}({','.join(f'{number:g}' for number in numbers)})", indicator, numbers)


def _number(name: str, text: str | None, default: float) -> float:
    """A period is a whole number like its default; a width may have a fraction."""
    if text is None:
        return default
    whole = isinstance(default, int)
    if not re.fullmatch(r"\s*[0-9]{1,3}\s*" if whole else r"\s*[0-9]{1,3}(\.[0-9]{1,6})?\s*", text):
        raise ColumnError(f"{name}: Expected {'a whole number' if whole else 'a number'}, was {text.strip()[:20]!r}.")
    number = int(text) if whole else float(text)
    # A Wilder mean of one change is the change itself, which TA-Lib refuses to compute.
    if not (2 if whole else 0.000001) <= number <= LONGEST:
        raise ColumnError(f"{name}: Expected a number from 2 to {LONGEST}, was {number:g}.")
    return number
