"""Capital: whose money is whose in every account, and the ledger that says so."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.auth import signed_in, user_of
from bots.queries import capital
from bots.views.shell import PER_PAGE, cursor


@signed_in
@require_GET
def capital_page(request: HttpRequest) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    return render(request, "bots/capital.html", {
        "at": at,
        "accounts": capital.capital_of(user, at),
        "page": capital.entries_of(user, limit=PER_PAGE, before=cursor(request)),
    })  # fmt: skip
