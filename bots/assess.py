"""Keeps each run's equity in mind: its curve, its peak, and where its day began."""

from datetime import datetime, timedelta
from decimal import Decimal

from django.db.models import Max

from bots.ledger import position_of
from bots.models import BotRun, EquityPoint, RunPosition
from exchanges import market_data
from exchanges.core.errors import ExchangeFault, UnknownSymbol

POINT_EVERY = timedelta(minutes=5)


def assess_risk(at: datetime) -> int:
    """Every active run's equity at the latest price; returns how many were assessed."""
    prices: dict[tuple[str, str], Decimal | None] = {}
    runs = list(BotRun.objects.active().select_related("position").order_by("exchange", "symbol"))
    last_points = _last_points(runs)
    points: list[EquityPoint] = []
    rows: list[RunPosition] = []
    for run in runs:
        price = _price(run, prices, at)
        if price is None and run.held > 0:
            continue
        equity = run.capital + position_of(run.position).profit(price or Decimal(0))
        if _remember(run.position, equity, at):
            rows.append(run.position)
        if run.pk not in last_points or at - last_points[run.pk] >= POINT_EVERY:
            points.append(EquityPoint(run=run, at=at, equity=equity))
    RunPosition.objects.bulk_update(rows, ["peak_equity", "day", "day_start_equity"], batch_size=500)
    EquityPoint.objects.bulk_create(points, batch_size=500)
    return len(runs)


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


def _remember(row: RunPosition, equity: Decimal, at: datetime) -> bool:
    changed = row.peak_equity is None or equity > row.peak_equity
    if changed:
        row.peak_equity = equity
    if row.day != at.date():
        row.day, row.day_start_equity, changed = at.date(), equity, True
    return changed
