"""The entries of a backtest or sweep form: from a link, an earlier one, a bot or a rule, and what they cover."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.http import HttpRequest

from accounts.models import User
from bots.core.backtest.engine import NoCandles
from bots.core.backtest.request import RequestError
from bots.core.sweep.plan import PREFIX, SweepError
from bots.forms_research import CONSTRAINTS, BacktestForm, SweepForm
from bots.lifecycle import Conflict
from bots.queries import research, runs
from bots.views.shell import LARGEST_ID, found_or_404
from exchanges import candle_store
from exchanges.core.candle_check import Gap
from exchanges.core.candles import TIMEFRAMES, timeframe_ms
from exchanges.core.demo import NAME as DEMO
from exchanges.core.errors import UnknownExchange, UnknownSymbol
from strategies import queries as strategies
from strategies.core.errors import ParameterError, UnknownStrategy
from strategies.core.strategy import StrategyRegistry
from strategies.queries import StrategyDisabled, StrategyView
from strategies.queries.rules import rule_set_of

Entries = Mapping[str, Any]
DEFAULTS: Entries = {
    "strategy": "rsi_cross",
    "exchange": DEMO,
    "symbol": "BTC/USDT",
    "timeframe": "1h",
    "capital": "1000",
    "fee": "0.1",
    "slippage": "0",
}
SWEEP_DEFAULTS: Entries = {**DEFAULTS, "objective": "sharpe_daily_365", "least_trades": 30, "folds": 4, "in_sample": 70}
MOST_ENTRY = 2_000
#: What a submit can refuse a person's entries for.
REFUSALS = (
    *(RequestError, SweepError, ParameterError, NoCandles, UnknownSymbol, UnknownExchange),
    *(UnknownStrategy, StrategyDisabled, Conflict),
)


def from_link(user: User, request: HttpRequest) -> Entries:
    """What ``?copy=`` (a backtest), ``?run=`` (a bot), ``?rule_set=`` or the fields' own names fill in."""
    given = {name: str(value)[:MOST_ENTRY] for name, value in request.GET.items() if value}
    copy, bot, rule_set = _id(given.pop("copy", "")), _id(given.pop("run", "")), _id(given.get("rule_set", ""))
    if copy is not None:
        return {**entries_of(found_or_404(lambda: research.backtest_model(user, copy)).request), **given}
    if bot is not None:
        run = found_or_404(lambda: runs.run_of(user, bot))
        names = ("strategy", "exchange", "symbol", "timeframe", "capital", "params", "limits")
        return {**entries_of({name: getattr(run, name) for name in names}), **given}
    if rule_set is not None:
        rule = found_or_404(lambda: rule_set_of(user, rule_set))
        return {**entries_of({"params": rule.params, "limits": rule.limits}), **given}
    return given


def _id(text: str) -> int | None:
    return min(int(text), LARGEST_ID) if text.isascii() and text.isdigit() and len(text) < 20 else None


def entries_of(request: Mapping[str, Any]) -> dict[str, Any]:
    """A request in the API's fields as the form's entries."""
    entries = {name: request[name] for name in ("strategy", "exchange", "symbol", "timeframe") if name in request}
    if "capital" in request:
        entries["capital"] = f"{Decimal(request['capital']).normalize():f}"
    for name in ("fee", "slippage"):
        if name in request:
            entries[name] = f"{(Decimal(request[name]) * 100).normalize():f}"
    for name in ("since", "until"):
        if request.get(name):
            entries[name] = _moment(request[name])
    return {**entries, **filled(request.get("params", {}), "param_"), **filled(request.get("limits", {}), "limit_")}


def filled(values: Mapping[str, Any], prefix: str) -> dict[str, str]:
    """Values as a form's fields hold them; a box that is not ticked is not sent."""
    return {f"{prefix}{name}": _text(value) for name, value in values.items() if value is not False}


def _text(value: Any) -> str:
    return json.dumps(value, indent=1) if isinstance(value, dict | list) else str(value)


def _moment(text: str) -> str:
    """``2024-01-31`` for a midnight, else with its time."""
    return text.removesuffix("Z").removesuffix("T00:00:00").replace("T", " ")


def with_set(request: Mapping[str, Any], varied: Mapping[str, Any]) -> dict[str, Any]:
    """The same request with one of a sweep's parameter sets."""
    params = {name: value for name, value in varied.items() if not name.startswith(PREFIX)}
    limits = {name.removeprefix(PREFIX): value for name, value in varied.items() if name.startswith(PREFIX)}
    return {
        **request,
        "params": {**request.get("params", {}), **params},
        "limits": {**request.get("limits", {}), **limits},
    }


def sweep_entries(request: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """A sweep's request and plan as the form's entries."""
    walk = plan["walk_forward"] or {"folds": 0, "in_sample": 0.7}
    bounds = {
        field: plan["constraints"].get(metric, {}).get(bound, "") for field, (metric, bound) in CONSTRAINTS.items()
    }
    if isinstance(bounds["least_trades"], float):
        bounds["least_trades"] = int(bounds["least_trades"])
    return {
        **entries_of(request),
        **{f"grid_{name}": ", ".join(str(value) for value in values) for name, values in plan["grid"].items()},
        **bounds,
        "objective": plan["objective"],
        "samples": plan["samples"] or "",
        "folds": walk["folds"],
        "in_sample": round(100 * walk["in_sample"]),
    }


def paper_entries(asked: Mapping[str, Any]) -> Mapping[str, str]:
    """The new-bot form's fields, filled in for paper; sent to be redrawn there, not to start anything."""
    entries = {name: value for name, value in entries_of(asked).items() if name not in ("since", "until")}
    return {**entries, "mode": "paper", "token": uuid.uuid4().hex, "refresh": "1"}


def strategy_of(entries: Entries) -> StrategyView | None:
    name = str(entries.get("strategy", ""))
    return strategies.strategy_view(name) if name in StrategyRegistry.list_all() else None


def form_for(kind: type[BacktestForm], entries: Entries, data: Any = None) -> BacktestForm:
    """Bound to ``data`` to be checked, or showing the entries as they are."""
    view = strategy_of(entries)
    offered = [(one.name, one.name) for one in strategies.list_strategies() if one.enabled]
    schema = view.parameters if view else {}
    if data is not None:
        return kind(data, strategies=offered, schema=schema)
    return kind(initial=dict(entries), strategies=offered, schema=schema)


def asked_of(form: BacktestForm) -> dict[str, Any]:
    """What the domain is given; raises ParameterError."""
    given = form.given
    given["params"] = StrategyRegistry.get(given["strategy"]).parse(form.texts)
    return {**given, **form.plan} if isinstance(form, SweepForm) else given


def why(error: Exception) -> Mapping[str, str]:
    """The errors by the form's fields."""
    match error:
        case ParameterError():
            return {f"params.{name}": text for name, text in error.errors.items()}
        case RequestError() | SweepError():
            return error.errors
        case NoCandles():
            return {"since": str(error)}
        case UnknownSymbol():
            return {"symbol": str(error)}
        case UnknownExchange():
            return {"exchange": str(error)}
        case Conflict():
            return {"": error.detail}
    return {"strategy": str(error)}


@dataclass(frozen=True, slots=True)
class Reach:
    """What the entries' range covers of the stored candles; ``first`` None: nothing is stored."""

    demo: bool
    first: datetime | None = None
    end: datetime | None = None
    candles: int = 0
    gaps: tuple[Gap, ...] = ()
    missing: int = 0
    zero_volume: int = 0
    outside: bool = False


def reach_of(entries: Entries) -> Reach | None:
    """None while the entries name no market."""
    exchange, symbol = str(entries.get("exchange", "")).strip(), str(entries.get("symbol", "")).strip().upper()
    timeframe = str(entries.get("timeframe", ""))
    if not exchange or "/" not in symbol or timeframe not in TIMEFRAMES:
        return None
    stored = research.recorded(exchange, symbol, timeframe)
    if stored is None:
        return Reach(demo=exchange == DEMO)
    step = timedelta(milliseconds=timeframe_ms(timeframe))
    first, end = stored.first, stored.last + step
    since, until = _read(entries.get("since")) or first, _read(entries.get("until")) or end
    low, high = max(since, first), min(until, end)
    inside = tuple(gap for gap in stored.gaps if low <= gap.start < high)
    missing = sum(gap.missing for gap in inside)
    count = max(0, (high - low) // step - missing)
    outside = since < first or until > end
    return Reach(False, first, end, count, inside, missing, stored.zero_volume, outside)


def _read(text: object) -> datetime | None:
    try:
        read = datetime.fromisoformat(str(text).strip())
    except ValueError:
        return None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read


def known_markets() -> dict[str, list[str]]:
    """Suggestions: what candles are stored, and the demo market's symbols."""
    found = candle_store.datasets()
    return {
        "exchanges": sorted({DEMO, *(one.exchange for one in found)}),
        "symbols": sorted({"BTC/USDT", *(one.symbol for one in found)}),
    }
