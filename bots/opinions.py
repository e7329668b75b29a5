"""What the strategies say of a market's closed candles, computed once for all runs that share them."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from bots.core.decision import Opinion
from bots.models import BotRun
from exchanges.core.candles import Candles, from_ms, to_ms
from exchanges.core.decimals import from_float
from strategies import queries as strategies
from strategies.core.parameters import ParameterError
from strategies.core.signals import Signals
from strategies.core.strategy import BaseStrategy, UnknownStrategy


@dataclass(frozen=True, slots=True, eq=False)
class Voice:
    """One distinct (strategy, parameters) over one window of candles."""

    strategy: BaseStrategy
    signals: Signals
    candles: Candles

    def opinion(self, index: int) -> Opinion:
        signals = self.signals
        return Opinion(
            candle_opened_at=from_ms(int(self.candles.opened_at[index])),
            close=from_float(self.candles.close[index]),
            entry=bool(signals.entry[index]),
            exit=bool(signals.exit[index]),
            ready=bool(signals.ready[index]),
            confidence=float(signals.confidence[index]),
            reason_flat=self.strategy.reason(signals, index, holding=False),
            reason_holding=self.strategy.reason(signals, index, holding=True),
            indicators={name: _number(values[index]) for name, values in signals.indicators.items()},
            plan=signals.plan,
        )


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 8)


def voice_key(run: BotRun) -> tuple[int, str]:
    return run.strategy_id, json.dumps(run.params, sort_keys=True)


Built = dict[tuple[int, str], BaseStrategy]


def strategies_of(runs: Iterable[BotRun]) -> tuple[Built, list[tuple[BotRun, str]]]:
    """One instance per distinct (strategy, parameters); and the runs whose strategy cannot be built, with why."""
    built: Built = {}
    broken: list[tuple[BotRun, str]] = []
    for run in runs:
        key = voice_key(run)
        if key in built:
            continue
        try:
            built[key] = strategies.rebuild(run.strategy.name, run.params)
        except (UnknownStrategy, ParameterError) as error:
            broken.append((run, str(error)))
    return built, broken


def first_unseen(candles: Candles, seen: datetime | None) -> int:
    """Index of the first candle that was not decided on; only the last one for a run that saw none."""
    if seen is None:
        return max(0, len(candles) - 1)
    return int(np.searchsorted(candles.opened_at, to_ms(seen), side="right"))
