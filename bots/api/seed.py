"""The seed's JSON about runs, profit and trades, at the root of the site."""

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from ninja import Query, Router, Status

from accounts.auth import TokenAuth, actor_of, resolve_user
from bots import lifecycle
from bots.api.callers import caller_of, own_run, reader_of
from bots.csv_answer import csv_answer, trade_lines
from bots.queries import history, money, runs
from bots.queries.shapes import Page, RunFilter, RunView, TradeFilter
from bots.schemas import (
    PnlQuery,
    PnlsOut,
    RunOut,
    RunsOut,
    RunsQuery,
    StartIn,
    StatusOut,
    StopIn,
    TradesOut,
    TradesQuery,
)
from exchanges.schemas import object_id

router = Router(tags=["Bots"])
CSV = "text/csv"


@router.post("/bot/start", auth=TokenAuth("trade"), response={201: StatusOut})
def start_bot(request: HttpRequest, body: StartIn, response: HttpResponse) -> Status[object]:
    """Start a run. Without limits it may invest its whole capital; a live one needs an armed key."""
    wanted = lifecycle.StartRequest(user=caller_of(request).user, **dict(body))
    run = lifecycle.start(wanted, timezone.now(), actor_of(request))
    response["Location"] = f"/bot/status/{run.pk}"
    return Status(201, {"bot_run_id": run.pk, "status": run.status})


@router.post("/bot/stop", auth=TokenAuth("trade"), response=StatusOut)
def stop_bot(request: HttpRequest, body: StopIn) -> dict[str, object]:
    """Stop a run; again changes nothing. An order in flight is settled before the end."""
    run = own_run(request, body.bot_run_id)
    stopped = lifecycle.stop(run, body.on_open_position, timezone.now(), actor_of(request))
    return {"bot_run_id": stopped.pk, "status": stopped.status}


@router.get("/bot/status/{bot_run_id}", auth=TokenAuth("read"), response=RunOut)
def bot_status(request: HttpRequest, bot_run_id: str) -> RunView:
    """One run: what it holds, what it earned, what it last decided and why."""
    return runs.run_of(reader_of(request), object_id(bot_run_id))


@router.get("/bot/list/{id}", auth=TokenAuth("read"), response=RunsOut)
def list_bots(request: HttpRequest, id: str, query: Query[RunsQuery]) -> Page:  # noqa: A002 - the contract's word
    """The runs of a user: `me` or an id."""
    wanted = RunFilter(status=query.status or "", mode=query.mode or "")
    return runs.runs_of(resolve_user(caller_of(request), id), wanted, limit=query.limit, before=query.cursor)


@router.get("/dashboard/pnl", auth=TokenAuth("read"), response=PnlsOut)
def dashboard_pnl(request: HttpRequest, query: Query[PnlQuery]) -> dict[str, object]:
    """Profit per mode and quote currency; paper and live are never added together."""
    return {"items": money.pnl_of(caller_of(request).user, query.period, query.mode or "", timezone.now())}


@router.get("/trades/history", auth=TokenAuth("read"), response=TradesOut)
def trades_history(request: HttpRequest, query: Query[TradesQuery]) -> Page | HttpResponseBase:
    """The trade log, newest first. `Accept: text/csv` streams the same rows; without limit all of them."""
    user = caller_of(request).user
    wanted = _trade_filter(request, query)
    if request.get_preferred_type(["application/json", CSV]) != CSV:
        return history.trades_of(user, wanted, limit=query.limit or 100, before=query.cursor)
    if query.limit is None and query.cursor is None:
        return csv_answer(request, trade_lines(history.all_trades(user, wanted)), "trades.csv")
    page = history.trades_of(user, wanted, limit=query.limit or 100, before=query.cursor)
    return csv_answer(request, trade_lines(page.items), "trades.csv")


def _trade_filter(request: HttpRequest, query: TradesQuery) -> TradeFilter:
    run_id = None if query.bot_run_id is None else own_run(request, query.bot_run_id).pk
    return TradeFilter(run_id, query.symbol or "", query.side or "", query.mode or "", query.since, query.until)
