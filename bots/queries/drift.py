"""Drift reports as pages, API and commands show them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db.models import Sum

from accounts.models import User
from bots.core.drift.terms import CAUSE_MEANING, Cause
from bots.core.intent import line_of
from bots.models import DriftReport, JobState
from bots.queries.shapes import Page, RunView

#: A difference that nobody explained is told where people look, for so long.
TOLD_FOR: Final = timedelta(days=7)
#: What a list leaves out: it may be large.
LARGE: Final = ("document",)


@dataclass(frozen=True, slots=True)
class DriftView:
    """One day of one run; profits and effects in the run's quote, None until it is done or where it was not compared.

    ``versions`` are those of the day that there are; ``document`` has a row per trade.
    """

    id: int
    bot_run_id: int
    day: date
    version: int
    state: str
    trades: int
    differing: int
    unexplained: int
    counts: Mapping[str, int]
    effects: Mapping[str, str]
    live_pnl: Decimal | None
    replay_pnl: Decimal | None
    difference: Decimal | None
    remainder: Decimal | None
    note: str
    error: str
    quote: str
    created_at: datetime
    finished_at: datetime | None
    data_sha256: str
    engine: str
    document: Mapping[str, Any] | None = None
    versions: Sequence[int] = ()


def days_of(run_id: int, *, limit: int = 100, before: int | None = None) -> Page:
    """The newest version of each day, the newest day first; the cursor is the day's ordinal."""
    rows = DriftReport.objects.filter(run=run_id).newest().select_related("run").defer(*LARGE)
    if before is not None:
        rows = rows.filter(day__lt=_day(before))
    found = list(rows.order_by("-day")[: limit + 1])
    return Page([_view(row) for row in found[:limit]], found[limit - 1].day.toordinal() if len(found) > limit else None)


def _day(ordinal: int) -> date:
    return date.fromordinal(min(max(ordinal, 1), date.max.toordinal()))


def report_of(run_id: int, day: date, version: int | None = None) -> DriftView:
    """With its rows; raises DriftReport.DoesNotExist."""
    rows = DriftReport.objects.filter(run=run_id, day=day).select_related("run")
    versions = list(rows.order_by("version").values_list("version", flat=True))
    if not versions:
        raise DriftReport.DoesNotExist
    row = rows.get(version=version or versions[-1])
    return replace(_view(row), document=row.document, versions=versions)


def report_by_id(report_id: int) -> DriftView:
    row = DriftReport.objects.select_related("run").get(pk=report_id)
    return replace(_view(row), document=row.document)


def _view(row: DriftReport) -> DriftView:
    same = (
        "day", "version", "state", "trades", "differing", "unexplained", "counts", "effects", "live_pnl", "replay_pnl",
        "difference", "remainder", "note", "error", "created_at", "finished_at", "data_sha256", "engine",
    )  # fmt: skip
    facts = {name: getattr(row, name) for name in same}
    return DriftView(id=row.pk, bot_run_id=row.run_id, quote=row.run.quote, **facts)


@dataclass(frozen=True, slots=True)
class Hint:
    """Trades of a run's last days that nothing explains, and the newest such day."""

    bot_run_id: int
    symbol: str
    day: date
    unexplained: int


def unexplained_of(user: User, at: datetime, run_id: int | None = None) -> list[Hint]:
    """One hint per run, the newest day first: two statements for any number of runs."""
    rows = DriftReport.objects.for_user(user).newest().filter(state=JobState.DONE, unexplained__gt=0)
    rows = rows.filter(day__gte=(at - TOLD_FOR).date())
    if run_id is not None:
        rows = rows.filter(run=run_id)
    sums = dict(rows.order_by().values_list("run").annotate(Sum("unexplained")))
    hints: dict[int, Hint] = {}
    for row in rows.select_related("run").defer(*LARGE).order_by("-day", "-id"):
        hints.setdefault(row.run_id, Hint(row.run_id, row.run.symbol, row.day, sums[row.run_id]))
    return list(hints.values())


@dataclass(frozen=True, slots=True)
class LegView:
    at: datetime
    side: str
    price: Decimal
    amount: Decimal
    fee: Decimal
    fee_asset: str
    code: str
    order: int | None
    leg: str = ""

    @property
    def line(self) -> int | None:
        """The line of a grid that it worked, the lowest being 1."""
        number = line_of(self.leg)
        return None if number is None else number + 1


@dataclass(frozen=True, slots=True)
class TradeDrift:
    """One trade beside its replay, as a page shows it; ``facts`` are name and text."""

    cause: str
    why: str
    code: str
    candle: datetime
    live: LegView | None
    replayed: LegView | None
    effect: Decimal
    facts: Sequence[tuple[str, str]]
    repeated: int


@dataclass(frozen=True, slots=True)
class CauseSum:
    cause: str
    meaning: str
    trades: int
    effect: Decimal


def trades_of(view: DriftView) -> list[TradeDrift]:
    return [_trade(row) for row in (view.document or {}).get("rows", [])]


def causes_of(view: DriftView) -> list[CauseSum]:
    """What each cause changed, the gravest first; those that nothing explains before all others."""
    names = {*view.counts, *view.effects}
    found = [
        CauseSum(name, CAUSE_MEANING[Cause(name)], view.counts.get(name, 0), Decimal(view.effects.get(name, "0")))
        for name in names
    ]
    return sorted(found, key=lambda one: (one.cause != Cause.UNEXPLAINED, -abs(one.effect), one.cause))


def _trade(row: Mapping[str, Any]) -> TradeDrift:
    return TradeDrift(
        cause=row["cause"],
        why=row["why"] or CAUSE_MEANING[Cause(row["cause"])],
        code=row["code"],
        candle=datetime.fromisoformat(row["candle"]),
        live=_leg(row["live"]),
        replayed=_leg(row["replayed"]),
        effect=Decimal(row["effect"]),
        facts=[(name.replace("_", " "), _text(value)) for name, value in row["facts"].items()],
        repeated=row["repeated"],
    )


def _leg(leg: Mapping[str, Any] | None) -> LegView | None:
    if leg is None:
        return None
    return LegView(
        at=datetime.fromisoformat(leg["at"]),
        side=leg["side"],
        price=Decimal(leg["price"]),
        amount=Decimal(leg["amount"]),
        fee=Decimal(leg["fee"]),
        fee_asset=leg["fee_asset"],
        code=leg["code"],
        order=leg["order"],
        leg=leg.get("leg", ""),
    )


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def last_over(run: RunView, at: datetime) -> date | None:
    """The run's last day that is over; None in its first one."""
    last = (at - timedelta(days=1)).date()
    if run.stopped_at is not None:
        last = min(last, run.stopped_at.date())
    return last if last >= run.started_at.date() else None
