"""JSON about drift reports: a run's days beside their replays, one of them trade by trade, and comparing one now."""

from datetime import date

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status

from accounts.auth import NotFound, TokenAuth, actor_of
from bots import drift, drift_tasks, research_tasks
from bots.api.callers import own_run, readable_run
from bots.api.drift_schemas import DriftDayOut, DriftIn, DriftOut, DriftQuery, DriftsOut
from bots.models import DriftReport
from bots.queries import drift as reports
from bots.queries.drift import DriftView
from bots.queries.shapes import Page
from exchanges.schemas import PageQuery

router = Router(tags=["Bots"])


@router.get("/api/v1/bot/{id}/drift", auth=TokenAuth("read"), response=DriftsOut)
def list_drift(request: HttpRequest, id: str, query: Query[PageQuery]) -> Page:  # noqa: A002 - the contract's word
    """Each day's live or paper trades against their replay on the stored candles, without the trades."""
    return reports.days_of(readable_run(request, id).pk, limit=query.limit, before=query.cursor)


@router.post("/api/v1/bot/{id}/drift", auth=TokenAuth("trade"), response={202: DriftOut})
def start_drift(request: HttpRequest, id: str, body: DriftIn, response: HttpResponse) -> Status[DriftView]:  # noqa: A002 - the contract's word
    """Compare a day now, or again as a new version; a worker does it, `Location` tells how far it is."""
    row = drift.submit(own_run(request, id), body.day, timezone.now(), actor_of(request))
    research_tasks.ring(drift_tasks.research_drift, row.pk)
    response["Location"] = f"/api/v1/bot/{row.run_id}/drift/{row.day.isoformat()}"
    return Status(202, reports.report_by_id(row.pk))


@router.get("/api/v1/bot/{id}/drift/{day}", auth=TokenAuth("read"), response=DriftDayOut)
def get_drift(request: HttpRequest, id: str, day: str, query: Query[DriftQuery]) -> DriftView:  # noqa: A002 - the contract's word
    """Every trade of the day beside its replay, with one cause and what the difference changed."""
    run = readable_run(request, id)
    try:
        return reports.report_of(run.pk, date.fromisoformat(day), query.version)
    except (ValueError, DriftReport.DoesNotExist):
        raise NotFound("There is no drift report of that day.") from None
