"""Backtests from request to report: asked for, carried out by a worker or in this process, repeated, canceled."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from accounts import audit
from accounts.audit import Actor
from accounts.models import User
from bots import lifecycle
from bots.acting import worker_name
from bots.core.attempt import Unwanted, guarded
from bots.core.backtest.report import Report
from bots.core.backtest.request import asked_for
from bots.core.backtest.study import checks_of, report_of
from bots.core.backtest.terms import market_facts, market_of
from bots.core.result_pack import pack_document, pack_equity, unpack_document
from bots.models import Backtest, JobState
from bots.queries.research import candles_for, frozen, market_for
from bots.quota import require_room
from exchanges.candle_download import keep
from exchanges.core.candles import Candles, timeframe_ms
from exchanges.core.market import Market
from strategies import queries as strategies

#: Of one user, waiting or running.
QUOTA = 20
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Work:
    """One attempt at one row; every sign of life may end it."""

    row: Backtest
    attempt: int
    clock: Clock

    def tell(self, phase: str, progress: float, **facts: Any) -> None:
        """Raises Unwanted."""
        at = self.clock()
        if not Backtest.objects.beat(self.row.pk, self.attempt, at, phase=phase, progress=progress, **facts):
            raise Unwanted


def submit(
    user: User, given: Mapping[str, Any], at: datetime, actor: Actor, kind: Backtest.Kind = Backtest.Kind.REPORT
) -> Backtest:
    """A checked request as work to be done; raises UnknownStrategy, StrategyDisabled, RequestError, NoCandles,
    UnknownSymbol and, with too many unfinished, lifecycle.Conflict."""
    request = asked_for(given).request
    strategies.build(request.strategy, request.params)
    return _queue(user, frozen(request, at).as_json(), at, actor, kind=kind)


def repeat(row: Backtest, at: datetime, actor: Actor) -> Backtest:
    """The same again, under the market's rules of then: the results' hashes say whether it came out the same."""
    if row.state != JobState.DONE:
        raise lifecycle.Conflict("not_done", "Expected a backtest that is done.")
    return _queue(row.owner, row.request, at, actor, kind=Backtest.Kind(row.kind), repeats=row)


@transaction.atomic
def _queue(user: User, request: dict[str, Any], at: datetime, actor: Actor, **facts: Any) -> Backtest:
    require_room(user.pk, Backtest.objects.for_user(user).unfinished(), QUOTA, "backtests")
    named = {name: request[name] for name in ("strategy", "exchange", "symbol", "timeframe")}
    row = Backtest.objects.create(owner=user, request=request, created_at=at, **named, **facts)
    audit.record(actor, "backtest.submitted", f"backtest:{row.pk}", at=at, **named)
    return row


def cancel(row: Backtest, at: datetime, actor: Actor) -> None:
    """What has ended stays as it is."""
    Backtest.objects.cancel(row.pk, at)
    audit.record(actor, "backtest.canceled", f"backtest:{row.pk}", at=at)


def waiting(at: datetime) -> list[int]:
    """What a worker should do now: queued, or left behind by a dead one."""
    return list(Backtest.objects.waiting(at).order_by("pk").values_list("pk", flat=True)[:100])


def run(backtest_id: int, clock: Clock) -> bool:
    """Carry one out, once; False when there is nothing to do. What a request can be wrong about fails the row."""
    attempt = Backtest.objects.claim(backtest_id, worker_name(), clock())
    if attempt is None:
        return False
    work = Work(Backtest.objects.select_related("repeats").get(pk=backtest_id), attempt, clock)
    with guarded(lambda why: _finish(work, JobState.FAILED, error=why)):
        facts = carry_out(work)
        _finish(work, JobState.DONE, phase="done", progress=100.0, **facts)
    return True


def _finish(work: Work, state: JobState, **facts: Any) -> None:
    Backtest.objects.finish(work.row.pk, work.attempt, state, work.clock(), **facts)


def carry_out(work: Work) -> dict[str, Any]:
    """The fields of the finished row."""
    row, started = work.row, work.clock()
    asked = asked_for(row.request)
    work.tell("loading candles", 5.0)
    candles = candles_for(asked.request, asked.strategy.warmup_on(timeframe_ms(row.timeframe)))
    keep(row.exchange, row.symbol, row.timeframe, candles, started)
    market = _market(row, started)
    work.tell("computing", 30.0, candles=len(candles))
    document: dict[str, Any]
    facts: dict[str, Any]
    if row.kind == Backtest.Kind.CHECKS:
        document, facts = asdict(checks_of(asked, candles, market)), {}
    else:
        document, facts = _reported(report_of(asked, candles, market), candles)
    work.tell("storing", 90.0)
    document["market"] = market_facts(market)
    packed, sha256 = pack_document(document)
    seconds = (work.clock() - started) / timedelta(seconds=1)
    pace = len(candles) / seconds if seconds > 0 else None
    return {"result": packed, "result_sha256": sha256, "candles_per_second": pace, **facts}


def _market(row: Backtest, at: datetime) -> Market | None:
    """A repetition takes the rules of the first time: an exchange may have changed them since."""
    if row.repeats is not None and row.repeats.result is not None:
        return market_of(unpack_document(row.repeats.result)["market"], row.symbol)
    return market_for(row.exchange, row.symbol, at)


def _reported(made: Report, candles: Candles) -> tuple[dict[str, Any], dict[str, Any]]:
    document = made.document()
    stats = {name: value if value is None else float(value) for name, value in document["stats"].items()}
    facts = {
        "stats": stats,
        "data_sha256": made.data.sha256,
        "engine": made.engine,
        "equity": pack_equity(candles[-made.data.candles :], made.measured.equity),
    }
    return document, facts
