"""Exchange keys: the list with what each may do, arming for live trading, deletion."""

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.auth import actor_of, signed_in, step_up_required, user_of
from bots import arming
from bots.arming import ArmingRefused
from bots.forms import ArmForm
from bots.queries.keys import key_in_use, key_uses
from bots.views.shell import dialog_page, found_or_404
from exchanges import connect, operations, queries
from exchanges.models import ExchangeKey
from exchanges.operations import KeyInUse


@signed_in
@require_GET
def key_list(request: HttpRequest) -> HttpResponse:
    at = timezone.now()
    context = {"at": at, "uses": key_uses(user_of(request), at), "live_trading": settings.LIVE_TRADING}
    return render(request, "bots/key_list.html", context)


@signed_in
@step_up_required
@require_http_methods(["GET", "POST"])
def key_arm(request: HttpRequest, key_id: int) -> HttpResponse:
    """Behind a fresh second factor and a typed phrase: permission to trade real money for a week."""
    user, at = user_of(request), timezone.now()
    key = found_or_404(lambda: queries.key_of(user, key_id))
    form = ArmForm(request.POST or None, expected=arming.phrase_of(key))
    if request.method == "POST" and form.is_valid():
        try:
            armed = arming.arm(key, "page", at, actor_of(request))
        except ArmingRefused as refused:
            form.add_error(None, f"{refused.detail} The key was not armed.")
        else:
            messages.success(request, f"{_name(key)} may trade live until {armed.expires_at:%Y-%m-%d %H:%M} UTC.")
            return redirect("bots_keys")
    context = {"form": form, "key": queries.view_of(key), "at": at, "days": arming.LIFE.days, **_facts(key)}
    return render(request, "bots/key_arm.html", context, status=422 if form.errors else 200)


@signed_in
@require_POST
def key_disarm(request: HttpRequest, key_id: int) -> HttpResponse:
    """Taking the permission back needs no second factor."""
    key = found_or_404(lambda: queries.key_of(user_of(request), key_id))
    arming.disarm(key, "taken back on the page", timezone.now(), actor_of(request))
    messages.success(request, f"{_name(key)} is disarmed: its live bots send no more entries.")
    return redirect("bots_keys")


@signed_in
@step_up_required(back="bots_keys")  # type: ignore[untyped-decorator]
@require_http_methods(["GET", "POST"])
def key_delete(request: HttpRequest, key_id: int) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    key = found_or_404(lambda: queries.key_of(user, key_id))
    context: dict[str, Any] = {"key": queries.view_of(key), "at": at, "in_use": key_in_use(key)}
    if request.method == "GET":
        return dialog_page(request, "key_delete", context)
    try:
        operations.delete_key(key, at, actor_of(request), in_use=key_in_use)
    except KeyInUse:
        return dialog_page(request, "key_delete", {**context, "in_use": True}, status=409)
    messages.success(request, f"{_name(key)} is deleted; its encrypted secret is erased.")
    return redirect("bots_keys")


def _name(key: ExchangeKey) -> str:
    return f"The key {key.label or key.exchange} …{key.api_key_hint}"


def _facts(key: ExchangeKey) -> dict[str, Any]:
    return {"live_trading": settings.LIVE_TRADING, "unsupported": connect.supports_live(key.exchange)}
