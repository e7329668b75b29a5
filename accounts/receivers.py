"""Writes down what allauth and Django report about accounts: the signals are theirs, the log is ours."""

from typing import Any

from allauth.account import signals as account
from allauth.mfa import signals as mfa
from django.contrib.auth import signals as auth
from django.dispatch import Signal
from django.http import HttpRequest
from django.utils import timezone

from accounts import audit
from accounts.adapters import client_address
from accounts.audit import Actor
from accounts.models import User

DEEDS: dict[str, Signal] = {
    "login": account.user_logged_in,
    "signup": account.user_signed_up,
    "password_changed": account.password_changed,
    "password_set": account.password_set,
    "password_reset": account.password_reset,
    "email_added": account.email_added,
    "email_changed": account.email_changed,
    "email_removed": account.email_removed,
    "second_factor_added": mfa.authenticator_added,
    "second_factor_removed": mfa.authenticator_removed,
    "second_factor_renewed": mfa.authenticator_reset,
}


def connect() -> None:
    for action, signal in DEEDS.items():
        signal.connect(_deed(action), weak=False, dispatch_uid=f"audit {action}")
    account.email_confirmed.connect(email_confirmed, dispatch_uid="audit email_confirmed")
    auth.user_logged_out.connect(logged_out, dispatch_uid="audit logout")
    auth.user_login_failed.connect(login_failed, dispatch_uid="audit login_failed")
    mfa.authentication_failed.connect(second_factor_failed, dispatch_uid="audit second_factor_failed")
    mfa.authenticator_used.connect(second_factor_used, dispatch_uid="audit second_factor_used")


def _deed(action: str) -> Any:
    def write(sender: Any, request: HttpRequest | None = None, user: User | None = None, **facts: Any) -> None:
        if user is not None:
            _record("user", user, request, action, **_details(facts))

    return write


def email_confirmed(sender: Any, request: HttpRequest | None, email_address: Any, **_facts: Any) -> None:
    _record("user", email_address.user, request, "email_confirmed", email=email_address.email)


def logged_out(sender: Any, request: HttpRequest | None, user: User | None, **_facts: Any) -> None:
    if user is not None:
        _record("user", user, request, "logout")


def login_failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **_facts: Any) -> None:
    """Under the account that was tried, if there is one; what was typed is not kept."""
    email = str(credentials.get("email") or credentials.get("username") or "")
    _stranger(User.objects.filter(email__iexact=email).first(), request, "login_failed")


def second_factor_failed(sender: Any, request: HttpRequest | None, user: User, **_facts: Any) -> None:
    _stranger(user, request, "second_factor_failed")


def second_factor_used(sender: Any, request: HttpRequest | None, user: User, authenticator: Any, **_facts: Any) -> None:
    _record("user", user, request, "second_factor_used", type=str(authenticator.type))


def _record(kind: str, user: User | None, request: HttpRequest | None, action: str, **detail: Any) -> None:
    address = client_address(request) if request is not None else None
    subject = f"user:{user.pk}" if user is not None else ""
    actor = Actor(kind, user if kind == "user" else None, address)
    audit.record(actor, action, subject, at=timezone.now(), **detail)


def _stranger(user: User | None, request: HttpRequest | None, action: str) -> None:
    # Whoever failed has not shown to be the user.
    _record("anonymous", user, request, action)


def _details(facts: dict[str, Any]) -> dict[str, str]:
    details = {}
    if authenticator := facts.get("authenticator"):
        details["type"] = str(authenticator.type)
    for name, key in (("from_email_address", "was"), ("to_email_address", "now"), ("email_address", "email")):
        if address := facts.get(name):
            details[key] = str(address.email)
    return details
