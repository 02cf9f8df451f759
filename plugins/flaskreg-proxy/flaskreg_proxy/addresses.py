"""Connections that look at whom they reached before they say anything.

A redirect, or the realm of a challenge, is an address that somebody else chose. It must
not lead into the network that this registry stands in. Looking a name up first proves
nothing, since it may be another one a moment later; so the peer is looked at.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connection import HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.connectionpool import HTTPSConnectionPool


#: called with a new connection; raises to close it unused.
Look = Callable[[socket.socket], None]


def is_address(host: str) -> bool:
    """Whether a host of a URL is an IP address, not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_private(address: str) -> bool:
    """Whether an IP address is not one of the public internet."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return True
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return not parsed.is_global


def peer_is_private(sock: socket.socket) -> bool:
    """Whether the other end of a connection is on a private address."""
    return is_private(str(sock.getpeername()[0]))


def make_manager(look: Look, **options: Any) -> urllib3.PoolManager:
    """Return a manager of connection pools whose connections are looked at.

    :param look: called before anything is sent.
    :param options: of :class:`urllib3.PoolManager`.
    """

    def looked_at(sock: socket.socket) -> socket.socket:
        try:
            look(sock)
        except BaseException:
            sock.close()
            raise
        return sock

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return looked_at(super()._new_conn())

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return looked_at(super()._new_conn())

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    manager = urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
    return manager
