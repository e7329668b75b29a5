"""Breakers over all runs of a user, or of a key, in one mode and quote currency: what they lost together."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from bots import breakers
from bots.core import joint
from bots.core.breaker import Name, switched_on
from bots.core.joint import JOINT, Mark, Sum, Worth
from bots.core.limits import Limits
from bots.models import BotRun, Breaker, Level, RunPosition, Status

#: Profit at the latest price by run; None: the price is not known.
Profits = Mapping[int, Decimal | None]


def assess(level: Level, target: int, run: BotRun, limits: Limits, profits: Profits, at: datetime) -> None:
    """Write down what the runs of ``target`` in this run's mode and quote have come to; the limits are its level's."""
    names = [name for name in switched_on(limits) if name in JOINT]
    if not names:
        return
    rows = breakers.rows_of(level, target, run.mode, names, at, quote=run.quote)
    now = sum_of(rows[0], profits, at)
    for row in rows:
        before = Mark(row.mark, row.mark_day)
        mark = joint.moved(Name(row.name), before, now, at)
        after = joint.judged(breakers.facts(row), mark, now, limits, run.quote, at)
        if (after, mark) != (breakers.facts(row), before):
            breakers.keep(row, after, row.through, breakers.ASSESSOR, at, mark)


def sum_of(row: Breaker, profits: Profits, at: datetime) -> Sum:
    """All runs that there ever were under this breaker; what is not priced counts at what was paid for it."""
    positions = list(RunPosition.objects.filter(run__in=breakers.runs_under(row)).select_related("run"))
    whole = all(profits.get(one.run_id) is not None for one in positions if _in_use(one.run) and one.amount > 0)
    return joint.summed([_worth(one, profits, at) for one in positions], whole=whole)


def _worth(row: RunPosition, profits: Profits, at: datetime) -> Worth:
    priced = profits.get(row.run_id)
    profit = row.cash + row.amount * row.entry_price if priced is None else priced
    began = row.day_start_equity if row.day == at.date() else None
    today = Decimal(0) if began is None else row.run.capital + profit - began
    return Worth(profit, today, row.run.capital, _in_use(row.run))


def _in_use(run: BotRun) -> bool:
    return run.status != Status.STOPPED


def assess_all(runs: Sequence[tuple[BotRun, Limits, Limits]], profits: Profits, at: datetime) -> None:
    """Each user and key once per mode and quote; of every run its user's limits and its key's."""
    users = {(run.user_id, run.mode, run.quote): (run, of_user) for run, of_user, _ in runs}
    keys = {(run.key_id, run.quote): (run, of_key) for run, _, of_key in runs if run.key_id is not None}
    for run, limits in users.values():
        assess(Level.USER, run.user_id, run, limits, profits, at)
    for run, limits in keys.values():
        assess(Level.KEY, run.key_id or 0, run, limits, profits, at)
