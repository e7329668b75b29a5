"""Circuit breakers in the database: folded from the closed trades, written when risk is assessed, reset by a person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Q

from accounts import audit
from accounts.audit import Actor
from bots.core import breaker as core
from bots.core.breaker import Books, ClosedTrade, Name, State
from bots.core.codes import Code
from bots.core.intent import Purpose
from bots.core.joint import JOINT, Mark, begun_anew
from bots.core.limits import Limits
from bots.models import BotRun, Breaker, BreakerEvent, Decision, Level, Order, RunPosition, TradeLog
from bots.models.run import BotRunQuerySet
from exchanges.core.decimals import ZERO
from exchanges.core.orders import Side

#: How far back a breaker looks that has just been switched on.
LOOK_BACK = timedelta(days=1)
MOST_TRADES = 500
#: What a user's breaker judges: the trades of all of the user's runs of one mode.
OF_USERS = (Name.STOP_LOSS_GUARD,)
ASSESSOR = "risk"


class NothingToReset(Exception):
    """The breaker is closed."""


@dataclass(frozen=True, slots=True)
class Exit:
    """A closed trade, and the last row of the trade log that belongs to it."""

    through: int
    trade: ClosedTrade


def facts(row: Breaker) -> core.Breaker:
    return core.Breaker(Name(row.name), State(row.state), row.reason, row.tripped_at, row.half_open_at, row.since)


@dataclass(frozen=True, slots=True)
class Stated:
    """The limits that a run's breakers go by: its own, tightest of all levels; its user's; its key's."""

    run: Limits
    user: Limits = field(default_factory=Limits)
    key: Limits = field(default_factory=Limits)

    def at(self, level: str) -> Limits:
        return {Level.RUN: self.run, Level.USER: self.user, Level.KEY: self.key}[Level(level)]


def standing(run: BotRun, stated: Stated, books: Books, at: datetime) -> tuple[core.Breaker, ...]:
    """Every breaker that speaks for an entry of the run now, trades that nobody has assessed yet included."""
    found = []
    above = Q(level=Level.USER, target=run.user_id) | Q(level=Level.KEY, target=run.key_id or 0)
    speaking = Q(level=Level.RUN, target=run.pk) | Q(above, mode=run.mode, quote__in=("", run.quote))
    for row in Breaker.objects.filter(speaking):
        own = stated.at(row.level)
        if Name(row.name) in core.switched_on(own):
            folded = facts(row) if _is_joint(row) else _folded(row, own, books)[0]
            now = core.as_of(folded, at)
            found.append(replace(now, on_trial=now.state is State.HALF_OPEN and _on_trial(row, now, run)))
    return tuple(found)


def _is_joint(row: Breaker) -> bool:
    """Whether it goes by what all runs of its scope lost together, as it was last assessed."""
    return row.level != Level.RUN and Name(row.name) in JOINT


def _take_turns(row: Breaker) -> None:
    """Of runs that ask for the one trade on trial at once, the second waits until the first has written its order.

    A run's own breaker needs none: its run is locked.
    """
    if row.level == Level.USER:
        Breaker.objects.select_for_update(no_key=True).get(pk=row.pk)


def runs_under(row: Breaker) -> BotRunQuerySet:
    """The runs whose trades a breaker judges."""
    runs = BotRun.objects.filter(mode=row.mode, **({"quote": row.quote} if row.quote else {}))
    match row.level:
        case Level.RUN:
            return runs.filter(pk=row.target)
        case Level.KEY:
            return runs.filter(key_id=row.target)
        case _:
            return runs.filter(user_id=row.target)


def _on_trial(row: Breaker, now: core.Breaker, run: BotRun) -> bool:
    """Whether another run of the scope has entered since the breaker was half-open; the caller is in a transaction."""
    _take_turns(row)
    others = runs_under(row).exclude(pk=run.pk)
    entered = RunPosition.objects.filter(run__in=others.filter(held__gt=0), opened_at__gte=now.half_open_at)
    planned = Order.objects.live().filter(run__in=others, purpose=Purpose.ENTRY.value, planned_at__gte=now.half_open_at)
    return entered.exists() or planned.exists()


def _folded(row: Breaker, limits: Limits, books: Books) -> tuple[core.Breaker, int]:
    """(the breaker after every closed trade, the last row of the trade log that it has judged)."""
    exits = exits_of(row)
    fresh = [one.trade for one in exits if one.through > row.through]
    if not fresh:
        return facts(row), row.through
    known = [one.trade for one in exits if one.through <= row.through]
    if _entered_since(row, exits[-1]):
        # What is held may still recover, and while it is held no entry is possible: equity is judged between trades.
        books = Books(books.capital)
    return core.after_trades(facts(row), known, fresh, limits, books), exits[-1].through


def _entered_since(row: Breaker, last: Exit) -> bool:
    return TradeLog.objects.filter(run__in=runs_under(row), side=Side.BUY.value, pk__gt=last.through).exists()


def exits_of(row: Breaker) -> list[Exit]:
    """The trades that it judges, the oldest first, one per closing order that has ended; none when none is new."""
    runs = runs_under(row)
    sells = TradeLog.objects.filter(run__in=runs, side=Side.SELL.value)
    if not sells.filter(pk__gt=row.through).exists():
        return []
    ended = Order.objects.filter(run__in=runs, side=Side.SELL.value, ended_at__gt=row.since, filled__gt=0)
    orders = list(ended.order_by("-id").values_list("pk", flat=True)[:MOST_TRADES])
    codes = dict(Decision.objects.filter(order__in=orders).values_list("order_id", "code"))
    grouped: dict[int, list[TradeLog]] = {}
    for trade in sells.filter(order__in=orders).order_by("id"):
        grouped.setdefault(trade.order_id, []).append(trade)
    bought = _bought(trades[0].run_id for trades in grouped.values())
    found = [_exit(trades, codes.get(order, ""), bought) for order, trades in grouped.items()]
    return sorted(found, key=lambda one: one.through)


Bought = Mapping[int, Sequence[tuple[int, datetime]]]


def _bought(run_ids: Iterable[int]) -> Bought:
    """Per run, every buy's id and time."""
    found: dict[int, list[tuple[int, datetime]]] = {}
    buys = TradeLog.objects.filter(run__in=set(run_ids), side=Side.BUY.value).order_by("id")
    for run_id, pk, executed_at in buys.values_list("run_id", "id", "executed_at"):
        found.setdefault(run_id, []).append((pk, executed_at))
    return found


def _exit(sells: Sequence[TradeLog], code: str, bought: Bought) -> Exit:
    first, last = sells[0], sells[-1]
    entered = [at for pk, at in bought.get(first.run_id, ()) if pk < first.pk]
    pnl = sum((trade.pnl for trade in sells if trade.pnl is not None), ZERO)
    closed_at = max(trade.executed_at for trade in sells)
    reason = Code(code) if code else Code.SIGNAL_SELL
    return Exit(last.pk, ClosedTrade(entered[-1] if entered else closed_at, closed_at, pnl, reason))


def books_of(run: BotRun, row: RunPosition, at: datetime) -> Books:
    """As they are between two trades, where dust is all that is held."""
    equity: Decimal = run.capital + row.cash + row.amount * row.entry_price
    day_start = row.day_start_equity if row.day == at.date() else None
    return Books(run.capital, equity, max(row.peak_equity or run.capital, equity), day_start)


def assess_run(run: BotRun, row: RunPosition, limits: Limits, at: datetime) -> None:
    """Write down what the run's closed trades and the time have made of its breakers."""
    books = books_of(run, row, at)
    _assess(Level.RUN, run.pk, run.mode, core.switched_on(limits), limits, books, at)


def assess_user(user_id: int, mode: str, limits: Limits, at: datetime) -> None:
    names = [name for name in core.switched_on(limits) if name in OF_USERS]
    _assess(Level.USER, user_id, mode, names, limits, Books(Decimal(1)), at)


def _assess(
    level: Level, target: int, mode: str, names: Sequence[Name], limits: Limits, books: Books, at: datetime
) -> None:
    if not names:
        return
    for row in rows_of(level, target, mode, names, at):
        after, through = _folded(row, limits, books)
        after = core.as_of(after, at)
        if (after, through) != (facts(row), row.through):
            keep(row, after, through, ASSESSOR, at)


def rows_of(
    level: Level, target: int, mode: str, names: Sequence[Name], at: datetime, quote: str = ""
) -> list[Breaker]:
    """The breakers of these names, made where there is none yet."""
    scope = {"level": level, "target": target, "mode": mode, "quote": quote}
    known = {row.name: row for row in Breaker.objects.filter(name__in=names, **scope)}
    missing = [name for name in names if name.value not in known]
    new = {**scope, "since": at - LOOK_BACK, "changed_at": at, "changed_by": ASSESSOR}
    Breaker.objects.bulk_create([Breaker(name=name.value, **new) for name in missing], ignore_conflicts=True)
    return [*known.values(), *(Breaker.objects.filter(name__in=missing, **scope) if missing else ())]


def keep(row: Breaker, after: core.Breaker, through: int, actor: str, at: datetime, mark: Mark | None = None) -> bool:
    """Compare-and-swap: whoever judged the same trades, or the same sum, first stands."""
    mark = mark or Mark(row.mark, row.mark_day)
    with transaction.atomic():
        unchanged = Breaker.objects.filter(pk=row.pk, state=row.state, through=row.through, since=row.since)
        changed = unchanged.filter(mark=row.mark, mark_day=row.mark_day).update(
            mark=mark.value,
            mark_day=mark.day,
            state=after.state.value,
            reason=after.reason[:300],
            tripped_at=after.tripped_at,
            half_open_at=after.half_open_at,
            since=after.since or row.since,
            through=through,
            changed_at=at,
            changed_by=actor[:64],
        )
        if changed and (after.state.value != row.state or after.tripped_at != row.tripped_at):
            BreakerEvent.objects.create(
                breaker=row,
                from_state=row.state,
                to_state=after.state.value,
                reason=after.reason[:300],
                actor=actor[:64],
                at=at,
            )
    return bool(changed)


def reset(row: Breaker, reason: str, at: datetime, actor: Actor) -> Breaker:
    """Close it by hand, with a reason, audited: what it judged is forgotten and its measures begin anew."""
    if not reason.strip():
        raise ValueError("reason: Expected a sentence, was empty.")
    with transaction.atomic():
        row = Breaker.objects.select_for_update().get(pk=row.pk)
        if row.state == State.CLOSED:
            raise NothingToReset(f"The breaker {row.name} is closed.")
        judged = TradeLog.objects.filter(run__in=runs_under(row)).order_by("-id").values_list("pk", flat=True).first()
        after = replace(core.reset(facts(row), at), reason=reason.strip())
        mark = begun_anew(Name(row.name), at) if _is_joint(row) else None
        keep(row, after, judged or 0, str(actor), at, mark)
        if row.level == Level.RUN:
            _begin_anew(row, at)
        audit.record(actor, "breaker.reset", f"{row.level}:{row.target}", at=at, name=row.name, reason=reason.strip())
    row.refresh_from_db()
    return row


def _begin_anew(row: Breaker, at: datetime) -> None:
    """What the run remembers for this protection starts from here: else it would deny on its own."""
    run = BotRun.objects.select_for_update(of=("self",), no_key=True).get(pk=row.target)
    position = RunPosition.objects.select_for_update().get(run=run)
    match Name(row.name):
        case Name.MAX_DRAWDOWN:
            position.peak_equity = run.capital + position.cash + position.amount * position.entry_price
        case Name.DAILY_LOSS:
            position.day = at.date()
            position.day_start_equity = run.capital + position.cash + position.amount * position.entry_price
        case Name.LOSS_STREAK:
            position.loss_streak = 0
        case Name.COOLDOWN:
            position.last_loss_at = None
        case _:
            return
    position.save(update_fields=["peak_equity", "day", "day_start_equity", "loss_streak", "last_loss_at"])
