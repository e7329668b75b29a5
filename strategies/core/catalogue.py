"""The indicators that rules and charts can name, each with its parameters and how long it remembers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from exchanges.core.candles import Candles
from strategies.core import indicators as ind
from strategies.core.parameters import Check, Parameter, Value, no_check, validate
from strategies.core.ratchet import MEMORY
from strategies.core.rolling import Floats

Unit = Literal["price", "percent", "volume"]
Lengths = Callable[[Mapping[str, Any]], int]
Compute = Callable[[Candles, Mapping[str, Any]], tuple[Floats, ...]]


@dataclass(frozen=True, slots=True)
class Indicator:
    """``outputs`` names what ``compute`` answers; ``minimum`` and ``warmup`` count candles until the first value and
    until the value that all of history would give. Only indicators of one unit can be compared."""

    name: str
    unit: Unit
    compute: Compute
    minimum: Lengths
    warmup: Lengths
    parameters: tuple[Parameter, ...] = ()
    outputs: tuple[str, ...] = ("value",)
    check: Check = no_check

    def validate(self, given: Mapping[str, object]) -> dict[str, Value]:
        """Raises ParameterError."""
        return validate(self.parameters, given, self.check)


def column(candles: Candles, name: str, given: Mapping[str, object], output: str = "") -> Floats:
    """One indicator over the candles; raises KeyError for an unknown name or output, ParameterError."""
    indicator = CATALOGUE[name]
    values = dict(zip(indicator.outputs, indicator.compute(candles, indicator.validate(given)), strict=True))
    return values[output or indicator.outputs[0]]


def _period(default: int, least: int = 1, most: int = 500) -> Parameter:
    return Parameter("period", "int", default, least, most, help="Candles it looks at.")


def _of(name: str) -> Lengths:
    return lambda params: int(params[name])


def _one(params: Mapping[str, Any]) -> int:
    return 1


def _raw(name: str, unit: Unit = "price") -> Indicator:
    return Indicator(name, unit, lambda candles, params: (getattr(candles, name),), _one, _one)


def _rsi(candles: Candles, params: Mapping[str, Any]) -> tuple[Floats, ...]:
    compute = ind.rsi_cutler if params["method"] == "cutler" else ind.rsi_wilder
    return (compute(candles.close, params["period"]),)


def _rsi_warmup(params: Mapping[str, Any]) -> int:
    period = int(params["period"])
    return period + 1 if params["method"] == "cutler" else ind.wilder_warmup(period)


def _typical(candles: Candles) -> Floats:
    return ind.typical_price(candles.high, candles.low, candles.close)


def _change(candles: Candles, params: Mapping[str, Any]) -> tuple[Floats, ...]:
    values, period = np.full(len(candles), np.nan), params["period"]
    if len(candles) > period:
        values[period:] = 100 * (candles.close[period:] / candles.close[:-period] - 1)
    return (values,)


def _supertrend(candles: Candles, params: Mapping[str, Any]) -> tuple[Floats, ...]:
    prices = (candles.high, candles.low, candles.close)
    return (ind.supertrend(candles.opened_at, prices, params["period"], params["factor"])[0],)


def _fast_below_slow(values: Mapping[str, Any]) -> Mapping[str, str]:
    if values["fast"] < values["slow"]:
        return {}
    return {"fast": f"Expected less than slow ({values['slow']}), was {values['fast']}."}


ALL = (
    *(_raw(name) for name in ("open", "high", "low", "close")),
    _raw("volume", "volume"),
    Indicator("typical_price", "price", lambda c, p: (_typical(c),), _one, _one),
    Indicator(
        "sma", "price", lambda c, p: (ind.sma(c.close, p["period"]),), _of("period"), _of("period"), (_period(20),)
    ),
    Indicator(
        "ema", "price", lambda c, p: (ind.ema(c.close, p["period"]),),
        _of("period"), lambda p: ind.ema_warmup(p["period"]), (_period(20, most=200),),
    ),
    Indicator(
        "volume_sma", "volume", lambda c, p: (ind.sma(c.volume, p["period"]),),
        _of("period"), _of("period"), (_period(20),),
    ),
    Indicator(
        "rsi", "percent", _rsi, lambda p: p["period"] + 1, _rsi_warmup,
        (_period(14, 2, 200), Parameter("method", "choice", "cutler", choices=("cutler", "wilder"), help="Means.")),
    ),
    Indicator(
        "change_pct", "percent", _change, lambda p: p["period"] + 1, lambda p: p["period"] + 1, (_period(1),)
    ),
    Indicator(
        "macd", "price", lambda c, p: ind.macd(c.close, p["fast"], p["slow"], p["signal"]),
        lambda p: p["slow"] + p["signal"] - 1, lambda p: ind.ema_warmup(p["slow"]) + ind.ema_warmup(p["signal"]),
        (
            Parameter("fast", "int", 12, 2, 199, help="Candles of the fast mean."),
            Parameter("slow", "int", 26, 3, 200, help="Candles of the slow mean."),
            Parameter("signal", "int", 9, 2, 100, help="Candles of the signal line."),
        ),
        ("line", "signal", "histogram"), _fast_below_slow,
    ),
    Indicator(
        "bollinger", "price", lambda c, p: ind.bollinger(c.close, p["period"], p["stddev"]),
        _of("period"), _of("period"),
        (_period(20, 2), Parameter("stddev", "float", 2.0, 0.1, 10, help="Standard deviations to a band.")),
        ("lower", "middle", "upper"),
    ),
    Indicator(
        "donchian", "price",
        lambda c, p: (ind.donchian_high(c.high, p["period"]), ind.donchian_low(c.low, p["period"])),
        lambda p: p["period"] + 1, lambda p: p["period"] + 1, (_period(20),), ("high", "low"),
    ),
    Indicator(
        "atr", "price", lambda c, p: (ind.atr(c.high, c.low, c.close, p["period"]),),
        lambda p: p["period"] + 1, lambda p: ind.wilder_warmup(p["period"]), (_period(14, 2, 200),),
    ),
    Indicator(
        "vwap_rolling", "price", lambda c, p: (ind.vwap_rolling(_typical(c), c.volume, p["period"]),),
        _of("period"), _of("period"), (_period(24, most=1440),),
    ),
    Indicator(
        "vwap_session", "price", lambda c, p: (ind.vwap_session_utc(c.opened_at, _typical(c), c.volume),),
        _one, lambda p: 1440,
    ),
    Indicator(
        "supertrend", "price", _supertrend, lambda p: p["period"] + 1,
        lambda p: 2 * MEMORY + ind.wilder_warmup(p["period"]),
        (_period(10, 2, 200), Parameter("factor", "float", 3.0, 0.1, 20, help="Average true ranges to the stop.")),
    ),
)  # fmt: skip
CATALOGUE: Mapping[str, Indicator] = {indicator.name: indicator for indicator in ALL}
