"""Trades: the filtered list, its totals, and the same filter as CSV."""

import hashlib
from collections.abc import Sequence

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.auth import signed_in, user_of
from accounts.models import User
from bots.csv_answer import csv_answer, trade_lines
from bots.forms import TradeFilterForm
from bots.queries import history
from bots.queries.shapes import Page, TradeFilter
from bots.queries.totals import TradeTotals, trade_totals
from bots.views.shell import PER_PAGE, cursor, live_page

SUMS_HOLD = 60


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
def trade_csv(request: HttpRequest) -> HttpResponseBase:
    rows = history.all_trades(user_of(request), _wanted(TradeFilterForm(request.GET)))
    return csv_answer(request, trade_lines(rows), "trades.csv")


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
