"""The step from paper to live: the policy with how it stands, and the button behind a second factor."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from accounts.auth import actor_of, signed_in, step_up_required, user_of
from bots import promotion
from bots.lifecycle import StartRefused
from bots.queries import runs
from bots.queries.keys import key_uses
from bots.views.shell import LARGEST_ID, found_or_404
from exchanges import queries


@signed_in
@step_up_required
@require_http_methods(["GET", "POST"])
def run_promote(request: HttpRequest, run_id: int) -> HttpResponse:
    user, at = user_of(request), timezone.now()
    run = found_or_404(lambda: runs.run_model(user, min(run_id, LARGEST_ID)))
    keys = [use for use in key_uses(user, at) if use.key.exchange == run.exchange]
    chosen = (request.POST if request.method == "POST" else request.GET).get("key", "")
    known = {str(use.key.id): use.key.id for use in keys}
    key_id = known.get(chosen, keys[0].key.id if keys else None)
    key = None if key_id is None else queries.key_of(user, key_id)
    refused = ""
    if request.method == "POST" and key is not None:
        try:
            live = promotion.promote(run, key, at, actor_of(request))
        except StartRefused as no:
            refused = no.detail
        else:
            messages.success(request, f"Bot #{live.pk} trades live; the paper bot #{run.pk} sells and stops.")
            return redirect("bots_detail", live.pk)
    found = promotion.conditions(run, key, at)
    context = {"run": run, "keys": keys, "key_id": key_id, "at": at, "conditions": found, "refused": refused}
    ready = all(one.met for one in found)
    return render(
        request, "bots/run_promote.html", {**context, "ready": ready}, status=422 if request.method == "POST" else 200
    )
