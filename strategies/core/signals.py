"""A strategy's opinion on every candle of a window, as columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from strategies.core.plan import Plan

Flags = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Strength = Callable[[npt.NDArray[np.intp]], Floats]


class Action(StrEnum):
    BUY = "BUY"
    SELL = "SELL"
    HOLD = "HOLD"


class Verdict(TypedDict):
    """What `BaseStrategy.execute` answers."""

    signal: str
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Signals:
    """Columns as long as the candles they were computed from.

    ``entry`` and ``exit`` may both hold on one candle: a flat run looks only at ``entry``, one that holds
    a position only at ``exit``. ``ready`` is False while too few candles are known (warming up).
    ``confidence`` is 0.0 to 1.0 where entry or exit holds, else 0.0. ``indicators`` are rounded to
    8 decimals and NaN where undefined; their keys are names such as "rsi". ``said`` holds what a strategy that
    only overrides `execute` answered, by (index, holding); ``conditions`` where each condition of a rule holds;
    ``plan`` how the position is to be worked, None: all in, all out.
    """

    entry: Flags
    exit: Flags
    ready: Flags
    confidence: Floats
    indicators: Mapping[str, Floats] = field(default_factory=dict)
    said: Mapping[tuple[int, bool], str] = field(default_factory=dict)
    conditions: Mapping[str, Flags] = field(default_factory=dict)
    plan: Plan | None = None

    def __len__(self) -> int:
        return len(self.entry)

    def action(self, index: int, *, holding: bool) -> Action:
        """The opinion at one candle for a run that holds a position, or does not."""
        if holding:
            return Action.SELL if self.exit[index] else Action.HOLD
        return Action.BUY if self.entry[index] else Action.HOLD


def confidences(entry: Flags, exit_: Flags, entry_strength: Strength, exit_strength: Strength) -> Floats:
    """The confidence column: the strengths are asked only for the candles where something holds.

    They are cut to 0.0 … 1.0; where both hold, the larger counts.
    """
    column = np.zeros(len(entry))
    for flags, strength in ((entry, entry_strength), (exit_, exit_strength)):
        at = np.flatnonzero(flags)
        if len(at):
            column[at] = np.maximum(column[at], np.round(np.clip(strength(at), 0.0, 1.0), 6))
    return column
