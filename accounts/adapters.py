"""What allauth asks us: who may sign up, where a request comes from, how second factors are kept."""

from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.core.addresses import client
from accounts.vault import seal, unseal

MFA_PURPOSE = "second factor"


def client_address(request: HttpRequest) -> str | None:
    """The caller's address as far as settings.TRUSTED_PROXIES lets us believe it."""
    peer = request.META.get("REMOTE_ADDR") or ""
    return client(peer, request.headers.get("X-Forwarded-For", ""), settings.TRUSTED_PROXIES)


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return bool(settings.SIGNUP_OPEN)

    def get_client_ip(self, request: HttpRequest) -> str:
        address = client_address(request)
        if address is None:
            raise PermissionDenied("Expected a client address, was none: rate limits could not be kept.")
        return address

    def get_reauthentication_methods(self, user: Any) -> list[dict[str, Any]]:
        """Whoever has a second factor proves it; the password alone no longer opens anything."""
        methods: list[dict[str, Any]] = super().get_reauthentication_methods(user)
        strong = [method for method in methods if method["id"] != "reauthenticate"]
        return strong or methods

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        # allauth counts per site, and the site is the Host header: another port in it would start a new count.
        return str(credentials.get("email", "")).lower()


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """TOTP secrets and recovery seeds never reach the database in the clear."""

    def encrypt(self, text: str) -> str:
        return seal(MFA_PURPOSE, text)

    def decrypt(self, encrypted_text: str) -> str:
        return unseal(MFA_PURPOSE, encrypted_text)
