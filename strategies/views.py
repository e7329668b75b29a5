"""Pages of the strategy catalogue."""

from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from strategies import queries
from strategies.queries import UnknownStrategy


@login_required
@require_GET
def strategy_list(request: HttpRequest) -> HttpResponse:
    return render(request, "strategies/strategy_list.html", {"kinds": queries.list_strategies()})


@login_required
@require_GET
def strategy_detail(request: HttpRequest, name: str) -> HttpResponse:
    try:
        kind = queries.strategy_view(name)
    except UnknownStrategy:
        raise Http404 from None
    return render(request, "strategies/strategy_detail.html", {"kind": kind})
