"""A backtest's kept equity as few points as a picture needs, and several backtests side by side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from accounts.models import User
from bots.core.result_pack import unpack_equity
from bots.models import Backtest, JobState
from exchanges.core.candles import Floats

MOST_DRAWN = 400


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Columns: epoch ms, equity, what buying and holding would be worth, and the fall from the peak in percent."""

    times: Floats
    equity: Floats
    hold: Floats
    drawdown: Floats
    capital: float


def curves_of(row: Backtest, most: int = MOST_DRAWN) -> Curves | None:
    """Each point the last of its stretch, its drawdown the stretch's deepest; None before there is a result."""
    if row.equity is None:
        return None
    points = unpack_equity(row.equity)
    capital = float(row.request["capital"])
    equity = points[:, 1]
    peaks = np.maximum(np.maximum.accumulate(equity), capital)
    falls = 100 * (peaks - equity) / peaks
    count = min(len(points), most)
    ends = np.arange(1, count + 1) * len(points) // count - 1
    starts = np.concatenate([[0], ends[:-1] + 1])
    return Curves(
        times=points[ends, 0],
        equity=equity[ends],
        hold=capital * points[ends, 2] / points[0, 2],
        drawdown=np.maximum.reduceat(falls, starts),
        capital=capital,
    )


def compared(user: User, ids: Sequence[int]) -> list[Backtest]:
    """Those of one's own that are done, in the order asked for; raises Backtest.DoesNotExist for any other."""
    found = Backtest.objects.for_user(user).filter(kind=Backtest.Kind.REPORT, state=JobState.DONE)
    rows = found.in_bulk(list(ids))
    if len(rows) != len(set(ids)):
        raise Backtest.DoesNotExist
    return [rows[pk] for pk in ids]
