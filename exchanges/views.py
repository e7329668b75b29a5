"""Pages that add and check exchange keys."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from accounts.auth import actor_of, signed_in, step_up_required, user_of
from exchanges import operations, queries
from exchanges.core.errors import ExchangeFault
from exchanges.forms import KeyForm
from exchanges.models import ExchangeKey
from exchanges.operations import KeyProblem

OUTCOME = {
    "trade": "The exchange says that it may trade and cannot withdraw. Arm it before a live bot can use it.",
    "read": "The exchange says that it may only read: enough for balances, not for live trading.",
    "unverified": "The exchange could not be asked yet, so it serves nothing live. Check it again later.",
}


@sensitive_post_parameters("api_key", "api_secret", "passphrase")
@signed_in
@step_up_required(back="exchanges_key_new")  # type: ignore[untyped-decorator]
@never_cache
@require_http_methods(["GET", "POST"])
def key_new(request: HttpRequest) -> HttpResponse:
    form = KeyForm(request.POST or None)
    if request.method == "POST" and form.is_valid() and (key := _added(request, form)) is not None:
        messages.success(request, f"The key …{key.api_key_hint} is stored. {OUTCOME[key.permissions]}")
        return redirect("bots_keys")
    return render(request, "exchanges/key_new.html", {"form": form}, status=422 if form.errors else 200)


@signed_in
@require_POST
def key_check(request: HttpRequest, key_id: int) -> HttpResponse:
    """Ask the exchange again what the key may do."""
    try:
        key = queries.key_of(user_of(request), key_id)
        checked = operations.check_key(key, timezone.now(), actor_of(request))
    except ExchangeKey.DoesNotExist:
        raise Http404 from None
    except ExchangeFault as fault:
        messages.error(request, f"The exchange could not be asked, so nothing was changed: {fault.detail}")
    else:
        _tell(request, checked)
    return redirect("bots_keys")


def _tell(request: HttpRequest, key: ExchangeKey) -> None:
    if key.can_withdraw:
        messages.error(request, f"The key …{key.api_key_hint} can withdraw. It is not used any more: replace it.")
    else:
        messages.success(request, f"The key …{key.api_key_hint} was checked. {OUTCOME[key.permissions]}")


def _added(request: HttpRequest, form: KeyForm) -> ExchangeKey | None:
    """The stored key, or None with the reasons in the form."""
    try:
        return operations.add_key(user_of(request), **form.cleaned_data, at=timezone.now(), actor=actor_of(request))
    except ValidationError as error:
        for name, texts in error.message_dict.items():
            form.add_error(name, texts)
    except KeyProblem as problem:
        form.add_error(None, f"{problem} Nothing was stored.")
    return None
