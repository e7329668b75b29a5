"""Trades: the filtered list, its totals, and the same filter as CSV."""

import csv
from collections.abc import Iterable, Iterator
from datetime import UTC
from decimal import Decimal

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from bots.forms import TradeFilterForm
from bots.queries import history, totals
from bots.queries.shapes import TradeFilter, TradeView
from bots.views.shell import PER_PAGE, cursor, live_page, signed_in, user_of

COLUMNS = (
    *("id", "bot_run_id", "mode", "symbol", "side", "quantity", "price", "fee", "fee_asset", "pnl"),
    *("order_client_id", "executed_at"),
)
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
    context = {"at": at, "form": form, "page": page, "sums": totals.trade_totals(user, wanted)}
    return live_page(request, "trade_list", {**context, "filtered": wanted != TradeFilter()})


@signed_in
@require_GET
def trade_csv(request: HttpRequest) -> StreamingHttpResponse:
    rows = history.all_trades(user_of(request), _wanted(TradeFilterForm(request.GET)))
    response = StreamingHttpResponse(lines(rows), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = 'attachment; filename="trades.csv"'
    return response


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
