"""Backtests: the list, the form, one on its way or with its report, and what may be done with it."""

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from accounts.auth import actor_of, signed_in, user_of
from bots import backtests, lifecycle, research_tasks
from bots.forms_research import BacktestForm
from bots.models import Backtest, JobState
from bots.queries import research
from bots.queries.curves import curves_of
from bots.queries.research import ResearchView
from bots.views import research_entries as entered
from bots.views import research_new
from bots.views.figures_table import rows_of, years_of
from bots.views.plots import report_plots
from bots.views.shell import PER_PAGE, PER_TAB, cursor, digits, found_or_404, live_page

NEW = research_new.Kind(
    BacktestForm,
    entered.DEFAULTS,
    "backtest_new",
    "bots_backtest",
    backtests.submit,
    research_tasks.research_backtest,
)


@signed_in
@require_GET
def backtest_list(request: HttpRequest) -> HttpResponse:
    page = research.backtests_of(user_of(request), limit=PER_PAGE, before=cursor(request))
    return live_page(request, "backtest_list", {"at": timezone.now(), "page": page})


@signed_in
@require_http_methods(["GET", "POST"])
def backtest_new(request: HttpRequest) -> HttpResponse:
    return research_new.answer(request, NEW)


@signed_in
@require_GET
def backtest_detail(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """Progress that polls; once it is done the report, which does not change any more."""
    user, at = user_of(request), timezone.now()
    row = found_or_404(lambda: research.backtest_model(user, backtest_id))
    view = research.backtest_view(row, at)
    context = {"at": at, "job": view, "quote": view.symbol.split("/")[-1], "pace": research.pace(view, at)}
    if view.state != JobState.DONE:
        return live_page(request, "backtest_progress", context)
    if getattr(request, "htmx", False):
        return HttpResponseClientRefresh()
    if view.kind == Backtest.Kind.CHECKS:
        return render(request, "bots/backtest_checks.html", context)
    return render(request, "bots/backtest_report.html", {**context, **_report(request, row, view)})


def _report(request: HttpRequest, row: Backtest, view: ResearchView) -> Mapping[str, Any]:
    result, quote = view.result or {}, view.symbol.split("/")[-1]
    curves = curves_of(row)
    stats = result["stats"]
    return {
        "result": result,
        "stats": stats,
        "ahead": stats["return_pct"] - stats["buy_and_hold_close_to_close_pct"],
        "rows": rows_of(stats, quote),
        "years": years_of(result["monthly_returns_pct"]),
        "plots": None if curves is None else report_plots(curves),
        "page": research.trades_of(row, limit=PER_TAB, after=digits(request, "after")),
        "after": digits(request, "after") or 0,
        "trade": digits(request, "trade"),
        "base": view.symbol.split("/")[0],
        "first_time": row.repeats_id,
        "paper": entered.paper_entries(view.request),
    }


@signed_in
@require_POST
def backtest_cancel(request: HttpRequest, backtest_id: int) -> HttpResponse:
    row = found_or_404(lambda: research.backtest_model(user_of(request), backtest_id))
    backtests.cancel(row, timezone.now(), actor_of(request))
    messages.info(request, f"Backtest {backtest_id} is canceled, unless it was done before.")
    return redirect("bots_backtest", backtest_id)


@signed_in
@require_POST
def backtest_repeat(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """The same again; its page then says whether it came out the same."""
    row = found_or_404(lambda: research.backtest_model(user_of(request), backtest_id))
    try:
        again = backtests.repeat(row, timezone.now(), actor_of(request))
    except lifecycle.Conflict as refused:
        messages.error(request, f"Nothing was started: {refused.detail}")
        return redirect("bots_backtest", backtest_id)
    research_tasks.ring(research_tasks.research_backtest, again.pk)
    return redirect("bots_backtest", again.pk)


@signed_in
@require_POST
def backtest_check(request: HttpRequest, backtest_id: int) -> HttpResponse:
    """The same request's bias checks."""
    user = user_of(request)
    row = found_or_404(lambda: research.backtest_model(user, backtest_id))
    try:
        kind = Backtest.Kind.CHECKS
        checks = backtests.submit(user, row.request, timezone.now(), actor_of(request), kind)
    except entered.REFUSALS as refused:
        messages.error(request, f"Nothing was started: {' '.join(entered.why(refused).values())}")
        return redirect("bots_backtest", backtest_id)
    research_tasks.ring(research_tasks.research_backtest, checks.pk)
    return redirect("bots_backtest", checks.pk)
