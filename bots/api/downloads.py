"""JSON about downloads of candles: ask for one, watch it, cancel it, go on with it."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status

from accounts.auth import NotFound, TokenAuth, actor_of
from bots import downloads, lifecycle, research_tasks
from bots.api.callers import caller_of, reader_of
from bots.api.research_schemas import DownloadIn, DownloadOut, DownloadsOut
from bots.core.backtest.request import RequestError
from bots.models import CandleDownload
from bots.queries import downloads as queries
from bots.queries.downloads import DownloadView
from bots.queries.shapes import Page
from exchanges.schemas import PageQuery, object_id

router = Router(tags=["Markets and money"])


def download_row(request: HttpRequest, download_id: str, *, own: bool = False) -> CandleDownload:
    """Anybody's for who may read everybody's; only one's own may be changed."""
    user = caller_of(request).user if own else reader_of(request)
    try:
        return queries.download_model(user, object_id(download_id))
    except CandleDownload.DoesNotExist:
        raise NotFound("There is no such download.") from None


def accepted(row: CandleDownload, response: HttpResponse) -> Status[Any]:
    research_tasks.ring(research_tasks.research_download, row.pk)
    response["Location"] = f"/api/v1/candles/downloads/{row.pk}"
    return Status(202, queries.download_view(row))


@router.post("/api/v1/candles/downloads", auth=TokenAuth("trade"), response={202: DownloadOut})
def start_download(request: HttpRequest, body: DownloadIn, response: HttpResponse) -> Status[Any]:
    """Fetch an exchange's closed candles into the store; a worker does it, `Location` tells how far it is."""
    given = body.dict(exclude_none=True)
    try:
        row = downloads.submit(caller_of(request).user, given, timezone.now(), actor_of(request))
    except RequestError as error:
        raise lifecycle.Invalid("invalid_request", str(error), error.errors) from None
    return accepted(row, response)


@router.get("/api/v1/candles/downloads", auth=TokenAuth("read"), response=DownloadsOut)
def list_downloads(request: HttpRequest, query: Query[PageQuery]) -> Page:
    """One's own, newest first."""
    return queries.downloads_of(caller_of(request).user, limit=query.limit, before=query.cursor)


@router.get("/api/v1/candles/downloads/{id}", auth=TokenAuth("read"), response=DownloadOut)
def get_download(request: HttpRequest, id: str) -> DownloadView:  # noqa: A002 - the contract's word
    """How far it is, how fast, and what went wrong."""
    return queries.download_view(download_row(request, id))


@router.post("/api/v1/candles/downloads/{id}/resume", auth=TokenAuth("trade"), response={202: DownloadOut})
def resume_download(request: HttpRequest, id: str, response: HttpResponse) -> Status[Any]:  # noqa: A002 - the contract's word
    """Go on where it failed or was canceled."""
    row = download_row(request, id, own=True)
    downloads.resume(row, timezone.now(), actor_of(request))
    row.refresh_from_db()
    return accepted(row, response)


@router.delete("/api/v1/candles/downloads/{id}", auth=TokenAuth("trade"), response={204: None})
def cancel_download(request: HttpRequest, id: str) -> Status[Any]:  # noqa: A002 - the contract's word
    """Cancel it; what is stored stays stored."""
    downloads.cancel(download_row(request, id, own=True), timezone.now(), actor_of(request))
    return Status(204, None)
