"""JSON about one run: pause, resume, and what it decided, ordered and was filled."""

from django.http import HttpRequest
from django.utils import timezone
from ninja import Query, Router

from accounts.auth import TokenAuth, actor_of
from bots import lifecycle
from bots.api.callers import own_run, readable_run
from bots.queries import history
from bots.queries.shapes import Page
from bots.schemas import DecisionsOut, FillsOut, OrdersOut, StatusOut
from exchanges.schemas import PageQuery

router = Router(tags=["Bots"])


@router.post("/api/v1/bot/{id}/pause", auth=TokenAuth("trade"), response=StatusOut)
def pause_bot(request: HttpRequest, id: str) -> dict[str, object]:  # noqa: A002 - the contract's word
    """No new entries; the position and its exits stay."""
    run = lifecycle.pause(own_run(request, id), timezone.now(), actor_of(request))
    return {"bot_run_id": run.pk, "status": run.status}


@router.post("/api/v1/bot/{id}/resume", auth=TokenAuth("trade"), response=StatusOut)
def resume_bot(request: HttpRequest, id: str) -> dict[str, object]:  # noqa: A002 - the contract's word
    """Go on after a pause or an error."""
    run = lifecycle.resume(own_run(request, id), timezone.now(), actor_of(request))
    return {"bot_run_id": run.pk, "status": run.status}


@router.get("/api/v1/bot/{id}/decisions", auth=TokenAuth("read"), response=DecisionsOut)
def list_decisions(request: HttpRequest, id: str, query: Query[PageQuery]) -> Page:  # noqa: A002 - the contract's word
    """The decision journal, newest first: every evaluated candle, and why it came out as it did."""
    return history.decisions_of(readable_run(request, id).pk, limit=query.limit, before=query.cursor)


@router.get("/api/v1/bot/{id}/orders", auth=TokenAuth("read"), response=OrdersOut, by_alias=True)
def list_orders(request: HttpRequest, id: str, query: Query[PageQuery]) -> Page:  # noqa: A002 - the contract's word
    """The orders, newest first, each with every change of its state."""
    run = readable_run(request, id)
    return history.orders_of(run.pk, None, limit=query.limit, before=query.cursor)


@router.get("/api/v1/bot/{id}/fills", auth=TokenAuth("read"), response=FillsOut)
def list_fills(request: HttpRequest, id: str, query: Query[PageQuery]) -> Page:  # noqa: A002 - the contract's word
    """The executions, newest first."""
    return history.fills_of(readable_run(request, id).pk, limit=query.limit, before=query.cursor)
