"""Candles fetched from an exchange by button: the form, one download on its way, and what may be done with it."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.auth import actor_of, signed_in, user_of
from bots import downloads, lifecycle, research_tasks
from bots.forms_research import DownloadForm
from bots.queries import downloads as queries
from bots.views import research_entries as entered
from bots.views.shell import found_or_404, live_page
from exchanges import connect
from exchanges.core.errors import ExchangeFault, UnknownTimeframe


@signed_in
@require_http_methods(["GET", "POST"])
def download_new(request: HttpRequest) -> HttpResponse:
    """GET shows the form, filled in by the address's ``?exchange=&symbol=&timeframe=&since=``; POST submits it."""
    user, at = user_of(request), timezone.now()
    if request.method == "GET":
        return _form_page(request, DownloadForm(initial=request.GET.dict(), exchanges=connect.exchange_names()))
    form = DownloadForm(request.POST, exchanges=connect.exchange_names())
    if form.is_valid():
        try:
            row = downloads.submit(user, form.given, at, actor_of(request))
        except UnknownTimeframe as refused:
            form.refuse({"timeframe": str(refused)})
        except ExchangeFault as trouble:
            form.refuse({"exchange": f"The exchange could not be asked: {trouble}"})
        except entered.REFUSALS as refused:
            form.refuse(entered.why(refused))
        else:
            research_tasks.ring(research_tasks.research_download, row.pk)
            return redirect("bots_candles_download", row.pk)
    return _form_page(request, form)


def _form_page(request: HttpRequest, form: DownloadForm) -> HttpResponse:
    asked = downloads.asked_today(user_of(request), timezone.now())
    context = {
        "form": form,
        "symbols": entered.known_markets()["symbols"],
        "most": downloads.MOST_CANDLES,
        "a_day": downloads.MOST_A_DAY,
        "left": max(0, downloads.MOST_A_DAY - asked),
        "at_once": downloads.QUOTA,
    }
    return render(request, "bots/candles_download.html", context, status=422 if form.errors else 200)


@signed_in
@require_GET
def download_detail(request: HttpRequest, download_id: int) -> HttpResponse:
    """Polls until it has ended."""
    row = found_or_404(lambda: queries.download_model(user_of(request), download_id))
    return live_page(request, "download", {"at": timezone.now(), "job": queries.download_view(row)})


@signed_in
@require_POST
def download_cancel(request: HttpRequest, download_id: int) -> HttpResponse:
    row = found_or_404(lambda: queries.download_model(user_of(request), download_id))
    downloads.cancel(row, timezone.now(), actor_of(request))
    messages.info(request, f"Download {download_id} is canceled, unless it was done before. What is stored stays.")
    return redirect("bots_candles_download", download_id)


@signed_in
@require_POST
def download_resume(request: HttpRequest, download_id: int) -> HttpResponse:
    row = found_or_404(lambda: queries.download_model(user_of(request), download_id))
    try:
        downloads.resume(row, timezone.now(), actor_of(request))
    except lifecycle.Conflict as refused:
        messages.error(request, f"Nothing was started: {refused.detail}")
    else:
        research_tasks.ring(research_tasks.research_download, row.pk)
    return redirect("bots_candles_download", download_id)
