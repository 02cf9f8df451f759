"""URLs that the registry tells its clients."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from werkzeug.http import parse_options_header


class TrustedProxies:
    """The peers whose forwarded headers are believed.

    :param proxies: addresses and networks; ``unix`` for whoever calls over a unix
        socket.
    """

    def __init__(self, proxies: Iterable[str]) -> None:
        listed = list(proxies)
        self._unix = "unix" in listed
        self._networks = [
            ipaddress.ip_network(proxy, strict=False)
            for proxy in listed
            if proxy != "unix"
        ]

    def __contains__(self, address: str) -> bool:
        if not self._networks and not self._unix:
            return False
        try:
            peer = ipaddress.ip_address(address)
        except ValueError:
            return self._unix and not address
        return any(peer in network for network in self._networks)


class Urls:
    """Makes the URLs of ``Location`` and ``Link``.

    :param host: the external base URL; ``""`` when there is none.
    :param relative: leave scheme and host out; with *host* it has no effect.
    :param prefix: where the API begins, with a slash at both ends.
    :param proxies: whose forwarded headers are believed.
    """

    def __init__(
        self, *, host: str, relative: bool, prefix: str, proxies: TrustedProxies
    ) -> None:
        self._host = host.rstrip("/")
        self._relative = relative
        self._prefix = prefix
        self._proxies = proxies

    def path(self, environ: Mapping[str, Any], tail: str) -> str:
        """Return the path of ``v2/<tail>``, prefixes kept."""
        return f"{environ.get('SCRIPT_NAME', '')}{self._prefix}v2/{tail}"

    def location(self, environ: Mapping[str, Any], tail: str) -> str:
        """Return the URL of ``v2/<tail>`` as the configuration wants it."""
        if self._host:
            return f"{self._host}/v2/{tail}"
        path = self.path(environ, tail)
        return path if self._relative else self._origin(environ) + path

    def absolute(self, environ: Mapping[str, Any], tail: str) -> str:
        """Return the URL of ``v2/<tail>`` with scheme and host, whatever else."""
        if self._host:
            return f"{self._host}/v2/{tail}"
        return self._origin(environ) + self.path(environ, tail)

    def blob(self, environ: Mapping[str, Any], name: str, digest: str) -> str:
        """Return the URL of a blob."""
        return self.location(environ, f"{name}/blobs/{digest}")

    def manifest(self, environ: Mapping[str, Any], name: str, digest: str) -> str:
        """Return the URL of a manifest."""
        return self.location(environ, f"{name}/manifests/{digest}")

    def upload(
        self, environ: Mapping[str, Any], name: str, session_id: str, state: str
    ) -> str:
        """Return the URL of an upload session."""
        query = quote(state, safe="")
        return self.location(
            environ, f"{name}/blobs/uploads/{session_id}?_state={query}"
        )

    def client(self, environ: Mapping[str, Any]) -> str:
        """Return the address of whoever calls, as trusted proxies tell it.

        Source: CNCF distribution, which believes everybody: the first address of
        ``X-Forwarded-For``, else ``X-Real-Ip``, when it is an address.
        """
        peer: str = environ.get("REMOTE_ADDR") or ""
        if peer not in self._proxies:
            return peer
        forwarded: str = environ.get("HTTP_X_FORWARDED_FOR", "").partition(",")[0]
        real: str = environ.get("HTTP_X_REAL_IP", "")
        for each in (forwarded.strip(), real.strip()):
            if _is_address(each):
                return each
        return peer

    def _origin(self, environ: Mapping[str, Any]) -> str:
        scheme = environ.get("wsgi.url_scheme", "http")
        host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "localhost")
        if environ.get("REMOTE_ADDR", "") in self._proxies:
            scheme, host = _forwarded(environ, scheme, host)
        return f"{scheme}://{host}"


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _forwarded(environ: Mapping[str, Any], scheme: str, host: str) -> tuple[str, str]:
    """Return scheme and host as a trusted proxy tells them (RFC 7239 goes first)."""
    if "HTTP_FORWARDED" in environ:
        first = environ["HTTP_FORWARDED"].partition(",")[0]
        _, told = parse_options_header("x;" + first)
        return told.get("proto", scheme), told.get("host", host)
    told_host = environ.get("HTTP_X_FORWARDED_HOST", host).partition(",")[0].strip()
    told_scheme = environ.get("HTTP_X_FORWARDED_PROTO", scheme).partition(",")[0]
    return told_scheme.strip() or scheme, told_host or host
