import pytest
from allauth.account.adapter import get_adapter
from django.core.exceptions import PermissionDenied

from accounts.adapters import client_address
from accounts.tests.cast import totp


def test_request_without_any_address_gets_no_rate_limited_service(rf):
    with pytest.raises(PermissionDenied):
        get_adapter().get_client_ip(rf.get("/", REMOTE_ADDR=""))


@pytest.mark.parametrize(
    ("proxies", "address"), [(0, "192.0.2.1"), (1, "198.51.100.7"), (2, "203.0.113.9"), (3, "192.0.2.1")]
)
def test_address_follows_the_number_of_trusted_proxies(rf, settings, proxies, address):
    settings.TRUSTED_PROXIES = proxies
    headers = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    request = rf.get("/", REMOTE_ADDR="192.0.2.1", headers=headers)
    assert client_address(request) == get_adapter().get_client_ip(request) == address


def test_reauthentication_takes_the_strongest_there_is(alice):
    ids = lambda: [method["id"] for method in get_adapter().get_reauthentication_methods(alice)]  # noqa: E731
    assert ids() == ["reauthenticate"]
    totp(alice)
    assert ids() == ["mfa_reauthenticate"]
