"""Backtests and sweeps as pages and API show them, and the candles and rules that they are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from accounts.models import User
from bots.core.backtest.engine import NoCandles
from bots.core.backtest.report_csv import equity_points
from bots.core.backtest.request import BacktestRequest
from bots.core.result_pack import unpack_document
from bots.models import Backtest, JobState, Sweep
from bots.models.backtest import Research
from bots.queries.shapes import Page
from exchanges import candle_store, connect, market_data
from exchanges.candle_download import origin
from exchanges.candle_store import Coverage
from exchanges.core import demo
from exchanges.core.candles import Candles, from_ms, timeframe_ms, to_ms
from exchanges.core.errors import ExchangeFault, UnknownExchange, UnknownSymbol
from exchanges.core.market import Market

#: Of the demo market, which has no beginning, when no range is asked for.
DEMO_CANDLES = 10_000
MOST_DEMO_CANDLES = 1_000_000


@dataclass(frozen=True, slots=True)
class ResearchView:
    """A backtest or sweep and how far it is; ``eta`` in seconds, ``result`` None until it is done."""

    id: int
    kind: str
    state: str
    phase: str
    progress: float
    eta: float | None
    strategy: str
    exchange: str
    symbol: str
    timeframe: str
    request: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    candles: int | None
    candles_per_second: float | None
    error: str
    data_sha256: str
    engine: str
    result_sha256: str
    stats: Mapping[str, Any] | None
    result: Mapping[str, Any] | None = None
    repeats: int | None = None
    reproduced: bool | None = None


def pace(job: ResearchView, at: datetime) -> float | None:
    """Candles per second so far; None before there is anything to count."""
    if job.started_at is None or not job.candles or job.state != JobState.RUNNING:
        return job.candles_per_second
    seconds = (at - job.started_at).total_seconds()
    return job.candles * job.progress / 100 / seconds if seconds > 0 else None


def backtest_model(user: User | None, backtest_id: int) -> Backtest:
    """Raises Backtest.DoesNotExist; without a user, anybody's."""
    rows = Backtest.objects.all() if user is None else Backtest.objects.for_user(user)
    found: Backtest = rows.get(pk=backtest_id)
    return found


def sweep_model(user: User | None, sweep_id: int) -> Sweep:
    """Raises Sweep.DoesNotExist; without a user, anybody's."""
    rows = Sweep.objects.all() if user is None else Sweep.objects.for_user(user)
    found: Sweep = rows.get(pk=sweep_id)
    return found


def backtest_view(row: Backtest, at: datetime) -> ResearchView:
    """With the result, but without its trades: these come in pages."""
    document = None if row.result is None else unpack_document(row.result)
    if document is not None:
        document.pop("trades", None)
    return replace(_view(row, row.kind, row.stats, document, at, row.repeats_id), reproduced=reproduced(row))


def reproduced(row: Backtest) -> bool | None:
    """Whether a repetition came out exactly as the first time; None while there is nothing to compare."""
    if row.repeats is None or not row.result_sha256:
        return None
    return row.result_sha256 == row.repeats.result_sha256


def sweep_view(row: Sweep, at: datetime) -> ResearchView:
    return _view(row, "sweep", None, None if row.result is None else unpack_document(row.result), at)


def backtests_of(user: User, *, limit: int = 100, before: int | None = None) -> Page:
    """Newest first, without results."""
    rows = Backtest.objects.for_user(user).defer("result", "equity")
    return _page(rows, limit, before, lambda row, at: _view(row, row.kind, row.stats, None, at, row.repeats_id))


def sweeps_of(user: User, *, limit: int = 100, before: int | None = None) -> Page:
    return _page(
        Sweep.objects.for_user(user).defer("result"), limit, before, lambda row, at: _view(row, "sweep", None, None, at)
    )


def _page(rows: Any, limit: int, before: int | None, view: Any) -> Page:
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: limit + 1])
    items = [view(row, row.heartbeat_at or row.created_at) for row in found[:limit]]
    return Page(items, found[limit - 1].pk if len(found) > limit else None)


def _view(
    row: Research,
    kind: str,
    stats: Mapping[str, Any] | None,
    result: Mapping[str, Any] | None,
    at: datetime,
    repeats: int | None = None,
) -> ResearchView:
    same = (
        "state", "phase", "progress", "strategy", "exchange", "symbol", "timeframe", "request", "created_at",
        "started_at", "finished_at", "candles", "candles_per_second", "error", "data_sha256", "engine", "result_sha256",
    )  # fmt: skip
    facts: dict[str, Any] = {name: getattr(row, name) for name in same}
    return ResearchView(id=row.pk, kind=kind, eta=eta(row, at), stats=stats, result=result, repeats=repeats, **facts)


def eta(row: Research, at: datetime) -> float | None:
    """Seconds that are left at the present pace; None while nothing can be said."""
    if row.state != JobState.RUNNING or row.started_at is None or not 0 < row.progress < 100:
        return None
    return (at - row.started_at) / timedelta(seconds=1) * (100 - row.progress) / row.progress


def trades_of(row: Backtest, *, limit: int = 100, after: int | None = None) -> Page:
    """The closed trades in their order; the cursor counts them."""
    trades = [] if row.result is None else unpack_document(row.result).get("trades", [])
    return _slice(trades, limit, after or 0)


def equity_of(row: Backtest, *, limit: int = 500, after: int | None = None) -> Page:
    """Points oldest first: equity at a candle's close, and what buying and holding would have been worth."""
    if row.equity is None:
        return Page([])
    points = list(equity_points(row.equity, row.request["capital"]))
    return _slice(points, limit, after or 0)


def ranking_of(row: Sweep, *, limit: int = 100, after: int | None = None) -> Page:
    """The ranked sets, the best first; the cursor counts them."""
    rows = [] if row.result is None else unpack_document(row.result)["rows"]
    return _slice(rows, limit, after or 0)


def _slice(items: Sequence[Any], limit: int, start: int) -> Page:
    return Page(items[start : start + limit], start + limit if start + limit < len(items) else None)


def frozen(request: BacktestRequest, at: datetime) -> BacktestRequest:
    """The same with its range spelled out, so that it means the same tomorrow.

    Raises NoCandles, UnknownExchange, UnknownSymbol.
    """
    first, end = _coverage(request, at)
    since, until = max(request.since or first, first), min(request.until or end, end)
    if since >= until:
        covered = f"{first:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
        raise NoCandles(f"Expected a range with candles; there are some from {covered}.")
    return replace(request, since=since, until=until)


def _coverage(request: BacktestRequest, at: datetime) -> tuple[datetime, datetime]:
    """[first open time, end): what is stored; the demo market has no beginning, so its default is a length."""
    step = timeframe_ms(request.timeframe)
    stored = recorded(request.exchange, request.symbol, request.timeframe)
    if stored is not None:
        return stored.first, stored.last + timedelta(milliseconds=step)
    if request.exchange != demo.NAME:
        connect.require_known(request.exchange)
        name = f"{request.exchange} {request.symbol} {request.timeframe}"
        raise NoCandles(f"Expected stored candles of {name}, was none: import or download them first.")
    market_data.market(request.exchange, request.symbol, at)
    end = min(to_ms(at), to_ms(request.until) if request.until else to_ms(at)) // step * step
    since = end - DEMO_CANDLES * step if request.since is None else to_ms(request.since)
    if (end - since) // step > MOST_DEMO_CANDLES:
        raise NoCandles(f"Expected a range of at most {MOST_DEMO_CANDLES:,} demo candles.")
    return from_ms(since), from_ms(end)


def recorded(exchange: str, symbol: str, timeframe: str) -> Coverage | None:
    """What is stored and bounds a backtest. Demo candles that were merely kept do not: there are always more."""
    stored = candle_store.coverage(exchange, symbol, timeframe)
    return None if stored is not None and exchange == demo.NAME and stored.source == origin(demo.NAME) else stored


def candles_for(request: BacktestRequest, warmup: int) -> Candles:
    """The candles of a frozen request and as many before them as the warm-up may need."""
    step = timeframe_ms(request.timeframe)
    if request.since is None or request.until is None:
        raise ValueError("Expected a request whose range is spelled out.")
    # Gaps make the warm-up's candles reach further back than its time.
    since = request.since - timedelta(milliseconds=2 * warmup * step)
    key = (request.exchange, request.symbol, request.timeframe)
    candles = candle_store.load(*key, since, request.until)
    count = (to_ms(request.until) - to_ms(since)) // step
    if request.exchange != demo.NAME or len(candles) == count or recorded(*key) is not None:
        return candles
    return demo.candles(request.symbol, request.timeframe, to_ms(since), count)


def market_for(exchange: str, symbol: str, at: datetime) -> Market | None:
    """The market's rules, or None where the exchange cannot be asked or is none that we know."""
    try:
        return market_data.market(exchange, symbol, at)
    except (ExchangeFault, UnknownExchange, UnknownSymbol):
        return None
