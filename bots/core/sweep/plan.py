"""What a sweep is asked for: which parameter sets to try, by what to rank them; checked as a whole."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import numpy as np

from bots.core.backtest.request import number
from bots.core.limits import LimitError, Limits, parse_limits
from strategies.core.parameters import Parameter, Value
from strategies.core.signals import Flags, Floats
from strategies.core.strategy import BaseStrategy

MOST_SETS: Final = 20_000
MOST_COMBINATIONS: Final = 10_000_000
#: What may be swept beside the strategy's parameters: they close positions and deny none.
PROTECTIONS: Final = ("stop_loss_pct", "break_even_pct", "take_profit_pct", "trailing_stop_pct")
PREFIX: Final = "limits."
#: Of which the best set is the largest (+1) or the smallest (−1).
OBJECTIVES: Final[Mapping[str, int]] = {
    "return_pct": 1,
    "sharpe_daily_365": 1,
    "sortino_daily_365": 1,
    "profit_factor": 1,
    "win_rate_pct": 1,
    "avg_trade_return_pct": 1,
    "max_drawdown_pct": -1,
}
CONSTRAINABLE: Final = (*OBJECTIVES, "closed_trades", "exposure_pct")


class SweepError(ValueError):
    """``errors``: field (``grid.rsi_period``) → what was expected."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        self.errors = dict(errors)
        super().__init__(" ".join(f"{name}: {message}" for name, message in self.errors.items()))


@dataclass(frozen=True, slots=True)
class Constraint:
    metric: str
    least: float | None = None
    most: float | None = None

    def holds(self, values: Floats) -> Flags:
        known: Flags = np.isfinite(values)
        if self.least is not None:
            known &= values >= self.least
        if self.most is not None:
            known &= values <= self.most
        return known


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """``params`` complete and valid; ``limits`` those of the request with the swept ones in place."""

    params: Mapping[str, Value]
    limits: Limits
    varied: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """``samples`` None: the whole grid; else that many sets drawn by ``seed``. ``folds`` 0: no walk-forward."""

    grid: Mapping[str, tuple[Value, ...]]
    objective: str = "sharpe_daily_365"
    constraints: tuple[Constraint, ...] = ()
    samples: int | None = None
    seed: int = 0
    folds: int = 0
    in_sample: float = 0.7
    top: int = 20

    def needs_drawdown(self) -> bool:
        return "max_drawdown_pct" in (self.objective, *(constraint.metric for constraint in self.constraints))

    def as_json(self) -> dict[str, Any]:
        """What `parse_plan` reads again."""
        return {
            "grid": {name: [_plain(value) for value in values] for name, values in self.grid.items()},
            "objective": self.objective,
            "constraints": {
                c.metric: {key: bound for key, bound in (("min", c.least), ("max", c.most)) if bound is not None}
                for c in self.constraints
            },
            "samples": self.samples,
            "seed": self.seed,
            "walk_forward": {"folds": self.folds, "in_sample": self.in_sample} if self.folds else None,
            "top": self.top,
        }


def _plain(value: Value) -> Any:
    return format(value, "f") if isinstance(value, Decimal) else value


def parse_plan(given: Mapping[str, Any], kind: type[BaseStrategy]) -> SweepPlan:
    """From the API's fields; raises SweepError naming all that is wrong."""
    errors: dict[str, str] = {}

    def read(name: str, reader: Callable[[Any], Any], default: Any) -> Any:
        try:
            return reader(given[name]) if given.get(name) is not None else default
        except SweepError as error:
            errors.update(error.errors)
        except (ValueError, TypeError) as error:
            errors[name] = str(error)
        return default

    grid = read("grid", lambda value: parse_grid(value, kind), {})
    if not grid and not errors:
        errors["grid"] = "Expected at least one parameter to vary."
    folds, in_sample = read("walk_forward", _walk_forward, (0, 0.7))
    plan = SweepPlan(
        grid=grid,
        objective=read("objective", _objective, "sharpe_daily_365"),
        constraints=read("constraints", _constraints, ()),
        samples=read("samples", lambda value: _whole(value, 1, MOST_SETS), None),
        seed=read("seed", lambda value: _whole(value, 0, 2**63 - 1), 0),
        folds=folds,
        in_sample=in_sample,
        top=read("top", lambda value: _whole(value, 1, 100), 20),
    )
    combinations = math.prod(len(values) for values in grid.values())
    if plan.samples is None and combinations > MOST_SETS:
        errors["grid"] = f"Expected at most {MOST_SETS:,} sets, was {combinations:,}; give samples for a random search."
    elif combinations > MOST_COMBINATIONS:
        errors["grid"] = f"Expected at most {MOST_COMBINATIONS:,} combinations, was {combinations:,}."
    if errors:
        raise SweepError(errors)
    return plan


def parse_grid(given: Any, kind: type[BaseStrategy]) -> dict[str, tuple[Value, ...]]:
    """{name: [value, …] | {min, max, step}}; names: the strategy's parameters, ``limits.stop_loss_pct`` and so on."""
    if not isinstance(given, Mapping):
        raise SweepError({"grid": "Expected an object of parameters."})
    names = {alias: parameter for parameter in kind.parameters for alias in (parameter.name, *parameter.aliases)}
    grid: dict[str, tuple[Value, ...]] = {}
    errors: dict[str, str] = {}
    for name, values in given.items():
        try:
            if name.startswith(PREFIX) and name.removeprefix(PREFIX) in PROTECTIONS:
                grid[name] = _protection_values(name.removeprefix(PREFIX), values)
            elif name in names and names[name].name in grid:
                errors[f"grid.{name}"] = f"Expected {names[name].name} once, was given twice."
            elif name in names:
                grid[names[name].name] = _values(names[name], values)
            else:
                known = ", ".join([*(p.name for p in kind.parameters), *(PREFIX + p for p in PROTECTIONS)])
                errors[f"grid.{name}"] = f"Expected one of {known}."
        except (ValueError, ArithmeticError) as error:
            errors[f"grid.{name}"] = str(error)
    if errors:
        raise SweepError(errors)
    return grid


def _values(parameter: Parameter, given: Any) -> tuple[Value, ...]:
    values = [parameter.clean(_native(parameter, value)) for value in _listed(given)]
    return tuple(dict.fromkeys(values))


def _native(parameter: Parameter, value: Any) -> Any:
    if not isinstance(value, Decimal) or parameter.kind == "decimal":
        return value
    return int(value) if parameter.kind == "int" and value == value.to_integral_value() else float(value)


def _protection_values(name: str, given: Any) -> tuple[Value, ...]:
    values = []
    for value in _listed(given):
        try:
            values.append(getattr(parse_limits({name: value}), name))
        except LimitError as error:
            raise ValueError(error.errors[name]) from None
    return tuple(dict.fromkeys(values))


def _listed(given: Any) -> list[Any]:
    """A list as it is, or every step of {min, max, step}; decimals, so that 0.1 + 0.2 is 0.3."""
    if isinstance(given, Mapping):
        if given.keys() != {"min", "max", "step"}:
            raise ValueError("Expected a list of values, or min, max and step.")
        least, most, step = (number(given[key]) for key in ("min", "max", "step"))
        if not (step > 0 and least <= most):
            raise ValueError("Expected min <= max and a step above zero.")
        if (most - least) / step >= MOST_SETS:
            raise ValueError(f"Expected fewer than {MOST_SETS:,} steps.")
        return [least + step * index for index in range(int((most - least) / step) + 1)]
    if not isinstance(given, list | tuple) or not given or len(given) > MOST_SETS:
        raise ValueError("Expected a list of values, or min, max and step.")
    return list(given)


def _objective(value: Any) -> str:
    if value not in OBJECTIVES:
        raise ValueError(f"Expected one of {', '.join(OBJECTIVES)}, was {value!r}.")
    return str(value)


def _constraints(given: Any) -> tuple[Constraint, ...]:
    if not isinstance(given, Mapping):
        raise SweepError({"constraints": 'Expected an object such as {"closed_trades": {"min": 30}}.'})
    errors: dict[str, str] = {}
    found = []
    for metric, bounds in given.items():
        if metric not in CONSTRAINABLE:
            errors[f"constraints.{metric}"] = f"Expected one of {', '.join(CONSTRAINABLE)}."
            continue
        try:
            found.append(Constraint(metric, *_bounds(bounds)))
        except ValueError as error:
            errors[f"constraints.{metric}"] = str(error)
    if errors:
        raise SweepError(errors)
    return tuple(found)


def _bounds(given: Any) -> tuple[float | None, float | None]:
    told = {key: value for key, value in given.items() if value is not None} if isinstance(given, Mapping) else {}
    if not told or told.keys() - {"min", "max"}:
        raise ValueError("Expected min, max or both.")
    least, most = (_finite(told[key]) if key in told else None for key in ("min", "max"))
    if least is not None and most is not None and least > most:
        raise ValueError("Expected min <= max.")
    return least, most


def _finite(value: Any) -> float:
    bound = float(number(value))
    if not math.isfinite(bound):
        raise ValueError("Expected a number that a float can hold.")
    return bound


def _walk_forward(given: Any) -> tuple[int, float]:
    if not isinstance(given, Mapping) or given.keys() - {"folds", "in_sample"}:
        raise SweepError({"walk_forward": "Expected folds and in_sample."})
    share = 0.7 if given.get("in_sample") is None else float(number(given["in_sample"]))
    if not 0.1 <= share <= 0.95:
        raise SweepError({"walk_forward.in_sample": f"Expected a share from 0.1 to 0.95, was {share}."})
    return _whole(given.get("folds", 4), 1, 50), share


def _whole(value: Any, least: int, most: int) -> int:
    parsed = number(value)
    if not least <= parsed <= most or parsed != parsed.to_integral_value():
        raise ValueError(f"Expected a whole number from {least} to {most}, was {value!r}.")
    return int(parsed)
