"""Circuit breakers as people see them: those of their runs that have not stopped, and those over all of their runs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q, QuerySet

from accounts.models import User
from bots import breakers
from bots.core import breaker as core
from bots.core.breaker import State
from bots.models import BotRun, Breaker, BreakerEvent, Level
from exchanges.models import ExchangeKey

MOST_EVENTS = 20


@dataclass(frozen=True, slots=True)
class BreakerEventView:
    at: datetime
    from_state: str
    to_state: str
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class BreakerView:
    """``half_open_at`` None while open: only a person closes it. ``code`` is what it denies entries with."""

    id: int
    level: str
    target: int
    mode: str
    quote: str
    symbol: str
    name: str
    code: str
    state: str
    reason: str
    tripped_at: datetime | None
    half_open_at: datetime | None
    changed_at: datetime
    changed_by: str
    events: Sequence[BreakerEventView] = ()


def breakers_of(user: User | None, at: datetime) -> list[BreakerView]:
    """Tripped ones first; ``user`` None means everybody's (the operator's console)."""
    rows = list(_speaking(user))
    symbols = dict(BotRun.objects.filter(pk__in=[row.target for row in rows]).values_list("pk", "symbol"))
    told: dict[int, list[BreakerEventView]] = defaultdict(list)
    for event in BreakerEvent.objects.filter(breaker__in=rows).order_by("-id")[: MOST_EVENTS * max(len(rows), 1)]:
        view = BreakerEventView(event.at, event.from_state, event.to_state, event.reason, event.actor)
        told[event.breaker_id].append(view)
    views = [_view(row, symbols, told[row.pk][:MOST_EVENTS], at) for row in rows]
    return sorted(views, key=lambda view: (view.state == State.CLOSED, view.level, view.target, view.name))


def breaker_model(user: User | None, breaker_id: int) -> Breaker:
    """The breaker itself, for a change; raises Breaker.DoesNotExist for a stranger's as for a missing one."""
    return _speaking(user).get(pk=breaker_id)


def breaker_of(user: User | None, breaker_id: int, at: datetime) -> BreakerView:
    row = breaker_model(user, breaker_id)
    symbols = dict(BotRun.objects.filter(pk=row.target).values_list("pk", "symbol"))
    events = [
        BreakerEventView(event.at, event.from_state, event.to_state, event.reason, event.actor)
        for event in row.events.all()[:MOST_EVENTS]
    ]
    return _view(row, symbols, events, at)


def _speaking(user: User | None) -> QuerySet[Breaker]:
    runs = BotRun.objects.exclude(status="stopped")
    if user is None:
        return Breaker.objects.filter(~Q(level=Level.RUN) | Q(level=Level.RUN, target__in=runs.values("pk")))
    own = Q(level=Level.RUN, target__in=runs.for_user(user).values("pk"))
    keys = ExchangeKey.objects.for_user(user).values("pk")
    return Breaker.objects.filter(own | Q(level=Level.USER, target=user.pk) | Q(level=Level.KEY, target__in=keys))


def _view(row: Breaker, symbols: dict[int, str], events: Sequence[BreakerEventView], at: datetime) -> BreakerView:
    """As of now: a breaker whose time has passed is half-open, assessed or not."""
    now = core.as_of(breakers.facts(row), at)
    return BreakerView(
        id=row.pk,
        level=row.level,
        target=row.target,
        mode=row.mode,
        quote=row.quote,
        symbol=symbols.get(row.target, "") if row.level == Level.RUN else "",
        name=row.name,
        code=core.CODE[now.name].value,
        state=now.state.value,
        reason=now.reason,
        tripped_at=row.tripped_at,
        half_open_at=row.half_open_at,
        changed_at=row.changed_at,
        changed_by=row.changed_by,
        events=events,
    )
