"""Circuit breakers: how each stands, why, since when, and the reset."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_POST

from accounts.auth import actor_of, signed_in, user_of
from bots import breakers as writes
from bots.forms import ResetForm
from bots.queries import breakers
from bots.views.shell import found_or_404

PAGE = "/app/risk/breakers/"


@signed_in
@require_GET
def breakers_page(request: HttpRequest) -> HttpResponse:
    return _page(request)


@signed_in
@require_POST
def breaker_reset(request: HttpRequest, breaker_id: int) -> HttpResponse:
    row = found_or_404(lambda: breakers.breaker_model(user_of(request), breaker_id))
    form = ResetForm(request.POST, auto_id=f"%s-{breaker_id}")
    if not form.is_valid():
        return _page(request, breaker_id, form, status=422)
    try:
        writes.reset(row, form.cleaned_data["reason"], timezone.now(), actor_of(request))
    except writes.NothingToReset:
        messages.info(request, "That breaker was closed already.")
    else:
        messages.success(request, "The breaker is closed: entries are allowed again as far as it goes.")
    return redirect(PAGE)


def _page(request: HttpRequest, refused: int = 0, form: ResetForm | None = None, status: int = 200) -> HttpResponse:
    """Every breaker with a form of its own; the ``refused`` one with what was typed and what is wrong with it."""
    at = timezone.now()
    views = breakers.breakers_of(user_of(request), at)
    cards = [(view, form if form and view.id == refused else ResetForm(auto_id=f"%s-{view.id}")) for view in views]
    return render(request, "bots/breakers.html", {"at": at, "cards": cards}, status=status)
