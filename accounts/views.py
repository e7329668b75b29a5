"""The account pages that allauth does not bring: profile, API tokens."""

from datetime import timedelta

from allauth.account.decorators import reauthentication_required
from allauth.account.views import reauthenticate as password_reauthenticate
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import operations, queries
from accounts.auth import actor_of, signed_in, step_up_required, user_of
from accounts.forms import ThemeForm, TokenForm
from accounts.models import ApiToken, User


@signed_in
@require_GET
def profile(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    facts = queries.profile(user, timezone.now())
    form = ThemeForm(initial={"theme": facts.theme})
    return render(request, "accounts/profile.html", {"profile": facts, "form": form})


@signed_in
@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    form = ThemeForm(request.POST)
    if form.is_valid():
        operations.choose_theme(user_of(request), form.cleaned_data["theme"])
        messages.success(request, "Your colors are saved.")
    else:
        messages.error(request, "Expected one of the listed color schemes; nothing was changed.")
    return redirect("accounts_profile")


@signed_in
@require_GET
def tokens(request: HttpRequest) -> HttpResponse:
    rows = queries.tokens(user_of(request), timezone.now())
    return render(request, "accounts/token_list.html", {"tokens": rows})


@signed_in
@step_up_required
@never_cache
@require_http_methods(["GET", "POST"])
def token_create(request: HttpRequest) -> HttpResponse:
    """The answer to a valid POST is the only place where the token is ever seen."""
    user = user_of(request)
    form = TokenForm(request.POST or None, allow_admin=user.is_staff)
    if request.method == "POST" and form.is_valid() and (text := _created(request, user, form)):
        return render(request, "accounts/token_created.html", {"token": text, "label": form.cleaned_data["label"]})
    status = 422 if form.errors else 200
    return render(request, "accounts/token_form.html", {"form": form}, status=status)


@signed_in
@require_http_methods(["GET", "POST"])
def token_revoke(request: HttpRequest, token_id: int) -> HttpResponseBase:
    """Asks on GET; revokes on POST by whoever authenticated within the last minutes."""
    token = queries.token_of(user_of(request), token_id)
    if token is None:
        raise Http404
    if request.method == "GET":
        return render(request, "accounts/token_revoke.html", {"token": token})
    response: HttpResponseBase = _revoke(request, token)
    return response


@reauthentication_required  # type: ignore[untyped-decorator]
def _revoke(request: HttpRequest, token: ApiToken) -> HttpResponse:
    if operations.revoke_token(token, timezone.now(), actor_of(request)):
        messages.success(request, f"Token {token} is revoked: whatever still uses it gets 401 from now on.")
    return redirect("accounts_tokens")


@signed_in
def reauthenticate(request: HttpRequest) -> HttpResponseBase:
    """By password only for who has nothing stronger."""
    if is_mfa_enabled(request.user):
        query = f"?{request.GET.urlencode()}" if request.GET else ""
        return redirect(reverse("mfa_reauthenticate") + query)
    response: HttpResponseBase = password_reauthenticate(request)
    return response


def _created(request: HttpRequest, user: User, form: TokenForm) -> str | None:
    """The new token's text, or None with the reason in the form."""
    at = timezone.now()
    try:
        _token, text = operations.create_token(
            user,
            form.cleaned_data["scopes"],
            at,
            actor_of(request),
            expires_at=at + timedelta(days=form.cleaned_data["days"]),
            label=form.cleaned_data["label"],
            allowed_ips=form.cleaned_data["allowed_ips"],
        )
    except ValidationError as error:
        form.add_error(None if "allowed_ips" not in error.message_dict else "allowed_ips", error.messages)
        return None
    return text
