"""Trades: the filtered list, its totals, and the same filter as CSV."""

import csv
import hashlib
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import UTC
from decimal import Decimal
from itertools import islice

from asgiref.sync import sync_to_async
from django.core.cache import cache
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.models import User
from bots.forms import TradeFilterForm
from bots.queries import history
from bots.queries.shapes import Page, TradeFilter, TradeView
from bots.queries.totals import TradeTotals, trade_totals
from bots.views.shell import PER_PAGE, cursor, live_page, signed_in, user_of

COLUMNS = (
    *("id", "bot_run_id", "mode", "symbol", "side", "quantity", "price", "fee", "fee_asset", "pnl"),
    *("order_client_id", "executed_at"),
)
ROWS_AT_ONCE = 500
SUMS_HOLD = 60
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Echo:
    """A file whose write gives the line back."""

    def write(self, line: str) -> str:
        return line


@signed_in
@require_GET
def trade_list(request: HttpRequest) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    form = TradeFilterForm(request.GET)
    wanted = _wanted(form)
    page = history.trades_of(user, wanted, limit=PER_PAGE, before=cursor(request))
    context = {"at": at, "form": form, "page": page, "sums": _sums(user, wanted, page)}
    return live_page(request, "trade_list", {**context, "filtered": wanted != TradeFilter()})


@signed_in
@require_GET
def trade_csv(request: HttpRequest) -> StreamingHttpResponse:
    rows = history.all_trades(user_of(request), _wanted(TradeFilterForm(request.GET)))
    blocks = chunks(lines(rows))
    content = asynchronously(blocks) if isinstance(request, ASGIRequest) else blocks
    headers = {"Content-Disposition": 'attachment; filename="trades.csv"'}
    return StreamingHttpResponse(content, content_type="text/csv; charset=utf-8", headers=headers)


def chunks(rows: Iterator[str]) -> Iterator[str]:
    while block := "".join(islice(rows, ROWS_AT_ONCE)):
        yield block


async def asynchronously(blocks: Iterator[str]) -> AsyncIterator[str]:
    """One block at a time; Django itself would collect all of them first."""
    following = sync_to_async(lambda: next(blocks, None))
    while (block := await following()) is not None:
        yield block


def lines(rows: Iterable[TradeView]) -> Iterator[str]:
    """CSV lines with the API's field names; text that a spreadsheet would run as a formula is quoted."""
    writer = csv.writer(Echo())
    yield str(writer.writerow(COLUMNS))
    for row in rows:
        yield str(writer.writerow([cell(row, name) for name in COLUMNS]))


def cell(row: TradeView, name: str) -> str:
    value = getattr(row, name)
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if name == "executed_at":
        return str(value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"))
    text = str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _sums(user: User, wanted: TradeFilter, page: Page) -> Sequence[TradeTotals]:
    """Trades are only ever added, so the sums of a filter hold until its newest trade is another one."""
    newest = page.items[0].id if page.items else 0
    facts = f"{user.pk} {wanted!r} {newest}"
    key = f"totals:{hashlib.sha256(facts.encode()).hexdigest()}"
    return cache.get_or_set(key, lambda: trade_totals(user, wanted), SUMS_HOLD) or []


def _wanted(form: TradeFilterForm) -> TradeFilter:
    """What is well-formed of the filter; a wrong field filters nothing and says so."""
    form.is_valid()
    given = form.cleaned_data
    return TradeFilter(
        bot_run_id=given.get("bot_run_id"),
        symbol=given.get("symbol", "").strip().upper(),
        side=given.get("side", ""),
        mode=given.get("mode", ""),
        since=form.instant("since"),
        until=form.instant("until"),
    )
