"""Circuit breakers: a fold over closed trades; closed, open for a while, then one trade on trial.

    CLOSED ── a trade closes and a protection's sentence holds ──► OPEN: entries are denied
    OPEN ── its time has passed ──► HALF_OPEN: one entry is allowed
    HALF_OPEN ── that trade earned ──► CLOSED          HALF_OPEN ── it lost ──► OPEN again
    any ── a person, with a reason ──► CLOSED

A daily loss and a cooldown are over with their time: they close by themselves. A drawdown has no time: a person closes
it. Since trades are folded in their order, when one looks changes nothing; a backtest folds the same way.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from bots.core.codes import Code
from bots.core.intent import Denial
from bots.core.limits import Limits
from exchanges.core.decimals import ZERO, plain

HUNDRED = Decimal(100)
DAY_MINUTES = 24 * 60
LOW_PROFIT_TRADES = 4
STOPS = frozenset({Code.STOP_LOSS, Code.TRAILING_STOP})


class Name(StrEnum):
    MAX_DRAWDOWN = "max_drawdown"
    DAILY_LOSS = "daily_loss"
    STOP_LOSS_GUARD = "stop_loss_guard"
    LOSS_STREAK = "loss_streak"
    COOLDOWN = "cooldown"
    LOW_PROFIT = "low_profit"


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


CODE = {
    Name.MAX_DRAWDOWN: Code.DRAWDOWN_BREAKER,
    Name.DAILY_LOSS: Code.DAILY_LOSS,
    Name.STOP_LOSS_GUARD: Code.STOP_LOSS_GUARD,
    Name.LOSS_STREAK: Code.LOSS_STREAK,
    Name.COOLDOWN: Code.COOLDOWN,
    Name.LOW_PROFIT: Code.LOW_PROFIT,
}
#: The limit that switches each protection on.
LIMIT = {
    Name.MAX_DRAWDOWN: "max_drawdown_pct",
    Name.DAILY_LOSS: "max_daily_loss",
    Name.STOP_LOSS_GUARD: "stop_loss_guard_count",
    Name.LOSS_STREAK: "max_loss_streak",
    Name.COOLDOWN: "cooldown_seconds",
    Name.LOW_PROFIT: "low_profit_pct",
}
#: Over with their time, without a trial.
BRIEF = frozenset({Name.DAILY_LOSS, Name.COOLDOWN})


@dataclass(frozen=True, slots=True)
class ClosedTrade:
    """``pnl`` net of fees, in quote; ``code`` says what closed it."""

    entered_at: datetime
    at: datetime
    pnl: Decimal
    code: Code


@dataclass(frozen=True, slots=True)
class Books:
    """The run's equity after its last closed trade, its highest, and where the day began. None: not judged here."""

    capital: Decimal
    equity: Decimal | None = None
    peak_equity: Decimal | None = None
    day_start_equity: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """``half_open_at`` None while open: only a person closes it. Trades before ``since`` are forgotten."""

    name: Name
    state: State = State.CLOSED
    reason: str = ""
    tripped_at: datetime | None = None
    half_open_at: datetime | None = None
    since: datetime | None = None
    on_trial: bool = False


@dataclass(frozen=True, slots=True)
class Trip:
    reason: str
    until: datetime | None


def switched_on(limits: Limits) -> tuple[Name, ...]:
    """The protections that these limits ask for."""
    return tuple(name for name in Name if getattr(limits, LIMIT[name]) is not None)


def as_of(breaker: Breaker, at: datetime) -> Breaker:
    """What time alone has made of it."""
    if breaker.state is not State.OPEN or breaker.half_open_at is None or at < breaker.half_open_at:
        return breaker
    return replace(breaker, state=State.CLOSED if breaker.name in BRIEF else State.HALF_OPEN)


def after_trade(breaker: Breaker, history: Sequence[ClosedTrade], limits: Limits, books: Books) -> Breaker:
    """The breaker after the last trade of the history, which holds those before it, the oldest first."""
    trade = history[-1]
    now = as_of(breaker, trade.at)
    if now.state is State.HALF_OPEN:
        return _after_trial(now, trade, limits)
    trip = SENTENCES[now.name]([one for one in history if _counts(one, now)], limits, books)
    if trip is None:
        return now
    return replace(now, state=State.OPEN, reason=trip.reason, tripped_at=trade.at, half_open_at=trip.until)


def _after_trial(breaker: Breaker, trade: ClosedTrade, limits: Limits) -> Breaker:
    if breaker.half_open_at is None or trade.entered_at < breaker.half_open_at:
        # Entered before: it says nothing of the market as it is now.
        return breaker
    if trade.pnl >= 0:
        return replace(breaker, state=State.CLOSED, reason="", since=trade.at)
    reason = f"The trade on trial lost {plain(-trade.pnl)}."
    return replace(
        breaker,
        state=State.OPEN,
        reason=reason,
        tripped_at=trade.at,
        half_open_at=_pause(breaker.name, trade.at, limits),
    )


def _counts(trade: ClosedTrade, breaker: Breaker) -> bool:
    return breaker.since is None or trade.at > breaker.since


def _pause(name: Name, at: datetime, limits: Limits) -> datetime:
    match name:
        case Name.STOP_LOSS_GUARD:
            return at + timedelta(minutes=limits.stop_loss_guard_minutes or DAY_MINUTES)
        case Name.LOW_PROFIT:
            return at + timedelta(minutes=limits.low_profit_minutes or DAY_MINUTES)
        case _:
            return next_day(at)


def next_day(at: datetime) -> datetime:
    """00:00 UTC after this instant."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)


def drawdown(history: Sequence[ClosedTrade], limits: Limits, books: Books) -> Trip | None:
    most = limits.max_drawdown_pct
    if most is None or books.equity is None or books.peak_equity is None or books.peak_equity <= 0:
        return None
    fall = (books.peak_equity - books.equity) / books.peak_equity * HUNDRED
    if fall < most:
        return None
    return Trip(f"The drawdown is {fall:.2f} %; {plain(most)} % is the limit.", None)


def daily_loss(history: Sequence[ClosedTrade], limits: Limits, books: Books) -> Trip | None:
    most = limits.max_daily_loss
    if most is None or books.equity is None or books.day_start_equity is None:
        return None
    loss = books.day_start_equity - books.equity
    if loss < most:
        return None
    return Trip(f"The day's loss is {plain(loss)}; {plain(most)} is the limit.", next_day(history[-1].at))


def stop_loss_guard(history: Sequence[ClosedTrade], limits: Limits, books: Books) -> Trip | None:
    most, last = limits.stop_loss_guard_count, history[-1] if history else None
    if most is None or last is None or last.code not in STOPS or last.pnl >= 0:
        return None
    minutes = limits.stop_loss_guard_minutes or DAY_MINUTES
    begin = last.at - timedelta(minutes=minutes)
    stops = sum(1 for one in history if one.code in STOPS and one.pnl < 0 and one.at > begin)
    if stops < most:
        return None
    told = f"{stops} stop-losses in {minutes} minutes; {most} are the limit."
    return Trip(told, _pause(Name.STOP_LOSS_GUARD, last.at, limits))


def loss_streak(history: Sequence[ClosedTrade], limits: Limits, books: Books) -> Trip | None:
    most, streak = limits.max_loss_streak, 0
    for trade in reversed(history):
        if trade.pnl >= 0:
            break
        streak += 1
    if most is None or streak < most:
        return None
    return Trip(f"{streak} losing trades in a row; {most} are the limit.", next_day(history[-1].at))


def cooldown(history: Sequence[ClosedTrade], limits: Limits, books: Books) -> Trip | None:
    seconds, last = limits.cooldown_seconds, history[-1] if history else None
    if seconds is None or last is None or last.pnl >= 0:
        return None
    return Trip(f"A losing trade; entries wait {seconds} s.", last.at + timedelta(seconds=seconds))


def low_profit(history: Sequence[ClosedTrade], limits: Limits, books: Books) -> Trip | None:
    least, count = limits.low_profit_pct, limits.low_profit_trades or LOW_PROFIT_TRADES
    if least is None or len(history) < count:
        return None
    earned = sum((trade.pnl for trade in history[-count:]), ZERO) / books.capital * HUNDRED
    if earned >= least:
        return None
    told = f"The last {count} trades earned {earned:.2f} % of the capital; {plain(least)} % is the least."
    return Trip(told, _pause(Name.LOW_PROFIT, history[-1].at, limits))


Sentence = Callable[[Sequence[ClosedTrade], Limits, Books], Trip | None]
SENTENCES: Mapping[Name, Sentence] = {
    Name.MAX_DRAWDOWN: drawdown,
    Name.DAILY_LOSS: daily_loss,
    Name.STOP_LOSS_GUARD: stop_loss_guard,
    Name.LOSS_STREAK: loss_streak,
    Name.COOLDOWN: cooldown,
    Name.LOW_PROFIT: low_profit,
}


def after_trades(
    breaker: Breaker, known: Sequence[ClosedTrade], fresh: Iterable[ClosedTrade], limits: Limits, books: Books
) -> Breaker:
    """Fold the fresh trades; only the last one is judged by the books, which are of now."""
    history, blind = list(known), Books(books.capital)
    waiting = list(fresh)
    for index, trade in enumerate(waiting, start=1):
        history.append(trade)
        breaker = after_trade(breaker, history, limits, books if index == len(waiting) else blind)
    return breaker


def reset(breaker: Breaker, at: datetime) -> Breaker:
    """Closed by a person: what happened before is forgotten."""
    return Breaker(breaker.name, since=at)


def denial(breakers: Iterable[Breaker]) -> Denial | None:
    """Why an entry is not allowed now: a breaker is open, or its one trade on trial is somebody's already."""
    for breaker in breakers:
        if breaker.state is State.OPEN:
            until = breaker.half_open_at
            told = f"until {until:%Y-%m-%d %H:%M:%S} UTC" if until else "until a person resets it"
            return Denial(CODE[breaker.name], f"{breaker.reason} No entries {told}.")
        if breaker.on_trial:
            detail = f"The breaker {breaker.name} waits for the outcome of a trade on trial."
            return Denial(Code.CIRCUIT_BREAKER, detail)
    return None
