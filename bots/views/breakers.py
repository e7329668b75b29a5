"""Circuit breakers: how each stands, why, since when, and the reset."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.auth import actor_of, signed_in, user_of
from bots import breakers as writes
from bots.queries import breakers
from bots.views.shell import found_or_404

PAGE = "/app/risk/breakers/"


@signed_in
@require_GET
def breakers_page(request: HttpRequest) -> HttpResponse:
    at = timezone.now()
    return render(request, "bots/breakers.html", {"at": at, "breakers": breakers.breakers_of(user_of(request), at)})


@signed_in
@require_POST
def breaker_reset(request: HttpRequest, breaker_id: int) -> HttpResponse:
    row = found_or_404(lambda: breakers.breaker_model(user_of(request), breaker_id))
    try:
        writes.reset(row, request.POST.get("reason", "")[:300], timezone.now(), actor_of(request))
    except ValueError:
        messages.error(request, "Say why, for the log: a few words do. Nothing was reset.")
    except writes.NothingToReset:
        messages.info(request, "That breaker was closed already.")
    else:
        messages.success(request, "The breaker is closed: entries are allowed again as far as it goes.")
    return redirect(PAGE)
