"""Downloads of candles as page and API show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from accounts.models import User
from bots.models import CandleDownload, JobState
from bots.queries.shapes import Page

SHOWN = 10


@dataclass(frozen=True, slots=True)
class DownloadView:
    """A download and how far it is; ``eta`` in seconds, ``candles`` those in the range if none were missing."""

    id: int
    state: str
    phase: str
    progress: float
    eta: float | None
    exchange: str
    symbol: str
    timeframe: str
    since: datetime
    until: datetime
    reached: datetime
    candles: int
    added: int
    pages: int
    candles_per_second: float | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str
    resumable: bool


SAME = tuple(name for name in DownloadView.__slots__ if name not in ("id", "eta", "resumable"))


def download_model(user: User | None, download_id: int) -> CandleDownload:
    """Raises CandleDownload.DoesNotExist; without a user, anybody's."""
    rows = CandleDownload.objects.all() if user is None else CandleDownload.objects.for_user(user)
    found: CandleDownload = rows.get(pk=download_id)
    return found


def download_view(row: CandleDownload) -> DownloadView:
    facts = {name: getattr(row, name) for name in SAME}
    resumable = row.state in (JobState.FAILED, JobState.CANCELED)
    return DownloadView(id=row.pk, eta=_eta(row), resumable=resumable, **facts)


def _eta(row: CandleDownload) -> float | None:
    """Seconds that are left at the latest pace; None while nothing can be said."""
    if row.state != JobState.RUNNING or not row.candles_per_second:
        return None
    return row.candles * (1 - row.progress / 100) / row.candles_per_second


def downloads_of(user: User, *, limit: int = 100, before: int | None = None) -> Page:
    """Newest first."""
    rows = CandleDownload.objects.for_user(user)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    found = list(rows[: limit + 1])
    views = [download_view(row) for row in found[:limit]]
    return Page(views, found[limit - 1].pk if len(found) > limit else None)


def recent_downloads(user: User) -> Sequence[DownloadView]:
    """Those that a page lists: the newest few."""
    return [download_view(row) for row in CandleDownload.objects.for_user(user)[:SHOWN]]
