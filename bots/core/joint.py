"""What all runs of a user or of a key have won and lost together, and when that trips a breaker of theirs.

Only profit is counted, never money that comes or goes with a run that starts or stops.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from bots.core.breaker import HUNDRED, Breaker, Name, State, Trip, as_of, next_day
from bots.core.limits import Limits
from exchanges.core.decimals import ZERO, plain

#: What is asked of the sum; the other protections are about trades.
JOINT: Final = (Name.MAX_DRAWDOWN, Name.DAILY_LOSS)


@dataclass(frozen=True, slots=True)
class Worth:
    """One run: its profit so far, what of it came today, the capital it works with; not ``in_use``: it has stopped."""

    profit: Decimal
    today: Decimal
    capital: Decimal
    in_use: bool = True


@dataclass(frozen=True, slots=True)
class Sum:
    """``gone``: the profit of runs that are not in use any more; ``whole``: every price was known."""

    profit: Decimal = ZERO
    today: Decimal = ZERO
    capital: Decimal = ZERO
    gone: Decimal = ZERO
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """The profit that a loss is measured from: the highest, or the day's first. No value: it begins anew."""

    value: Decimal | None = None
    day: date | None = None


def summed(runs: list[Worth], *, whole: bool = True) -> Sum:
    used = [run for run in runs if run.in_use]
    return Sum(
        profit=sum((run.profit for run in runs), ZERO),
        today=sum((run.today for run in runs), ZERO),
        capital=sum((run.capital for run in used), ZERO),
        gone=sum((run.profit for run in runs if not run.in_use), ZERO),
        whole=whole,
    )


def moved(name: Name, mark: Mark, now: Sum, at: datetime) -> Mark:
    """Where the loss is measured from as of now; a price that is not known raises no highest."""
    if name is Name.MAX_DRAWDOWN:
        higher = mark.value is None or (now.whole and now.profit > mark.value)
        return Mark(now.profit, at.date()) if higher else mark
    if mark.day != at.date():
        return Mark(now.profit - now.today, at.date())
    # A person has begun the day anew.
    return mark if mark.value is not None else Mark(now.profit, at.date())


def begun_anew(name: Name, at: datetime) -> Mark:
    """After a reset: what was lost before is forgotten."""
    return Mark(None, at.date() if name is Name.DAILY_LOSS else None)


def judged(breaker: Breaker, mark: Mark, now: Sum, limits: Limits, quote: str, at: datetime) -> Breaker:
    """The breaker after a look at the sum; ``mark`` as `moved` has it."""
    breaker = as_of(breaker, at)
    if breaker.state is not State.CLOSED or mark.value is None:
        return breaker
    ask = _drawdown if breaker.name is Name.MAX_DRAWDOWN else _daily_loss
    trip = ask(mark.value, now, limits, quote, at)
    if trip is None:
        return breaker
    return replace(breaker, state=State.OPEN, reason=trip.reason, tripped_at=at, half_open_at=trip.until)


def _drawdown(highest: Decimal, now: Sum, limits: Limits, quote: str, at: datetime) -> Trip | None:
    most, equity = limits.max_drawdown_pct, now.capital + highest - now.gone
    if most is None or equity <= 0:
        return None
    fall = (highest - now.profit) / equity * HUNDRED
    if fall < most:
        return None
    told = f"All {quote} runs together are {fall:.2f} % under their highest; {plain(most)} % is the limit."
    return Trip(told, None)


def _daily_loss(first: Decimal, now: Sum, limits: Limits, quote: str, at: datetime) -> Trip | None:
    most, loss = limits.max_daily_loss, first - now.profit
    if most is None or loss < most:
        return None
    told = f"All {quote} runs together lost {plain(round(loss, 8))} today; {plain(most)} is the limit."
    return Trip(told, next_day(at))
