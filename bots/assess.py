"""Keeps each run's equity in mind: its curve, its peak, and where its day began; and what its key may do."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Max, Q

from accounts import audit
from accounts.core.keyring import Undecryptable
from bots import breakers, joint_breakers
from bots.ledger import position_of
from bots.models import BotRun, EquityPoint, Mode, RunPosition
from bots.situation import limits_of_all
from exchanges import market_data
from exchanges import operations as keys
from exchanges.connect import KeyErased
from exchanges.core.errors import ExchangeFault, UnknownSymbol
from exchanges.models import ExchangeKey

POINT_EVERY = timedelta(minutes=5)
#: Entries need an answer of the exchange that is at most a day old: there is time for many tries.
KEY_CHECK_EVERY = timedelta(hours=12)
BATCH = 500

#: The peak of a run's equity, the day, and the equity that it began with.
Memory = tuple[Decimal | None, date | None, Decimal | None]


def assess_risk(at: datetime) -> int:
    """Equity of every run that has not stopped, at the latest price; how many they are, also those without a price."""
    prices: dict[tuple[str, str], Decimal | None] = {}
    runs = list(BotRun.objects.guarded().select_related("position").order_by("exchange", "symbol"))
    last_points = _last_points(runs)
    limits = limits_of_all(runs)
    points: list[EquityPoint] = []
    moved: list[tuple[RunPosition, Memory]] = []
    profits: dict[int, Decimal | None] = {}
    for run in runs:
        price = _price(run, prices, at)
        if price is None and run.held > 0:
            profits[run.pk] = None
            continue
        profit = profits[run.pk] = position_of(run.position).profit(price or Decimal(0))
        equity = run.capital + profit
        breakers.assess_run(run, run.position, limits[run.pk].run, at)
        before = _memory(run.position)
        if _remember(run.position, equity, at):
            moved.append((run.position, before))
        if run.pk not in last_points or at - last_points[run.pk] >= POINT_EVERY:
            points.append(EquityPoint(run=run, at=at, equity=equity))
    for (user_id, mode), of_user in {(run.user_id, run.mode): limits[run.pk].user for run in runs}.items():
        breakers.assess_user(user_id, mode, of_user, at)
    for first in range(0, len(moved), BATCH):
        _write_down(moved[first : first + BATCH])
    joint_breakers.assess_all([(run, limits[run.pk].user, limits[run.pk].key) for run in runs], profits, at)
    EquityPoint.objects.bulk_create(points, batch_size=BATCH)
    return len(runs)


def recheck_keys(at: datetime) -> int:
    """Ask again what the keys of live runs may do; returns how many exchanges answered. A fault changes nothing."""
    used = BotRun.objects.guarded().filter(mode=Mode.LIVE).values("key_id")
    old = Q(last_checked_at=None) | Q(last_checked_at__lte=at - KEY_CHECK_EVERY)
    answered = 0
    for key in ExchangeKey.objects.present().filter(old, pk__in=used).order_by("id"):
        with suppress(ExchangeFault, Undecryptable, KeyErased, ExchangeKey.DoesNotExist):
            keys.check_key(key, at, audit.SYSTEM)
            answered += 1
    return answered


def _last_points(runs: list[BotRun]) -> dict[int, datetime]:
    rows = EquityPoint.objects.filter(run__in=runs).values("run").annotate(last=Max("at"))
    return {row["run"]: row["last"] for row in rows}


def _price(run: BotRun, prices: dict[tuple[str, str], Decimal | None], at: datetime) -> Decimal | None:
    """One quote per market, and none for runs that hold nothing."""
    if run.held <= 0:
        return None
    name = (run.exchange, run.symbol)
    if name not in prices:
        try:
            prices[name] = market_data.quote(run.exchange, run.symbol, at).bid
        except (ExchangeFault, UnknownSymbol):
            prices[name] = None
    return prices[name]


def _memory(row: RunPosition) -> Memory:
    return row.peak_equity, row.day, row.day_start_equity


@transaction.atomic
def _write_down(moved: Sequence[tuple[RunPosition, Memory]]) -> None:
    """Whose memory was begun anew by a person's reset meanwhile keeps that: this equity is from before it."""
    now = RunPosition.objects.select_for_update(no_key=True).order_by("pk").in_bulk([row.pk for row, _ in moved])
    unchanged = [row for row, before in moved if row.pk in now and _memory(now[row.pk]) == before]
    RunPosition.objects.bulk_update(unchanged, ["peak_equity", "day", "day_start_equity"])


def _remember(row: RunPosition, equity: Decimal, at: datetime) -> bool:
    changed = row.peak_equity is None or equity > row.peak_equity
    if changed:
        row.peak_equity = equity
    if row.day != at.date():
        row.day, row.day_start_equity, changed = at.date(), equity, True
    return changed
