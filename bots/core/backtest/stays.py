"""Where the stays of a set are: entry and exit signals merged into fills in turns."""

from typing import Final

import numpy as np
import numpy.typing as npt

from strategies.core.signals import Flags

Ints = npt.NDArray[np.int64]
NONE: Final = np.zeros(0, dtype=np.int64)


def fillable(flags: Flags, ready: Flags) -> Ints:
    """The closed candles that have a next one to be filled on."""
    return np.flatnonzero(flags[:-1] & ready[:-1])


def turns(entries: Ints, exits: Ints, count: int) -> tuple[Ints, Ints]:
    """The fills of entry and exit signals in turns; an exit that never comes is the candles' count."""
    fills = _alternating(entries, exits)
    if fills is None:
        bought = entries + 1
        sold = np.append(exits + 1, count)[np.searchsorted(exits, bought)]
        taken = chain(np.searchsorted(entries, sold).tolist())
        return bought[taken], sold[taken]
    if len(fills) % 2:
        fills = np.append(fills, count)
    return fills[0::2], fills[1::2]


def _alternating(entries: Ints, exits: Ints) -> Ints | None:
    """Fill candles in turns, entry first; None where both rules hold on one candle, since then it depends.

    The state after any candle is what the last signal said, so a fill is where a signal differs from the one before.
    """
    keys = np.concatenate([entries * 2 + 1, exits * 2])
    if not len(keys):
        return keys
    # Two sorted runs: a stable sort merges them.
    keys.sort(kind="stable")
    kinds = keys & 1
    candles = keys >> 1
    if (candles[1:] == candles[:-1]).any():
        return None
    differs = np.empty(len(keys), dtype=np.bool_)
    differs[0] = kinds[0]
    np.not_equal(kinds[1:], kinds[:-1], out=differs[1:])
    fills: Ints = candles[differs] + 1
    return fills


def chain(following: list[int]) -> list[int]:
    """From the first entry on, each entry that comes after the stay of the one before has ended."""
    taken: list[int] = []
    at, count, append = 0, len(following), taken.append
    while at < count:
        append(at)
        at = following[at]
    return taken
