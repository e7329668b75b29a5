"""Who is calling: bearer tokens on JSON routes, second factors on pages."""

import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from urllib.parse import urlencode, urlsplit

from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db.models import Q
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django_htmx.http import HttpResponseClientRedirect, HttpResponseClientRefresh
from ninja.security import HttpBearer

from accounts.adapters import client_address
from accounts.audit import Actor
from accounts.core.addresses import allowed
from accounts.models import SCOPES, ApiToken, User
from accounts.operations import secret_hash

TOKEN = re.compile(r"tb_([A-Za-z0-9]{8})_([A-Za-z0-9_-]{43,128})")
USED_EVERY = timedelta(minutes=1)
STEP_UP = timedelta(minutes=5)
LARGEST_ID = 2**63 - 1
ABSENT = "0" * 64
READS = frozenset({"GET", "HEAD", "OPTIONS"})
View = Callable[..., HttpResponseBase]


class Forbidden(Exception):
    """The caller is known and may not; ``code`` is stable, ``detail`` is safe to show. → 403"""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail or code


class MissingScope(Forbidden):
    """The token is valid and lacks the scope. → 403"""

    def __init__(self, scope: str) -> None:
        super().__init__("missing_scope", f"Expected a token with scope {scope}, was one without.")
        self.scope = scope


class NotFound(Exception):
    """There is no such thing for this caller. → 404"""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whom a valid token speaks for, and what it may."""

    user: User
    token: ApiToken
    scopes: frozenset[str]


class TokenAuth(HttpBearer):
    """``auth=TokenAuth("read")``: a valid token with that scope, as ``request.auth``; no scope implies another."""

    def __init__(self, scope: str) -> None:
        if scope not in SCOPES:
            raise ValueError(f"Expected one of {', '.join(SCOPES)}, was {scope!r}.")
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, token: str) -> Caller | None:
        caller = caller_of(token, client_address(request), timezone.now())
        if caller is not None and self.scope not in caller.scopes:
            raise MissingScope(self.scope)
        return caller


def caller_of(text: str, address: str | None, at: datetime) -> Caller | None:
    """The caller of a valid token; the same None for every reason why it is not."""
    match = TOKEN.fullmatch(text)
    if match is None:
        return None
    token = ApiToken.objects.select_related("user").filter(prefix=match[1]).first()
    expected = token.secret_hash if token else ABSENT
    genuine = hmac.compare_digest(expected, secret_hash(match[2]))
    if token is None or not genuine or not token.is_valid(at) or not token.user.is_active:
        return None
    if not allowed(address, token.allowed_ips):
        return None
    _mark_used(token, at)
    return Caller(token.user, token, frozenset(token.scopes))


def resolve_user(caller: Caller, user_id: str) -> User:
    """``{user_id}`` of a path: ``me`` or one's own id, another's only with scope admin; else ``NotFound``."""
    if user_id == "me":
        return caller.user
    wanted = int(user_id) if re.fullmatch(r"[0-9]{1,19}", user_id) else -1
    if wanted == caller.user.pk:
        return caller.user
    if "admin" in caller.scopes and 0 < wanted <= LARGEST_ID:
        user = User.objects.filter(pk=wanted).first()
        if user is not None:
            return user
    raise NotFound(f"There is no user {user_id[:20]}.")


def actor_of(request: HttpRequest) -> Actor:
    """Who acts in this request, for the audit log: the token's user, the session's user, or a stranger."""
    address = client_address(request)
    caller = getattr(request, "auth", None)
    if isinstance(caller, Caller):
        return Actor("token", caller.user, address)
    if isinstance(request.user, User):
        return Actor("user", request.user, address)
    return Actor("anonymous", None, address)


def second_factor_age(request: HttpRequest) -> timedelta | None:
    """How long ago this session presented a second factor that the user still has; None if never."""
    if not isinstance(request.user, User):
        return None
    records = [r for r in get_authentication_records(request, request.user) if r.get("method") == "mfa"]
    if not records or not Authenticator.objects.filter(user=request.user, pk=records[-1].get("id")).exists():
        return None
    age = time.time() - float(records[-1]["at"])
    # A record from the future is a clock set back, and proves nothing.
    return timedelta(seconds=age) if age >= 0 else None


def stepped_up(request: HttpRequest) -> bool:
    age = second_factor_age(request)
    return age is not None and age <= STEP_UP


def signed_in(view: View) -> View:
    """As `login_required`; a part of a page whose session has ended reloads it instead of swapping a login form in."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.user.is_authenticated:
            return view(request, *args, **kwargs)
        _say_signed_out(request)
        if getattr(request, "htmx", False):
            return HttpResponseClientRefresh()
        return redirect_to_login(_page_of(request))

    return guarded


def _say_signed_out(request: HttpRequest) -> None:
    """Whoever sent a form as the session ended learns at the login that it did nothing."""
    if request.method not in READS:
        text = "You were signed out before this was sent, so nothing was done. Sign in and fill in the form again."
        messages.warning(request, text)


def _page_of(request: HttpRequest) -> str:
    """Where a login leads back to: what was asked for, or the page whose form was sent, since not every form's address
    can be opened."""
    sender = request.headers.get("Referer", "")
    if request.method in READS or not url_has_allowed_host_and_scheme(sender, {request.get_host()}):
        return request.get_full_path()
    place = urlsplit(sender)
    return f"{place.path}?{place.query}" if place.query else place.path


def user_of(request: HttpRequest) -> User:
    """Who asks, in a view behind `signed_in`."""
    assert isinstance(request.user, User)  # noqa: S101 - signed_in stands before every caller.
    return request.user


def step_up_required(view: View | None = None, *, back: str = "") -> Any:
    """A view behind a second factor presented within five minutes; otherwise the way there and back.

    The way back leads to the page that was asked for, after a POST to the page named ``back``: what was posted may hold
    secrets and is not kept.
    """
    if view is None:
        return lambda inner: step_up_required(inner, back=back)

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if stepped_up(request):
            return view(request, *args, **kwargs)
        target = request.get_full_path()
        if back and request.method not in {"GET", "HEAD"}:
            target = reverse(back)
        return way_to_second_factor(request, target)

    return guarded


def way_to_second_factor(request: HttpRequest, target: str) -> HttpResponse:
    """Log in, activate a second factor or present it: whichever comes next before ``target``."""
    if not request.user.is_authenticated:
        _say_signed_out(request)
        return _redirect(request, redirect_to_login(target).url)
    if is_mfa_enabled(request.user):
        return _redirect(request, f"{reverse('mfa_reauthenticate')}?{urlencode({'next': target})}")
    messages.warning(request, "This needs a second factor. Set up your authenticator app here, then come back.")
    return _redirect(request, reverse("mfa_activate_totp"))


def _redirect(request: HttpRequest, url: str) -> HttpResponse:
    if getattr(request, "htmx", False):
        return HttpResponseClientRedirect(url)
    return HttpResponseRedirect(url)


def _mark_used(token: ApiToken, at: datetime) -> None:
    """At most one write a minute, however many requests."""
    if token.last_used_at is not None and token.last_used_at > at - USED_EVERY:
        return
    unmarked = Q(last_used_at=None) | Q(last_used_at__lte=at - USED_EVERY)
    ApiToken.objects.filter(unmarked, pk=token.pk).update(last_used_at=at)
    token.last_used_at = at
