"""Network addresses: whose request it is, how an address is written down, whether it may come in."""

from collections.abc import Iterable
from ipaddress import IPv6Address, ip_address, ip_network


def canonical(text: str) -> str | None:
    """One spelling per address, without port or zone, a mapped IPv4 address as IPv4; None when it is no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def client(peer: str, forwarded_for: str, trusted_proxies: int) -> str | None:
    """The address the outermost trusted proxy saw: the n-th from the right of X-Forwarded-For.

    What stands further left is the client's own claim. With fewer entries than proxies the request did not come through
    them, and only the socket's peer is believed.
    """
    hops = [hop for hop in forwarded_for.split(",") if hop.strip()]
    if trusted_proxies > 0 and len(hops) >= trusted_proxies:
        return canonical(hops[-trusted_proxies])
    return canonical(peer)


def allowed(address: str | None, networks: Iterable[str]) -> bool:
    """Whether an address lies in one of the networks; no networks admit everybody, no address only then."""
    wanted = [ip_network(network, strict=False) for network in networks]
    if not wanted:
        return True
    return address is not None and any(ip_address(address) in network for network in wanted)
