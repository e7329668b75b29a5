"""Drift reports: one day of a bot beside its replay, and comparing a day now."""

from datetime import date

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.auth import actor_of, signed_in, user_of
from bots import drift, drift_tasks, lifecycle, research_tasks
from bots.queries import drift as reports
from bots.queries import runs
from bots.views.shell import digits, found_or_404


@signed_in
@require_GET
def drift_day(request: HttpRequest, run_id: int, day: str) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    run = found_or_404(lambda: runs.run_of(user, run_id))
    wanted = _day(day)
    if wanted is None:
        raise Http404
    report = found_or_404(lambda: reports.report_of(run.bot_run_id, wanted, digits(request, "version")))
    context = {
        "run": run,
        "report": report,
        "at": at,
        "trades": reports.trades_of(report),
        "causes": reports.causes_of(report),
    }
    return render(request, "bots/drift_day.html", context)


@signed_in
@require_POST
def drift_ask(request: HttpRequest, run_id: int) -> HttpResponse:
    """Compare a day, or compare it again: the earlier versions stay."""
    run = found_or_404(lambda: runs.run_model(user_of(request), run_id))
    away = f"{reverse('bots_detail', args=[run.pk])}?tab=drift"
    day = _day(request.POST.get("day", ""))
    if day is None:
        messages.error(request, "Expected a day such as 2026-03-01. Nothing was started.")
        return redirect(away)
    try:
        row = drift.submit(run, day, timezone.now(), actor_of(request))
    except lifecycle.StartRefused as refused:
        messages.error(request, f"{refused.detail} Nothing was started.")
        return redirect(away)
    research_tasks.ring(drift_tasks.research_drift, row.pk)
    messages.success(request, f"The day {day:%Y-%m-%d} is being compared with its replay.")
    return redirect(away)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
