"""Downloads of candles as work: asked for, carried on page by page by whichever worker is there, ended or resumed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F, Sum

from accounts import audit
from accounts.audit import Actor
from accounts.models import User
from bots import lifecycle
from bots.acting import worker_name
from bots.core.attempt import Unwanted, guarded
from bots.core.backtest.request import RequestError, instant, read_symbol
from bots.models import CandleDownload, JobState
from bots.models.backtest import MOST_ATTEMPTS
from bots.quota import require_room
from exchanges import candle_download, market_data
from exchanges.candle_download import Page, Target
from exchanges.core.candles import from_ms
from exchanges.core.errors import ExchangeFault, UnknownTimeframe

#: Of one user, waiting or running.
QUOTA = 3
#: Of one download, and of all that one user asks for in a day: all share the exchange's patience and the disk.
MOST_CANDLES = 2_000_000
MOST_A_DAY = 5_000_000
DAY = timedelta(days=1)
#: A worker lets go after this long, so that other work has its turn; the next message goes on.
TURN = timedelta(seconds=20)
REQUIRED = ("exchange", "symbol", "timeframe", "since")
Clock = Callable[[], datetime]


def submit(user: User, given: Mapping[str, Any], at: datetime, actor: Actor) -> CandleDownload:
    """A checked wish as work to be done; raises RequestError, UnknownExchange, UnknownSymbol, UnknownTimeframe,
    ExchangeFault and, with too much asked for or the market under way already, lifecycle.Conflict."""
    target = _target(given, at)
    named = {"exchange": target.exchange, "symbol": target.symbol, "timeframe": target.timeframe}
    since, until = from_ms(target.start), from_ms(target.end)
    facts = {"since": since, "until": until, "reached": since, "candles": target.candles}
    try:
        with transaction.atomic():
            _require_room(user)
            _within_day(user, target.candles, at)
            row = CandleDownload.objects.create(owner=user, created_at=at, **named, **facts)
    except IntegrityError:
        raise _busy(target.exchange, target.symbol, target.timeframe) from None
    audit.record(actor, "candles.download_submitted", f"download:{row.pk}", at=at, candles=target.candles, **named)
    return row


def _busy(exchange: str, symbol: str, timeframe: str) -> lifecycle.Conflict:
    text = f"Candles of {exchange} {symbol} {timeframe} are being downloaded already; wait for that to end."
    return lifecycle.Conflict("already_downloading", text)


def _target(given: Mapping[str, Any], at: datetime) -> Target:
    errors = {name: "Expected a value, was none." for name in REQUIRED if not given.get(name)}
    read: dict[str, Any] = {"until": at}
    for name, reader in (("symbol", read_symbol), ("since", instant), ("until", instant)):
        try:
            read |= {name: reader(given[name])} if given.get(name) else {}
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise RequestError(errors)
    exchange, timeframe = str(given["exchange"]), str(given["timeframe"])
    market_data.market(exchange, read["symbol"], at)
    if timeframe not in (offered := market_data.timeframes(exchange)):
        raise UnknownTimeframe(f"Expected one of {', '.join(offered)} on {exchange}, was {timeframe!r}.")
    target = Target(exchange, read["symbol"], timeframe, read["since"], read["until"], at)
    if not target.candles:
        raise RequestError({"until": "Expected a range that holds a closed candle."})
    if target.candles > MOST_CANDLES:
        text = f"Expected a range of at most {MOST_CANDLES:,} candles, was {target.candles:,}."
        raise RequestError({"since": text})
    return target


def _require_room(user: User) -> None:
    require_room(user.pk, CandleDownload.objects.for_user(user).unfinished(), QUOTA, "downloads")


def _within_day(user: User, candles: int, at: datetime) -> None:
    asked = asked_today(user, at)
    if asked + candles > MOST_A_DAY:
        text = f"Expected at most {MOST_A_DAY:,} candles in 24 hours; {asked:,} were asked for, {candles:,} are wanted."
        raise lifecycle.Conflict("download_quota", text)


def asked_today(user: User, at: datetime) -> int:
    """Candles in the ranges of the downloads of 24 hours."""
    mine = CandleDownload.objects.for_user(user).filter(created_at__gt=at - DAY)
    return mine.aggregate(asked=Sum("candles"))["asked"] or 0


def cancel(row: CandleDownload, at: datetime, actor: Actor) -> None:
    """What is stored stays stored; what has ended stays as it is."""
    CandleDownload.objects.cancel(row.pk, at)
    audit.record(actor, "candles.download_canceled", f"download:{row.pk}", at=at)


def resume(row: CandleDownload, at: datetime, actor: Actor) -> None:
    """Go on where it failed or was canceled; raises lifecycle.Conflict."""
    try:
        with transaction.atomic():
            _require_room(row.owner)
            reopened = CandleDownload.objects.reopen(row.pk)
    except IntegrityError:
        raise _busy(row.exchange, row.symbol, row.timeframe) from None
    if not reopened:
        raise lifecycle.Conflict("not_resumable", "Expected a download that failed or was canceled.")
    audit.record(actor, "candles.download_resumed", f"download:{row.pk}", at=at)


def waiting(at: datetime) -> list[int]:
    """What a worker should do now: queued, or left behind by a dead one."""
    return list(CandleDownload.objects.waiting(at).order_by("pk").values_list("pk", flat=True)[:100])


@dataclass(slots=True)
class _Attempt:
    """One worker's turn at one row; every sign of life may end it."""

    row: CandleDownload
    number: int
    clock: Clock
    started: datetime
    added: int = 0

    def tell(self, page: Page) -> None:
        """Raises Unwanted."""
        at, row = self.clock(), self.row
        self.added += page.saved.added
        whole, done = row.until - row.since, page.reached - row.since
        seconds = (at - self.started) / timedelta(seconds=1)
        passed = row.candles * ((page.reached - row.reached) / whole)
        if not CandleDownload.objects.beat(
            row.pk, self.number, at, phase="downloading", error="", reached=page.reached, fruitful=self.number,
            progress=100 * (done / whole), added=F("added") + page.saved.added, pages=F("pages") + int(bool(page.rows)),
            candles_per_second=passed / seconds if seconds > 0 else None,
        ):  # fmt: skip
            raise Unwanted

    @property
    def over(self) -> bool:
        return self.clock() - self.started >= TURN


def work(download_id: int, clock: Clock) -> bool:
    """One turn at one download; False when there is nothing to do. An exchange that cannot be asked is asked again
    after a minute, three times in a row at most."""
    started = clock()
    number = CandleDownload.objects.claim(download_id, worker_name(), started)
    if number is None:
        return False
    attempt = _Attempt(CandleDownload.objects.get(pk=download_id), number, clock, started)
    with guarded(lambda why: _finish(attempt, JobState.FAILED, error=why)):
        try:
            _advance(attempt)
        except (ExchangeFault, IntegrityError) as trouble:
            _wait_or_fail(attempt, trouble)
    return True


def _advance(attempt: _Attempt) -> None:
    row = attempt.row
    target = Target(row.exchange, row.symbol, row.timeframe, row.reached, row.until, attempt.started)
    for page in candle_download.pages(target):
        attempt.tell(page)
        if attempt.over and page.reached < row.until:
            CandleDownload.objects.release(row.pk, attempt.number, attempt.clock())
            return
    _finish(attempt, JobState.DONE, phase="done", progress=100.0, reached=row.until)


def _wait_or_fail(attempt: _Attempt, trouble: Exception) -> None:
    """Silence is what the next attempt waits for."""
    pk, number, at = attempt.row.pk, attempt.number, attempt.clock()
    words = (str(trouble) if isinstance(trouble, ExchangeFault) else "Another download stored the same month.")[:500]
    fruitful = CandleDownload.objects.values_list("fruitful", flat=True).get(pk=pk)
    if number - fruitful >= MOST_ATTEMPTS:
        _finish(attempt, JobState.FAILED, error=words)
    else:
        CandleDownload.objects.beat(pk, number, at, phase="waiting for the exchange", error=words)


def _finish(attempt: _Attempt, state: JobState, **facts: Any) -> None:
    CandleDownload.objects.finish(attempt.row.pk, attempt.number, state, attempt.clock(), **facts)
