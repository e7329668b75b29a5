"""One whole round without a worker: what beat's tasks do, one after the other, in this process."""

from dataclasses import dataclass
from datetime import datetime

from bots import acting, assess, settling, tick, watch
from bots.models import Fill
from bots.tick import TickReport


@dataclass(frozen=True, slots=True)
class Round:
    at: datetime
    tick: TickReport
    orders: list[int]
    stopped: list[int]
    fills: int
    faults: list[str]


def whole_round(at: datetime, timeframe: str | None = None) -> Round:
    """Check the keys, settle what is open, watch what is held, tick what is due, settle again, remember the equity."""
    actor = acting.worker_name()
    booked = Fill.objects.order_by("-id").values_list("id", flat=True).first() or 0
    assess.recheck_keys(at)
    first = settling.settle_all(at, actor)
    watched = watch.watch_positions(at)
    ticked = tick.tick_due(at, timeframe)
    last = settling.settle_all(at, actor)
    assess.assess_risk(at)
    return Round(
        at=at,
        tick=ticked,
        orders=watched.orders + ticked.orders,
        stopped=watched.stopped,
        fills=Fill.objects.filter(pk__gt=booked).count(),
        faults=[*first.faults, *watched.faults, *ticked.faults, *last.faults],
    )
