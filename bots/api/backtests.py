"""JSON about backtests and sweeps: ask for one, watch it, page through it, repeat or cancel it."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from ninja import Query, Router, Status

from accounts.auth import NotFound, TokenAuth, actor_of
from bots import backtests, lifecycle, research_tasks, sweeps
from bots.api.callers import caller_of, reader_of
from bots.api.research_schemas import (
    BacktestIn,
    RankingOut,
    ReportEquityOut,
    ReportTradesOut,
    ResearchesOut,
    ResearchOut,
    SweepIn,
)
from bots.core.backtest.engine import NoCandles
from bots.core.backtest.report_csv import equity_table, sweep_table, trade_table
from bots.core.backtest.request import RequestError
from bots.core.sweep.plan import SweepError
from bots.csv_answer import csv_answer, csv_lines
from bots.models import Backtest, Sweep
from bots.queries import research
from bots.queries.research import ResearchView
from bots.queries.shapes import Page
from exchanges.schemas import PageQuery, object_id

router = Router(tags=["Backtests"])
CSV = "text/csv"
#: More than any report holds.
MOST_ROWS = 10**9
T = TypeVar("T")


def checked(submit: Callable[..., T], request: HttpRequest, body: BacktestIn, *extra: Any) -> T:
    """One domain call, its mistakes by field (422)."""
    given = body.dict(exclude_none=True)
    try:
        return submit(caller_of(request).user, given, timezone.now(), actor_of(request), *extra)
    except (RequestError, SweepError) as error:
        raise lifecycle.Invalid("invalid_request", str(error), error.errors) from None
    except NoCandles as error:
        raise lifecycle.Invalid("no_candles", str(error), {"since": str(error)}) from None


def backtest_row(request: HttpRequest, backtest_id: str, *, own: bool = False) -> Backtest:
    try:
        return research.backtest_model(owner_of(request, own), object_id(backtest_id))
    except Backtest.DoesNotExist:
        raise NotFound("There is no such backtest.") from None


def sweep_row(request: HttpRequest, sweep_id: str, *, own: bool = False) -> Sweep:
    try:
        return research.sweep_model(owner_of(request, own), object_id(sweep_id))
    except Sweep.DoesNotExist:
        raise NotFound("There is no such sweep.") from None


def owner_of(request: HttpRequest, own: bool) -> Any:
    """Whose rows may be seen; only one's own may be changed."""
    return caller_of(request).user if own else reader_of(request)


def wants_csv(request: HttpRequest) -> bool:
    return request.get_preferred_type(["application/json", CSV]) == CSV


def accepted(row: Backtest | Sweep, response: HttpResponse) -> Status[Any]:
    if isinstance(row, Sweep):
        research_tasks.ring(research_tasks.research_sweep, row.pk)
        response["Location"] = f"/api/v1/sweeps/{row.pk}"
        return Status(202, research.sweep_view(row, timezone.now()))
    research_tasks.ring(research_tasks.research_backtest, row.pk)
    response["Location"] = f"/api/v1/backtests/{row.pk}"
    return Status(202, research.backtest_view(row, timezone.now()))


@router.post("/api/v1/backtests", auth=TokenAuth("trade"), response={202: ResearchOut})
def start_backtest(request: HttpRequest, body: BacktestIn, response: HttpResponse) -> Status[Any]:
    """Try a strategy on past candles; a worker does it, `Location` tells how far it is."""
    return accepted(checked(backtests.submit, request, body), response)


@router.post("/api/v1/backtests/checks", auth=TokenAuth("trade"), response={202: ResearchOut})
def start_checks(request: HttpRequest, body: BacktestIn, response: HttpResponse) -> Status[Any]:
    """Whether such a result could be believed: look-ahead, warm-up, worse fills, luck of the order."""
    return accepted(checked(backtests.submit, request, body, Backtest.Kind.CHECKS), response)


@router.get("/api/v1/backtests", auth=TokenAuth("read"), response=ResearchesOut)
def list_backtests(request: HttpRequest, query: Query[PageQuery]) -> Page:
    """One's own, newest first, without their results."""
    return research.backtests_of(caller_of(request).user, limit=query.limit, before=query.cursor)


@router.get("/api/v1/backtests/{id}", auth=TokenAuth("read"), response=ResearchOut)
def get_backtest(request: HttpRequest, id: str) -> ResearchView:  # noqa: A002 - the contract's word
    """How far it is, and once it is done the report without its trades."""
    return research.backtest_view(backtest_row(request, id), timezone.now())


@router.get("/api/v1/backtests/{id}/trades", auth=TokenAuth("read"), response=ReportTradesOut)
def list_backtest_trades(request: HttpRequest, id: str, query: Query[PageQuery]) -> Page | HttpResponseBase:  # noqa: A002 - the contract's word
    """The closed trades, oldest first. `Accept: text/csv` gives the whole table."""
    row = backtest_row(request, id)
    if not wants_csv(request):
        return research.trades_of(row, limit=query.limit, after=query.cursor)
    table = trade_table({"trades": research.trades_of(row, limit=MOST_ROWS).items})
    return csv_answer(request, csv_lines(*table), f"backtest-{row.pk}-trades.csv")


@router.get("/api/v1/backtests/{id}/equity", auth=TokenAuth("read"), response=ReportEquityOut)
def list_backtest_equity(request: HttpRequest, id: str, query: Query[PageQuery]) -> Page | HttpResponseBase:  # noqa: A002 - the contract's word
    """Equity, drawdown and what buying and holding would have been worth, oldest first. `Accept: text/csv` gives the
    whole table."""
    row = backtest_row(request, id)
    if not wants_csv(request) or row.equity is None:
        return research.equity_of(row, limit=query.limit, after=query.cursor)
    table = equity_table(row.equity, row.request["capital"])
    return csv_answer(request, csv_lines(*table), f"backtest-{row.pk}-equity.csv")


@router.post("/api/v1/backtests/{id}/repeat", auth=TokenAuth("trade"), response={202: ResearchOut})
def repeat_backtest(request: HttpRequest, id: str, response: HttpResponse) -> Status[Any]:  # noqa: A002 - the contract's word
    """The same again; `reproduced` says whether it came out bit for bit."""
    row = backtest_row(request, id, own=True)
    return accepted(backtests.repeat(row, timezone.now(), actor_of(request)), response)


@router.delete("/api/v1/backtests/{id}", auth=TokenAuth("trade"), response={204: None})
def cancel_backtest(request: HttpRequest, id: str) -> Status[Any]:  # noqa: A002 - the contract's word
    """Cancel it; what has ended stays as it is."""
    backtests.cancel(backtest_row(request, id, own=True), timezone.now(), actor_of(request))
    return Status(204, None)


@router.post("/api/v1/sweeps", auth=TokenAuth("trade"), response={202: ResearchOut})
def start_sweep(request: HttpRequest, body: SweepIn, response: HttpResponse) -> Status[Any]:
    """Try many parameter sets and rank them; workers do it in parts, `Location` tells how far they are."""
    return accepted(checked(sweeps.submit, request, body), response)


@router.get("/api/v1/sweeps", auth=TokenAuth("read"), response=ResearchesOut)
def list_sweeps(request: HttpRequest, query: Query[PageQuery]) -> Page:
    """One's own, newest first, without their results."""
    return research.sweeps_of(caller_of(request).user, limit=query.limit, before=query.cursor)


@router.get("/api/v1/sweeps/{id}", auth=TokenAuth("read"), response=ResearchOut)
def get_sweep(request: HttpRequest, id: str) -> ResearchView:  # noqa: A002 - the contract's word
    """How far it is, and once it is done the ranked table with what to doubt about it."""
    return research.sweep_view(sweep_row(request, id), timezone.now())


@router.get("/api/v1/sweeps/{id}/ranking", auth=TokenAuth("read"), response=RankingOut)
def list_sweep_ranking(request: HttpRequest, id: str, query: Query[PageQuery]) -> Page | HttpResponseBase:  # noqa: A002 - the contract's word
    """The ranked sets, the best first. `Accept: text/csv` gives the whole table as the page shows it."""
    row = sweep_row(request, id)
    if not wants_csv(request):
        return research.ranking_of(row, limit=query.limit, after=query.cursor)
    table = sweep_table({"rows": research.ranking_of(row, limit=MOST_ROWS).items})
    return csv_answer(request, csv_lines(*table), f"sweep-{row.pk}.csv")


@router.delete("/api/v1/sweeps/{id}", auth=TokenAuth("trade"), response={204: None})
def cancel_sweep(request: HttpRequest, id: str) -> Status[Any]:  # noqa: A002 - the contract's word
    """Cancel it; what has ended stays as it is."""
    sweeps.cancel(sweep_row(request, id, own=True), timezone.now(), actor_of(request))
    return Status(204, None)
