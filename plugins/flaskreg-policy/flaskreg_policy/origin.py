"""Where the token endpoint is, as a client has to be told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Sequence

from flaskreg.access import Access
from flaskreg.access import peer_of
from flaskreg.access import scope_of
from flaskreg.config import Settings
from flaskreg.routes.urls import TrustedProxies


#: where the blueprint of the token endpoint is mounted, and its path there.
PREFIX = "/auth"
TOKEN = "/auth/token"

_HOST = re.compile(r"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


class Origin:
    """The scheme and the host under which a client has reached us.

    The host is that of the request: a client that lies about it misleads itself. What
    a proxy forwards is believed when the proxy is trusted, and never else.

    :param settings: the settings of the application; ``None`` knows of no TLS.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        http = settings.http if settings else None
        tls = http is not None and (
            http.tls.certificate or http.tls.letsencrypt.cachefile
        )
        self._base = http.host.rstrip("/") if http else ""
        self._scheme = "https" if tls else "http"
        self._proxies = TrustedProxies(http.trustedproxies if http else ())

    def of(self, headers: Mapping[str, str]) -> str:
        """Return scheme and host, with no slash at the end."""
        if self._base:
            return self._base
        scheme, host = self._scheme, headers.get("Host") or ""
        if peer_of(headers).address in self._proxies:
            scheme = _first(headers.get("X-Forwarded-Proto"), scheme)
            host = _first(headers.get("X-Forwarded-Host"), host)
        if scheme not in ("http", "https"):
            scheme = self._scheme
        return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"


class Challenger:
    """Makes the ``WWW-Authenticate`` header of answers.

    Source: distribution's token authentication specification; RFC 6750, 3.

    :param realm: the URL of the token endpoint; ``""`` for our own.
    :param service: the audience of tokens.
    """

    def __init__(self, realm: str, service: str, origin: Origin) -> None:
        self._realm = realm
        self._service = service
        self._origin = origin

    def challenge(
        self,
        headers: Mapping[str, str],
        accesses: Sequence[Access],
        error: str = "",
    ) -> str:
        """Return the header's value for a request.

        :param error: ``invalid_token`` or ``insufficient_scope``; ``""`` for none.
        """
        realm = self._realm or self._origin.of(headers) + TOKEN
        value = f'Bearer realm="{realm}",service="{self._service}"'
        if accesses:
            value += f',scope="{scope_of(accesses)}"'
        return f'{value},error="{error}"' if error else value


def _first(value: str | None, default: str) -> str:
    return (value or "").partition(",")[0].strip() or default
