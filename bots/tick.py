"""One tick: settle, fetch, decide, place, submit, settle; candles once per market, whatever the number of runs."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bots import acting, grid_turn, opinions, stops, unseen
from bots.acting import Moment
from bots.core.codes import MEANING, Code
from bots.core.decision import Opinion, decide
from bots.models import ACTIVE, BotRun, Decision, Status
from bots.opinions import Voice
from bots.orders import Cause, candle_key
from bots.troubles import apart
from exchanges import market_data
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.errors import ExchangeFault, UnknownSymbol
from exchanges.core.market import Market
from strategies.core.plan import Grid
from strategies.core.signals import Action

log = logging.getLogger(__name__)

RETRY = timedelta(seconds=2)
Voices = dict[tuple[int, str], Voice]


@dataclass(frozen=True, slots=True)
class MarketKey:
    exchange: str
    symbol: str
    timeframe: str


@dataclass(slots=True)
class TickReport:
    """What a tick did: per market the runs looked at, decided, acted on, and the faults."""

    markets: int = 0
    runs: int = 0
    decisions: int = 0
    orders: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def add(self, other: "TickReport") -> None:
        self.markets += other.markets
        self.runs += other.runs
        self.decisions += other.decisions
        self.orders += other.orders
        self.faults += other.faults


def due_markets(at: datetime, timeframe: str | None = None) -> list[MarketKey]:
    """The markets with runs that have an unseen closed candle: one query."""
    due = BotRun.objects.due(at)
    if timeframe is not None:
        due = due.filter(timeframe=timeframe)
    rows = due.values_list("exchange", "symbol", "timeframe").distinct().order_by("exchange", "symbol", "timeframe")
    return [MarketKey(*row) for row in rows]


def tick_due(at: datetime, timeframe: str | None = None) -> TickReport:
    """Every due market, one after the other, in this process."""
    report, moment = TickReport(), Moment(at)
    for key in due_markets(at, timeframe):
        report.add(tick_market(key, at, moment))
    return report


def tick_market(key: MarketKey, at: datetime, moment: Moment | None = None) -> TickReport:
    """All due runs of one market on its unseen closed candles as of ``at``; ``moment`` is when the pass began."""
    moment = moment or Moment(at)
    runs = list(
        BotRun.objects.due(at)
        .filter(exchange=key.exchange, symbol=key.symbol, timeframe=key.timeframe)
        .select_related("strategy", "account", "account__key", "account__wallet")
        .order_by("id")
    )
    report = TickReport(markets=1, runs=len(runs))
    if not runs:
        return report
    built, broken = opinions.strategies_of(runs)
    report.faults += [_break(run, why, at) for run, why in broken]
    runs = [run for run in runs if opinions.voice_key(run) in built]
    if not runs:
        return report
    step = timeframe_ms(key.timeframe)
    count = max(strategy.warmup_on(step) for strategy in built.values()) + unseen.BACKLOG
    try:
        market = market_data.market(key.exchange, key.symbol, at)
        candles = market_data.closed_candles(key.exchange, key.symbol, key.timeframe, count, at)
    except (ExchangeFault, UnknownSymbol) as trouble:
        report.faults.append(_wait(runs, key, trouble, at))
        return report
    if not len(candles):
        report.faults.append(_wait(runs, key, ExchangeFault("no closed candle yet"), at))
        return report
    voices = _voices(built, candles, report)
    runs = [run for run in runs if opinions.voice_key(run) in voices]
    stale = market_data.stale(candles, key.timeframe, at)
    _decide_all(runs, voices, candles, market, stale, report, moment)
    return report


def _voices(built: opinions.Built, candles: Candles, report: TickReport) -> Voices:
    """A strategy that stumbles over these candles silences its own runs and nobody else's."""
    voices: Voices = {}
    for name, strategy in built.items():
        with apart(repr(strategy), report.faults):
            voices[name] = Voice(strategy, strategy.signals(candles), candles)
    return voices


def _decide_all(
    runs: Sequence[BotRun],
    voices: Voices,
    candles: Candles,
    market: Market,
    stale: bool,
    report: TickReport,
    moment: Moment,
) -> None:
    at = moment.at
    idle: list[BotRun] = []
    rows: list[Decision] = []
    told: unseen.Told = {}
    for run in runs:
        voice = voices[opinions.voice_key(run)]
        # A strategy may stumble over its own words, too.
        with apart(f"run {run.pk}", report.faults):
            untouched, asking = unseen.heard(run, voice, market, told, at)
            rows.extend(untouched)
            if asking is None or _act_on(run, asking, stale, report, moment.of(run.mode)):
                idle.append(run)
    Decision.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    report.decisions += len(rows)
    _seen(idle, candles, at)


def _act_on(run: BotRun, opinion: Opinion, stale: bool, report: TickReport, at: datetime) -> bool:
    """True when the candle is done with; False leaves it for the next tick."""
    cause = Cause(
        candle_key(opinion.candle_opened_at), "tick", opinion.candle_opened_at, dict(opinion.indicators), opinion.close
    )
    try:
        if isinstance(opinion.plan, Grid) and not (opinion.exit and run.held > 0):
            return _worked(grid_turn.work(run, opinion.plan, opinion, at, stale=stale), report)
        acted = acting.act(run, cause, lambda now: decide(opinion, now), at, stale=stale, full_exit=opinion.exit)
        if acted.order is not None:
            report.orders.append(acted.order.pk)
            stops.protect(run.pk, at)
    except ExchangeFault as fault:
        report.faults.append(_wait([run], MarketKey(run.exchange, run.symbol, run.timeframe), fault, at))
        return False
    except Exception as error:
        # One run's trouble never stops the others: theirs may be exits.
        log.exception("run %s could not act on its candle", run.pk)
        report.faults.append(f"run {run.pk}: {type(error).__name__}")
        return False
    if acted.placed is None:
        return False
    if acted.placed.decision is not None:
        report.decisions += 1
    return True


def _worked(placed: list[int] | None, report: TickReport) -> bool:
    report.orders += placed or []
    report.decisions += 1 if placed is not None else 0
    return placed is not None


def _seen(runs: Iterable[BotRun], candles: Candles, at: datetime) -> None:
    """One statement for any number of runs of a market."""
    ids = [run.pk for run in runs]
    if not ids:
        return
    last = int(candles.opened_at[-1])
    step = next(timeframe_ms(run.timeframe) for run in runs)
    upcoming = max(from_ms(last + 2 * step), at + timedelta(milliseconds=min(1000, step // 2)))
    BotRun.objects.filter(pk__in=ids, status__in=ACTIVE).update(
        last_candle_at=from_ms(last), next_check_at=upcoming, heartbeat_at=at, status_reason=""
    )
    BotRun.objects.filter(pk__in=ids, status=Status.STARTING).update(status=Status.RUNNING)


def _wait(runs: Sequence[BotRun], key: MarketKey, trouble: Exception, at: datetime) -> str:
    """The exchange could not be asked: the runs stay, say why once per candle, and try again soon."""
    code = Code(trouble.code) if isinstance(trouble, ExchangeFault) else Code.EXCHANGE_UNAVAILABLE
    detail = f"{MEANING[code]} {trouble} No order was sent; trying again."
    step = timeframe_ms(key.timeframe)
    opened = from_ms(to_ms(at) // step * step - step)
    Decision.objects.bulk_create(
        [
            Decision(
                run=run,
                decision_key=candle_key(opened, f"wait:{code.value}"),
                at=at,
                candle_opened_at=opened,
                action=Action.HOLD.value,
                code=code.value,
                reason=detail[:400],
            )
            for run in runs
        ],
        ignore_conflicts=True,
        batch_size=500,
    )
    retry_at = getattr(trouble, "retry_at", None) or at + RETRY
    BotRun.objects.filter(pk__in=[run.pk for run in runs]).update(
        next_check_at=retry_at, heartbeat_at=at, status_reason=detail[:300]
    )
    return f"{key.exchange} {key.symbol} {key.timeframe}: {detail}"


def _break(run: BotRun, why: str, at: datetime) -> str:
    """A run whose strategy cannot be built any more says so and stops deciding; what it holds stays protected.

    One that was asked to stop goes on with that, and one that has stopped stays so: neither needs its strategy.
    """
    deciding = BotRun.objects.filter(pk=run.pk, status__in=(Status.STARTING, Status.RUNNING, Status.PAUSED))
    deciding.update(status=Status.ERROR, status_reason=why[:300])
    BotRun.objects.filter(pk=run.pk, status=Status.STOPPING).update(next_check_at=at + RETRY)
    return f"run {run.pk}: {why}"
