"""Requests to the servers of an upstream, redirected without credentials."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from functools import cached_property
from urllib.parse import urljoin
from urllib.parse import urlsplit
from urllib.request import getproxies
from urllib.request import proxy_bypass

import urllib3
from urllib3.exceptions import ConnectTimeoutError
from urllib3.exceptions import HTTPError
from urllib3.exceptions import NameResolutionError
from urllib3.exceptions import NewConnectionError
from urllib3.exceptions import ReadTimeoutError
from urllib3.exceptions import SSLError

from flaskreg.config.proxy import UpstreamTls
from flaskreg.version import __version__
from flaskreg_proxy.addresses import make_manager
from flaskreg_proxy.addresses import peer_is_private
from flaskreg_proxy.budget import Budget
from flaskreg_proxy.errors import UpstreamFailed
from flaskreg_proxy.errors import UpstreamTimeout


USER_AGENT = f"flaskreg-proxy/{__version__}"
MOST_REDIRECTS = 5
#: connections that are kept to one server.
CONNECTIONS = 32
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: bytes of an answer that nobody wants, read so that its connection can be kept.
_UNWANTED = 16 << 10


class Reply:
    """An answer whose body is read in pieces.

    :param response: of urllib3.
    :param url: where it came from at last.
    """

    def __init__(self, response: urllib3.BaseHTTPResponse, url: str) -> None:
        self._response = response
        self.url = url
        self.status = response.status
        self.headers = response.headers

    def read(self, size: int) -> bytes:
        """Return what has arrived, at most *size* bytes; ``b""`` at the end.

        :raises UpstreamFailed: the connection was cut, or nothing comes any more.
        """
        try:
            return self._response.read1(size, decode_content=False)
        except (HTTPError, OSError) as error:
            raise as_upstream_error(error) from error

    def read_all(self, limit: int) -> bytes:
        """Return a body of at most *limit* bytes.

        :raises UpstreamFailed: it is longer, or not complete.
        """
        chunks, size = [], 0
        while chunk := self.read(limit + 1 - size):
            chunks.append(chunk)
            size += len(chunk)
            if size > limit:
                self._response.close()
                raise UpstreamFailed(message="an answer of the upstream is too long")
        return b"".join(chunks)

    def close(self) -> None:
        """Let go of the connection, for another request when that is cheap."""
        try:
            if len(self._response.read1(_UNWANTED, decode_content=False)) < _UNWANTED:
                self._response.drain_conn()
        except (HTTPError, OSError):
            pass
        self._response.close()
        self._response.release_conn()

    def abandon(self) -> None:
        """Close the connection, whatever is still to come."""
        self._response.close()


class Transport:
    """Connections to the servers of one upstream.

    :param tls: whom to trust, and what to show.
    """

    def __init__(self, tls: UpstreamTls) -> None:
        #: whether the upstream itself was seen on a private address.
        self.private = False
        self._tls = tls
        self._proxies: dict[str, urllib3.ProxyManager] = {}

    @cached_property
    def _own(self) -> urllib3.PoolManager:
        context = _context(self._tls, own=True)
        return make_manager(self._look_at_own, ssl_context=context, maxsize=CONNECTIONS)

    @cached_property
    def _others(self) -> urllib3.PoolManager:
        context = _context(self._tls, own=False)
        return make_manager(
            self._look_at_other, ssl_context=context, maxsize=CONNECTIONS
        )

    def close(self) -> None:
        """Close the connections that are kept."""
        made = [vars(self).get(name) for name in ("_own", "_others")]
        for manager in (*made, *self._proxies.values()):
            if manager is not None:
                manager.clear()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        budget: Budget,
        *,
        own: bool = True,
        body: bytes | None = None,
    ) -> Reply:
        """Send a request, follow its redirects, and return the answer's head.

        Credentials go to the origin of *url* and to no other.

        :param own: whether the URL is one of the configuration, not of an answer.
        :raises UpstreamFailed: there is no answer.
        """
        origin = origin_of(url)
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        for _ in range(MOST_REDIRECTS + 1):
            reply = self._send_once(method, url, sent, budget, own=own, body=body)
            location = reply.headers.get("Location")
            if reply.status not in _REDIRECTS or not location:
                return reply
            reply.close()
            url = _target(url, location)
            if origin_of(url) != origin:
                own = False
                sent.pop("Authorization", None)
        raise UpstreamFailed(message="the upstream redirects in a circle")

    def _send_once(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        budget: Budget,
        *,
        own: bool,
        body: bytes | None,
    ) -> Reply:
        manager = self._manager(url, own=own)
        try:
            response = manager.request(
                method,
                url,
                headers=headers,
                body=body,
                preload_content=False,
                decode_content=False,
                redirect=False,
                retries=False,
                timeout=budget.timeout(),
            )
        except (HTTPError, OSError) as error:
            raise as_upstream_error(error) from error
        return Reply(response, url)

    def _manager(self, url: str, *, own: bool) -> urllib3.PoolManager:
        parts = urlsplit(url)
        proxy = getproxies().get(parts.scheme)
        if proxy and parts.hostname and not proxy_bypass(parts.hostname):
            key = f"{own} {proxy}"
            if key not in self._proxies:
                self._proxies[key] = urllib3.ProxyManager(
                    proxy,
                    ssl_context=_context(self._tls, own=own),
                    maxsize=CONNECTIONS,
                )
            return self._proxies[key]
        return self._own if own else self._others

    def _look_at_own(self, sock: socket.socket) -> None:
        self.private = peer_is_private(sock)

    def _look_at_other(self, sock: socket.socket) -> None:
        if peer_is_private(sock) and not self.private:
            raise UpstreamFailed(
                message="the upstream leads to a private address, which it is not on"
            )


def origin_of(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    return parts.scheme, (parts.hostname or "").lower(), port


def as_upstream_error(error: Exception) -> UpstreamFailed:
    """Return what went wrong, without the URL, which may be signed."""
    reason = "the connection failed"
    refused = isinstance(error, NewConnectionError)
    late = isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError)
    if late and not refused:
        return UpstreamTimeout()
    if isinstance(error, NameResolutionError):
        reason = "its name is not known"
    elif isinstance(error, SSLError | ssl.SSLError):
        inner = error.args[0] if error.args else None
        told = getattr(inner, "verify_message", "") or getattr(inner, "reason", "")
        reason = f"TLS failed: {told}" if told else "TLS failed"
    elif isinstance(error.__cause__, OSError) and error.__cause__.strerror:
        reason = error.__cause__.strerror.lower()
    return UpstreamFailed(reason)


def _target(url: str, location: str) -> str:
    target = ""
    try:
        target = urljoin(url, location)
        scheme, host, _port = origin_of(target)
    except ValueError:
        scheme, host = "", ""
    if scheme not in ("http", "https") or not host:
        raise UpstreamFailed(message="the upstream redirects to nowhere")
    if scheme == "http" and url.startswith("https:"):
        raise UpstreamFailed(message="the upstream redirects from https to http")
    return target


def _context(tls: UpstreamTls, *, own: bool) -> ssl.SSLContext:
    """Return what decides over TLS; a certificate is shown to the upstream alone."""
    context = ssl.create_default_context()
    if tls.ca:
        context.load_verify_locations(cafile=tls.ca)
    if own and tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key or None)
    if own and tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
