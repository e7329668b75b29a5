"""The administration's door: the same login as everywhere, and a second factor behind it."""

from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts.auth import second_factor_age, way_to_second_factor

NEEDS_SECOND_FACTOR = "The administration needs a second factor. Set up your authenticator app here, then come back."


def install(site: admin.AdminSite) -> None:
    """Replace the site's own password form, for which none of allauth's limits and factors hold."""
    site.login = login  # type: ignore[method-assign, assignment]
    site.has_permission = has_permission  # type: ignore[method-assign]
    site.password_change = password_change  # type: ignore[method-assign, assignment]


def has_permission(request: HttpRequest) -> bool:
    """Staff whose session has shown a second factor, unless ADMIN_REQUIRES_MFA is off."""
    user = request.user
    if not (user.is_active and user.is_staff):
        return False
    return not _requires_mfa() or second_factor_age(request) is not None


def login(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
    """Anonymous: allauth's login. No staff: 403. Staff: what is still missing, or on to where they were going."""
    response: HttpResponseBase = _for_staff(request)
    return response


def password_change(request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponseBase:
    return HttpResponseRedirect(reverse("account_change_password"))


@secure_admin_login  # type: ignore[untyped-decorator]
def _for_staff(request: HttpRequest) -> HttpResponseBase:
    target = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(target, {request.get_host()}, require_https=request.is_secure()):
        target = reverse("admin:index")
    if has_permission(request):
        return HttpResponseRedirect(target)
    if not is_mfa_enabled(request.user):
        messages.warning(request, NEEDS_SECOND_FACTOR)
        return HttpResponseRedirect(reverse("mfa_activate_totp"))
    return way_to_second_factor(request, target)


def _requires_mfa() -> bool:
    return bool(getattr(settings, "ADMIN_REQUIRES_MFA", True))
