import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts.core.addresses import allowed, canonical, client


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        (" 192.0.2.1:4711 ", "192.0.2.1"),
        ("2001:DB8::0:1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", None),
        ("unknown", None),
        ("192.0.2.256", None),
        ("a:b", None),
    ],
)
def test_address_has_one_spelling(text, address):
    assert canonical(text) == address


@pytest.mark.parametrize(
    ("forwarded", "proxies", "address"),
    [
        ("198.51.100.7", 0, "192.0.2.1"),
        ("198.51.100.7", 1, "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", 1, "198.51.100.7"),
        ("203.0.113.9, 198.51.100.7", 2, "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9, 198.51.100.7", 2, "203.0.113.9"),
        ("198.51.100.7", 2, "192.0.2.1"),
        ("", 1, "192.0.2.1"),
        (" , ", 1, "192.0.2.1"),
        ("nonsense", 1, None),
    ],
)
def test_client_is_what_the_outermost_trusted_proxy_saw(forwarded, proxies, address):
    assert client("192.0.2.1", forwarded, proxies) == address


@given(st.lists(st.ip_addresses().map(str), max_size=5), st.ip_addresses(v=4).map(str))
def test_client_cannot_be_forged_through_one_proxy(claims, seen):
    assert client("192.0.2.1", ", ".join([*claims, seen]), 1) == seen


@pytest.mark.parametrize(
    ("address", "networks", "verdict"),
    [
        ("192.0.2.1", [], True),
        (None, [], True),
        (None, ["192.0.2.0/24"], False),
        ("192.0.2.1", ["192.0.2.1"], True),
        ("192.0.2.9", ["203.0.113.0/24", "192.0.2.1/24"], True),
        ("192.0.3.9", ["192.0.2.0/24"], False),
        ("2001:db8::5", ["192.0.2.0/24"], False),
        ("2001:db8::5", ["2001:db8::/32"], True),
    ],
)
def test_allow_list_admits_members_only(address, networks, verdict):
    assert allowed(address, networks) is verdict
