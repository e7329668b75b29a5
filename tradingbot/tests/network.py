"""Keeps the tests on this machine: a socket to anything but loopback is an error nobody can mistake."""

import ipaddress
import socket
from typing import Any


class NetworkForbiddenError(RuntimeError):
    """Raised instead of connecting or resolving; not an OSError, so that no retry swallows it."""


def is_local(host: object) -> bool:
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in {"", "localhost", "None"}:
        return True
    try:
        return ipaddress.ip_address(name.split("%")[0]).is_loopback
    except ValueError:
        return False


def block() -> None:
    """Let sockets reach loopback addresses and Unix sockets only, for the life of this process."""
    connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo

    def check(address: object) -> None:
        if isinstance(address, tuple) and not is_local(address[0]):
            raise NetworkForbiddenError(f"Expected a loopback address, was {address[0]!r}.")

    def guarded_connect(self: socket.socket, address: Any) -> None:
        check(address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any) -> int:
        check(address)
        return connect_ex(self, address)

    def guarded_getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        check((host,))
        return getaddrinfo(host, *args, **kwargs)

    socket.socket.connect = guarded_connect  # type: ignore[method-assign]
    socket.socket.connect_ex = guarded_connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = guarded_getaddrinfo
